//! Which of several targets a client reaches, how an embedder's own target is reached, and the record if it is not.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use loopgate::address::Address;
use loopgate::outcome::{Cause, End, Phase};
use loopgate::plan::{self, BadTargets, Target as PlanTarget};
use loopgate::transport::{Origin, Reach, Reaching, Unopened};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;

use super::{By, Inside, block_on, declare, name, net, proxy_to, route, taken, to};
use crate::harness::tls::{Authority, Blocking};
use crate::harness::{Close, ClosedPort, Connection, Target, wait_until};

const MIB: usize = 1 << 20;

#[test]
fn clients_take_turns_between_a_target_inside_and_one_that_is_dialled() {
    let (inside, tcp) = (Inside::echo(), Target::echo());
    let targets = || vec![PlanTarget::custom(inside.clone()), net(tcp.address)];
    let (proxy, address) = proxy_to("balance = 'round_robin'", targets());
    let reached = || {
        Connection::to(address).expect_whole_echo(1, 10);
        proxy.record().outcome.target.unwrap().to_string()
    };

    let mut turns = [reached(), reached(), reached(), reached()];
    turns.sort();
    assert_eq!(turns, [&tcp.address.to_string(), &tcp.address.to_string(), "inside", "inside"]);

    // One that refuses is passed over, and seen back by a check that reaches it in the same way.
    inside.0.refuses.store(true, Relaxed);
    assert_eq!([reached(), reached(), reached()], [(); 3].map(|()| tcp.address.to_string()));
    inside.0.refuses.store(false, Relaxed);
    wait_until("it is chosen again", || (reached() == "inside").then_some(()));
}

#[test]
fn a_target_inside_that_is_down_says_so() {
    let inside = Inside::echo();
    inside.0.refuses.store(true, Relaxed);
    let (proxy, address) = proxy_to("", to(&inside));

    for _ in 0..2 {
        assert!(Connection::is_reset_at_once("127.0.0.1", address));
        let record = proxy.record();
        assert_eq!(
            (record.outcome.end, record.outcome.phase),
            (End::NoTarget(Cause::Refused), Phase::Connect)
        );
        let told = record.to_string();
        assert!(told.contains(" target=inside end=no_target cause=refused "), "{told}");
        assert!(told.contains("the service inside is not started"), "{told}");
    }
    inside.0.refuses.store(false, Relaxed);
    Connection::to(address).expect_whole_echo(1, 10);
}

#[test]
fn a_way_that_takes_too_long_or_fails_is_a_cause_like_any_other() {
    let fails = |kind: io::ErrorKind| {
        By(move || -> Reaching<'static> { Box::pin(async move { Err(io::Error::new(kind, "no way")) }) })
    };
    let cause = |target: PlanTarget| {
        let (proxy, address) = proxy_to("connect_timeout = '100ms'", vec![target]);
        assert!(Connection::is_reset_at_once("127.0.0.1", address));
        match proxy.record().outcome.end {
            End::NoTarget(cause) => cause,
            end => panic!("{end:?}"),
        }
    };

    let never = || -> Reaching<'static> { Box::pin(std::future::pending()) };
    assert_eq!(cause(PlanTarget::custom(By(never))), Cause::TimedOut);
    assert_eq!(cause(PlanTarget::custom(fails(io::ErrorKind::NotFound))), Cause::NoAddress);
    assert_eq!(cause(PlanTarget::custom(fails(io::ErrorKind::Other))), Cause::Unreachable);
    let own = || -> Reaching<'static> { Box::pin(async { Err(io::Error::from_raw_os_error(libc::EMFILE)) }) };
    assert_eq!(cause(PlanTarget::custom(By(own))), Cause::NoDescriptor);
}

/// Something on a port of this machine, behind more than a dial.
struct Seen(SocketAddr);

impl Reach for Seen {
    fn name(&self) -> &str {
        "own"
    }

    fn reach<'r>(&'r self, _: &'r Origin, _: Instant) -> Reaching<'r> {
        Box::pin(async { Unopened::tcp(tokio::net::TcpStream::connect(self.0).await?.into_std()?) })
    }

    fn seen_at(&self) -> Option<Address> {
        Some(self.0.into())
    }
}

#[test]
fn a_target_that_the_kernel_sees_is_explained_and_seen_back_like_one_that_is_dialled() {
    let port = ClosedPort::port();
    let (proxy, address) = proxy_to("wait_for_target = '20s'", vec![PlanTarget::custom(Seen(port.address))]);
    let (proxy_at_once, at_once) = proxy_to("", vec![PlanTarget::custom(Seen(port.address))]);
    let nobody = format!("nothing listens on {}", port.address);

    wait_until("it is explained", || {
        assert!(Connection::is_reset_at_once("127.0.0.1", at_once));
        let record = proxy_at_once.record().to_string();
        assert!(record.contains(" target=own end=no_target cause=refused "), "{record}");
        record.contains(&nobody).then_some(())
    });
    let held = Connection::to(address);
    let _target = Target::echo_on(port.address);
    held.expect_whole_echo(1, 10);
    assert_eq!(proxy.record().outcome.end, End::Done);
}

#[test]
fn a_way_of_ones_own_may_give_a_socket() {
    let service = Target::echo();
    let address = service.address;
    let dials = By(move || -> Reaching<'static> {
        Box::pin(async move { Unopened::tcp(tokio::net::TcpStream::connect(address).await?.into_std()?) })
    });
    let (proxy, listens) = proxy_to("send_proxy = 'v1'", vec![PlanTarget::custom(dials)]);

    let client = Connection::to(listens);
    let header = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", client.local().port(), listens.port());
    let mut client = client;
    assert_eq!(client.receive(header.len()), header.as_bytes());
    client.expect_whole_echo(3, MIB);

    assert!(proxy.record().to_string().contains(" target=own end=done phase=relay "));

    let pair = By(|| -> Reaching<'static> {
        Box::pin(async {
            let (ours, theirs) = UnixStream::pair()?;
            theirs.set_nonblocking(true)?;
            let mut theirs = tokio::net::UnixStream::from_std(theirs)?;
            Handle::current().spawn(async move { theirs.write_all(b"hello").await });
            Unopened::unix(ours)
        })
    });
    let (_proxy, listens) = proxy_to("", vec![PlanTarget::custom(pair)]);
    assert_eq!(Connection::to(listens).receive(5), b"hello");
}

#[test]
fn a_header_reaches_a_stream_and_tls_is_spoken_to_it() {
    let (inside, mut served) = Inside::manual();
    let authority = Authority::new();
    authority.issue("web", &["a.example"]);
    let keys = format!(
        "send_proxy = 'v1'\ntarget_tls = {{ca = '{}', name = 'a.example'}}",
        authority.file("ca.pem").display()
    );
    let (proxy, address) = proxy_to(&keys, to(&inside));
    let mut client = Connection::to(address);
    let mut served = taken(&mut served);
    let header = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", client.local().port(), address.port());
    let mut heard = vec![0; header.len()];
    block_on(served.read_exact(&mut heard)).unwrap();
    assert_eq!(heard, header.as_bytes());

    let connection = rustls::ServerConnection::new(authority.server("web", false)).unwrap();
    let mut tls = rustls::StreamOwned::new(connection, Blocking(served));
    client.send(b"a question");
    client.finish();
    let mut heard = Vec::new();
    tls.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"a question");
    tls.write_all(b"the answer").unwrap();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    drop(tls);

    assert_eq!(client.receive_all(), (b"the answer".to_vec(), Close::Fin));
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::Done, "{record}");
    assert!(record.target_tls.is_some());
}

#[test]
fn a_stream_that_speaks_no_tls_is_a_target_that_cannot_be_spoken_to() {
    let keys = "target_tls = {verify = 'none', name = 'a.example'}";
    let (proxy, address) = proxy_to(keys, to(&Inside::echo()));

    assert!(Connection::is_reset_at_once("127.0.0.1", address));

    let record = proxy.record();
    assert_eq!(record.outcome.end, End::NoTarget(Cause::TlsRefused), "{record}");
}

#[test]
fn an_equal_route_to_the_same_target_of_ones_own_changes_nothing() {
    let inside = Inside::echo();
    let (proxy, _) = proxy_to("", to(&inside));
    let made = route("").with_targets(to(&inside)).unwrap();
    declare(&proxy, made.clone());

    let (again, other) =
        (declare(&proxy, made), declare(&proxy, route("").with_targets(to(&inside)).unwrap()));

    assert!(again.change.is_empty());
    assert_eq!(other.change.replaced.len(), 1, "another object is another target");
    assert_eq!(other.listening[0].targets[0].to_string(), "inside");
}

#[test]
fn a_route_refuses_targets_that_it_cannot_have() {
    let (inside, port) = (Inside::echo(), ClosedPort::port());
    let names = "names = {'a.example' = '1'}\n";
    let text = format!("[routes.test]\nlisten = '127.0.0.1:0'\n{names}");
    let by_name = plan::parse("", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));

    assert_eq!(route("").with_targets(Vec::new()), Err(BadTargets::None));
    assert_eq!(route("protocol = 'udp'").with_targets(to(&inside)), Err(BadTargets::Datagrams));
    assert!(route("protocol = 'udp'").with_targets(vec![net(port.address)]).is_ok());
    assert_eq!(by_name.routes[&name()].with_targets(to(&inside)), Err(BadTargets::ByName));
}
