//! The same connection through another forwarder, and through the routes imported from its file.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than anything here takes: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A service that answers every connection's bytes in capitals.
pub(crate) fn service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut bytes = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    let answer = bytes[..count].to_ascii_uppercase();
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// An address without other listeners: one of 127.0.0.0/8 that only this process and this call use.
pub(crate) fn free_address(call: u8) -> SocketAddr {
    let pid = std::process::id();
    let ip = [127, 1 + (pid >> 8) as u8 % 250, pid as u8, call];
    TcpListener::bind(SocketAddr::from((ip, 0))).unwrap().local_addr().unwrap()
}

/// The answer that a client gets for `hello`, once there is a listener.
pub(crate) fn exchange(address: SocketAddr) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(e) => assert!(Instant::now() < deadline, "nobody listens on {address}: {e}"),
        }
        thread::yield_now();
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 5];
    match stream.write_all(b"hello").and_then(|()| stream.read_exact(&mut answer)) {
        Ok(()) => String::from_utf8_lossy(&answer).into_owned(),
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe
            ) =>
        {
            "closed".to_owned()
        }
        Err(e) => panic!("{e}"),
    }
}

/// Runs what `import` makes of a file, and gives it once it listens.
fn imported(arguments: &[&str], folder: &Path) -> Running {
    let output = Command::new(env!("CARGO_BIN_EXE_loopgate")).arg("import").args(arguments).output().unwrap();
    let file = folder.join("imported.toml");
    fs::write(&file, &output.stdout).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_loopgate"))
        .args(["run", "-c", file.to_str().unwrap()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let running = Running(child);
    let listens = lines.any(|line| line.contains("Forwarding "));
    assert!(listens, "it ended, imported of {arguments:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    // Its later output is read to the end, so that it never blocks on a full pipe.
    thread::spawn(move || lines.for_each(drop));
    running
}

/// Starts a forwarder with its own file, and compares a client's answers from it and from the imported routes.
fn compare(program: &mut Command, arguments: &[&str], folder: &Path, listen: &[(SocketAddr, &str)]) {
    let other =
        Running(program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let theirs: Vec<String> = listen.iter().map(|(address, _)| exchange(*address)).collect();
    drop(other);

    let ours = imported(arguments, folder);
    let same: Vec<String> = listen.iter().map(|(address, _)| exchange(*address)).collect();
    drop(ours);

    let wanted: Vec<&str> = listen.iter().map(|(_, answer)| *answer).collect();
    assert_eq!((theirs, same.iter().map(String::as_str).collect::<Vec<_>>()), (same.clone(), wanted));
}

#[test]
#[ignore = "needs rinetd"]
fn rinetd_and_what_is_imported_carry_and_deny_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let [open, closed] = [free_address(11), free_address(12)];
    let service = service();
    let file = folder.path().join("rinetd.conf");
    let rule = |listen: SocketAddr| {
        format!("{} {} {} {}\n", listen.ip(), listen.port(), service.ip(), service.port())
    };
    fs::write(&file, format!("{}{}deny 127.*\n", rule(open), rule(closed))).unwrap();
    let file = file.to_str().unwrap();

    let mut rinetd = Command::new("rinetd");
    rinetd.args(["-f", "-c", file]);

    compare(&mut rinetd, &[file], folder.path(), &[(open, "HELLO"), (closed, "closed")]);
}

#[test]
#[ignore = "needs haproxy"]
fn haproxy_and_what_is_imported_carry_and_deny_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let [open, closed] = [free_address(21), free_address(22)];
    let service = service();
    let file = folder.path().join("haproxy.cfg");
    let text = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n\
         listen open\n  bind {open}\n  server s {service}\n\
         frontend closed\n  bind {closed}\n  acl office src 10.0.0.0/8\n  \
         tcp-request connection reject unless office\n  default_backend there\n\
         backend there\n  server s {service}\n"
    );
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();

    let mut haproxy = Command::new("haproxy");
    haproxy.args(["-db", "-f", file]);

    compare(&mut haproxy, &[file], folder.path(), &[(open, "HELLO"), (closed, "closed")]);
}

#[test]
#[ignore = "needs socat"]
fn socat_and_what_is_imported_carry_and_deny_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let service = service();
    for (call, range, answer) in [(31, "127.0.0.0/8", "HELLO"), (32, "10.0.0.0/8", "closed")] {
        let listen = free_address(call);
        let from = format!("TCP4-LISTEN:{},bind={},fork,reuseaddr,range={range}", listen.port(), listen.ip());
        let to = format!("TCP4:{service}");
        let mut socat = Command::new("socat");
        socat.args([&from, &to]);

        compare(&mut socat, &["--", "socat", &from, &to], folder.path(), &[(listen, answer)]);
    }
}
