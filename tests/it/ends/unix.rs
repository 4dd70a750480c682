//! Unix sockets carry bytes and closes as TCP does, as far as the kernel has the same.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use loopgate::outcome::{Cause, Client, End, Side, Way};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::harness::{Proxy, TIMEOUT, Target, wait_until};

/// Gates between Unix sockets, in a directory of their own.
struct Sockets {
    folder: tempfile::TempDir,
}

impl Sockets {
    fn new() -> Sockets {
        Sockets { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A listening target.
    fn target(&self) -> UnixListener {
        UnixListener::bind(self.path("target")).unwrap()
    }

    /// A proxy from the socket `proxy` to the socket `target`.
    fn proxy(&self) -> Proxy {
        Proxy::builder().with(&self.config(""))
    }

    fn config(&self, more: &str) -> String {
        let (proxy, target) = (self.path("proxy"), self.path("target"));
        format!(
            "[routes.test]\nlisten = 'unix:{}'\ntarget = 'unix:{}'\n{more}",
            proxy.display(),
            target.display()
        )
    }

    fn client(&self) -> UnixStream {
        connect(&self.path("proxy"))
    }
}

fn connect(path: &Path) -> UnixStream {
    patient(UnixStream::connect(path).unwrap())
}

fn accept(listener: &UnixListener) -> UnixStream {
    patient(listener.accept().unwrap().0)
}

fn patient(stream: UnixStream) -> UnixStream {
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

fn receive(stream: &mut UnixStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn receive_all(stream: &mut UnixStream) -> (Vec<u8>, std::io::Result<()>) {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).map(|_| ());
    (bytes, end)
}

/// Bytes that are nowhere the same.
fn stream_of(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n / 7 + n * 31) as u8).collect()
}

#[test]
fn both_sides_hear_each_other_and_the_record_names_the_process() {
    let sockets = Sockets::new();
    let (target, proxy) = (sockets.target(), sockets.proxy());

    let mut client = sockets.client();
    client.write_all(b"ping").unwrap();
    let mut served = accept(&target);
    assert_eq!(receive(&mut served, 4), b"ping");
    served.write_all(b"pong").unwrap();
    assert_eq!(receive(&mut client, 4), b"pong");
    drop((client, served));

    let record = proxy.record();
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(record.client, Client::Unix { pid: std::process::id(), uid });
    let line = record.to_string();
    let (pid, target) = (std::process::id(), sockets.path("target"));
    assert!(
        line.contains(&format!(" client=unix:pid={pid},uid={uid} target=unix:{} ", target.display())),
        "{line}"
    );
    assert_eq!((record.outcome.end, record.outcome.way), (End::Done, Way::Copy));
}

#[test]
fn a_half_closed_client_still_receives_the_rest() {
    let sockets = Sockets::new();
    let (target, proxy) = (sockets.target(), sockets.proxy());
    let mut client = sockets.client();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();

    let mut served = accept(&target);
    let (received, end) = receive_all(&mut served);
    served.write_all(b"answer").unwrap();
    drop(served);

    assert_eq!((received.as_slice(), end.is_ok()), (&b"question"[..], true));
    assert_eq!(receive_all(&mut client).0, b"answer");
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.closed_by), (End::Done, Some(Side::Client)));
}

/// Sends a stream through and gives what arrived, with the way it took.
fn carried(
    proxy: &Proxy,
    mut from: impl Write + Send,
    mut to: impl Read,
    stream: &[u8],
    close: impl FnOnce(),
) -> (Vec<u8>, Way) {
    let mut received = vec![0; stream.len()];
    thread::scope(|scope| {
        scope.spawn(|| from.write_all(stream).unwrap());
        to.read_exact(&mut received).unwrap();
    });
    close();
    (received, proxy.record().outcome.way)
}

#[test]
fn streams_are_spliced_between_every_kind_of_end() {
    let stream = stream_of(8 << 20);
    let sockets = Sockets::new();
    let target = sockets.target();
    let tcp = Target::manual();
    let path = |name: &str| sockets.path(name).display().to_string();
    let proxy = Proxy::builder().with(&format!(
        "routes.a = {{listen='unix:{a}', target='unix:{target}'}}\n\
         routes.b = {{listen='127.0.0.1:0', target='unix:{target}'}}\n\
         routes.c = {{listen='unix:{c}', target='{tcp}'}}\n",
        a = path("a"),
        c = path("c"),
        target = path("target"),
        tcp = tcp.address
    ));

    let (client, served) = (connect(&sockets.path("a")), accept(&target));
    let up = carried(&proxy, &client, &served, &stream, || {
        client.shutdown(Shutdown::Both).unwrap();
        served.shutdown(Shutdown::Both).unwrap();
    });
    assert!(up == (stream.clone(), Way::Splice), "unix to unix: {:?}", up.1);

    let (client, served) = (proxy.connect(), accept(&target));
    let down = carried(&proxy, &served, client.stream(), &stream, || {
        served.shutdown(Shutdown::Both).unwrap();
        client.finish();
    });
    assert!(down == (stream.clone(), Way::Splice), "unix to tcp: {:?}", down.1);

    let client = connect(&sockets.path("c"));
    let served = tcp.accept();
    let up = carried(&proxy, &client, served.stream(), &stream, || {
        client.shutdown(Shutdown::Both).unwrap();
        served.finish();
    });
    assert!(up == (stream.clone(), Way::Splice), "unix to tcp: {:?}", up.1);
}

#[test]
fn a_target_that_leaves_bytes_unread_resets_a_tcp_client_after_the_last() {
    let sockets = Sockets::new();
    let target = sockets.target();
    let proxy = Proxy::builder().with(&format!(
        "routes.t = {{listen='127.0.0.1:0', target='unix:{}'}}",
        sockets.path("target").display()
    ));
    let mut client = proxy.connect();
    client.send(b"never read");

    let mut served = accept(&target);
    let mut look = [0];
    wait_until("the question is there", || {
        rustix::net::recv(&served, &mut look, rustix::net::RecvFlags::PEEK).ok()
    });
    served.write_all(b"half an ans").unwrap();
    drop(served);

    let (received, end) = client.receive_all();
    assert_eq!((received.as_slice(), end), (&b"half an ans"[..], crate::harness::Close::Reset));
    assert_eq!(proxy.record().outcome.end, End::TargetReset);
}

#[test]
fn a_client_whose_words_are_cut_meets_a_reset_and_not_an_end() {
    let sockets = Sockets::new();
    let target = Target::manual();
    // Without pipes: a pipe may have taken the last of it already, and then there is nothing unread.
    let proxy = Proxy::builder().pipes(0).with(&format!(
        "routes.t = {{listen='unix:{}', target='{}'}}",
        sockets.path("proxy").display(),
        target.address
    ));
    let mut client = sockets.client();
    let mut served = target.accept();
    served.send(b"half an ans");
    // More than all the buffers on the way hold, so that some of it is unread when the target goes. (A write that waits
    // would receive the reset itself, and the kernel reports it once.)
    client.set_nonblocking(true).unwrap();
    let block = vec![b'x'; 1 << 20];
    wait_until("nothing more is taken", || {
        let taken = proxy.only_session().meter.up.flow().read;
        while client.write(&block).is_ok() {}
        thread::sleep(Duration::from_millis(100));
        (taken > 0 && proxy.only_session().meter.up.flow().read == taken).then_some(())
    });
    client.set_nonblocking(false).unwrap();
    served.reset();

    let (received, end) = receive_all(&mut client);
    assert_eq!(received, b"half an ans");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.record().outcome.end, End::TargetReset);
}

#[test]
fn bytes_behind_a_descriptor_and_an_urgent_byte_are_not_held_back() {
    let sockets = Sockets::new();
    let (target, _proxy) = (sockets.target(), sockets.proxy());
    let mut client = sockets.client();
    let mut served = accept(&target);

    // All of it is queued before the proxy reads: a read stops behind each piece.
    for _ in 0..20 {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [client.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        sendmsg(&client, &[IoSlice::new(b"with")], &mut control, SendFlags::empty()).unwrap();
        client.write_all(b"out.").unwrap();
        rustix::net::send(&client, b"!", SendFlags::OOB).unwrap();
        client.write_all(b"...").unwrap();
    }

    assert_eq!(receive(&mut served, 20 * 12), b"without.!...".repeat(20));
}

#[test]
fn each_way_a_target_can_be_missing_has_its_cause() {
    let sockets = Sockets::new();
    let folder = sockets.folder.path().display().to_string();
    std::fs::write(sockets.path("file"), "").unwrap();
    drop(UnixListener::bind(sockets.path("left")).unwrap());
    let _datagrams = std::os::unix::net::UnixDatagram::bind(sockets.path("dgram")).unwrap();
    let full =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&full, &rustix::net::SocketAddrUnix::new(sockets.path("full")).unwrap()).unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let _waiting = UnixStream::connect(sockets.path("full")).unwrap();
    let targets = ["none", "file", "left", "dgram", "full"];
    let routes: String = targets
        .iter()
        .map(|name| {
            format!("routes.{name} = {{listen='unix:{folder}/to_{name}', target='unix:{folder}/{name}'}}\n")
        })
        .collect();
    let proxy = Proxy::builder().with(&routes);

    let told = targets.map(|name| {
        let mut client = connect(&sockets.path(&format!("to_{name}")));
        assert_eq!(receive_all(&mut client).0, b"");
        proxy.record().outcome.end
    });

    let causes = [Cause::NoSocket, Cause::Refused, Cause::Refused, Cause::WrongSocket, Cause::QueueFull];
    assert_eq!(told, causes.map(End::NoTarget));
}

#[test]
fn a_held_client_is_carried_on_once_the_target_listens() {
    let sockets = Sockets::new();
    let proxy = Proxy::builder().with(&sockets.config("wait_for_target = '1m'\n"));
    let mut client = sockets.client();
    client.write_all(b"early").unwrap();
    wait_until("the target is found to be down", || {
        proxy.only_session().meter.up.flow().read.eq(&0).then_some(())
    });

    let target = sockets.target();

    assert_eq!(receive(&mut accept(&target), 5), b"early");
}

#[test]
fn abstract_names_need_no_file() {
    let name = format!("loopgate-test-{}", std::process::id());
    let proxy =
        Proxy::builder().with(&format!("routes.a = {{listen='unix:@{name}', target='unix:@{name}-target'}}"));
    let bind = |name: &str| {
        use std::os::linux::net::SocketAddrExt;
        std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap()
    };
    let target = UnixListener::bind_addr(&bind(&format!("{name}-target"))).unwrap();

    let mut client = patient(UnixStream::connect_addr(&bind(&name)).unwrap());
    client.write_all(b"x").unwrap();

    assert_eq!(receive(&mut accept(&target), 1), b"x");
    assert_eq!(proxy.declared.listening[0].address.to_string(), format!("unix:@{name}"));
}
