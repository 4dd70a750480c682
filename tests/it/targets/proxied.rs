//! Targets that are dialled through a proxy (`proxy_url`).

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use loopgate::outcome::{Cause, End};

use crate::harness::{Close, ClosedPort, Connection, Proxy, TIMEOUT, Target};
use crate::real::tcp::Service;

/// The name of a target that only the proxies of these tests know.
const NAME: &str = "db.invalid";

/// Each `proxy_url` without its host and port, and what it lets the proxy read before it is asked for the target.
const URLS: [&str; 4] = ["socks5://", "socks5://me:s%40cret@", "http://", "http://me:s%40cret@"];

/// Reads up to and with the empty line of HTTP.
fn head(connection: &mut Connection) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.extend(connection.receive(1));
    }
    String::from_utf8(read).unwrap()
}

/// Speaks as a SOCKS5 server up to the request; the name and the port that are asked for.
fn asked_by_socks5(connection: &mut Connection, has_login: bool) -> String {
    let ways = connection.receive(if has_login { 4 } else { 3 });
    assert_eq!(ways, if has_login { vec![5, 2, 0, 2] } else { vec![5, 1, 0] });
    connection.send(&[5, if has_login { 2 } else { 0 }]);
    if has_login {
        assert_eq!(connection.receive(11), b"\x01\x02me\x06s@cret");
        connection.send(&[1, 0]);
    }
    assert_eq!(connection.receive(4), [5, 1, 0, 3]);
    let length = usize::from(connection.receive(1)[0]);
    let name = String::from_utf8(connection.receive(length)).unwrap();
    let port = connection.receive(2);
    format!("{name}:{}", u16::from_be_bytes([port[0], port[1]]))
}

/// The same as an HTTP proxy.
fn asked_by_http(connection: &mut Connection, has_login: bool) -> String {
    let head = head(connection);
    assert_eq!(head.contains("Proxy-Authorization: Basic bWU6c0BjcmV0\r\n"), has_login, "{head}");
    let line = head.lines().next().unwrap();
    line.strip_prefix("CONNECT ").unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned()
}

/// A proxy for this kind of `proxy_url`: it tells what it is asked for, answers with `behind` glued to its answer, and
/// carries to `service`.
fn proxy_server(url: &'static str, service: SocketAddr, behind: &'static [u8]) -> (Target, Receiver<String>) {
    let (sender, asked) = mpsc::channel();
    let server = Target::serving_anywhere(move |mut connection| {
        let has_login = url.contains('@');
        let (wanted, answer) = match url.starts_with("socks5") {
            true => (asked_by_socks5(&mut connection, has_login), &b"\x05\x00\x00\x01\0\0\0\0\0\0"[..]),
            false => (asked_by_http(&mut connection, has_login), &b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"[..]),
        };
        let _ = sender.send(wanted);
        connection.send(&[answer, behind].concat());
        let Ok(target) = TcpStream::connect(service) else { return };
        let client = connection.stream().try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| carry(&client, &target));
            carry(&target, &client);
        });
    });
    (server, asked)
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = [0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A route to the name, through a proxy.
fn route(url: &str, proxy: SocketAddr, more: &str) -> Proxy {
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{NAME}:5432', proxy_url = '{url}{proxy}'{more}}}"
    ))
}

#[test]
fn every_byte_reaches_a_target_whose_name_the_proxy_alone_knows() {
    for url in URLS {
        let service = Target::echo();
        let (server, asked) = proxy_server(url, service.address, b"");
        let proxy = route(url, server.address, "");

        proxy.connect().expect_whole_echo(1, 300_000);

        assert_eq!(asked.recv_timeout(TIMEOUT).unwrap(), format!("{NAME}:5432"));
        let record = proxy.record();
        assert_eq!(record.outcome.end, End::Done, "{record}");
        assert!(record.to_string().contains(&format!("target={NAME}:5432")), "{record}");
    }
}

#[test]
fn what_a_target_says_at_once_is_not_taken_for_the_proxys() {
    for url in URLS {
        let service = Target::answering_after_fin();
        let (server, _asked) = proxy_server(url, service.address, b"220 hello\r\n\r\n");
        let proxy = route(url, server.address, "");

        let mut client = proxy.connect();

        assert_eq!(client.receive(13), b"220 hello\r\n\r\n", "{url}");
    }
}

/// How a session ends whose proxy answers its first message with these bytes.
fn answered(url: &str, answer: &'static [u8], more: &str) -> (Cause, String) {
    let server = Target::serving_anywhere(move |mut connection| {
        if connection.try_receive(&mut [0; 1024]).is_ok_and(|n| n > 0) {
            connection.send(answer);
        }
        connection.finish();
        let _ = connection.receive_all();
    });
    let proxy = route(url, server.address, more);
    if let Ok(mut client) = Connection::try_to(proxy.address) {
        assert_eq!(client.receive_close(), Close::Reset);
    }
    let record = proxy.record();
    let End::NoTarget(cause) = record.outcome.end else { panic!("{record}") };
    let hint = record.hint().unwrap().to_owned();
    assert!(hint.starts_with("the proxy ") && hint.contains(&server.address.to_string()), "{hint}");
    assert!(
        !hint.contains("cret") && !hint.contains("bWU6") && !record.to_string().contains("cret"),
        "{record}"
    );
    (cause, hint)
}

#[test]
fn a_proxy_that_connects_nobody_is_named_with_what_it_said() {
    for (url, answer, cause, words) in [
        (URLS[0], &b"\x05\xff"[..], Cause::Unreachable, "write user:password@"),
        (URLS[0], b"\x05\x02", Cause::Unreachable, "asks for a password"),
        (URLS[1], b"\x05\x02\x01\x01", Cause::Unreachable, "does not accept the user and password"),
        (
            URLS[0],
            b"\x05\x00\x05\x05\x00\x01\0\0\0\0\0\0",
            Cause::Refused,
            "refused by the target (SOCKS reply 5)",
        ),
        (URLS[1], b"\x05\x00\x05\x04\x00\x01\0\0\0\0\0\0", Cause::Unreachable, "SOCKS reply 4"),
        (URLS[0], b"HTTP/1.1 400 Bad Request\r\n\r\n", Cause::Unreachable, "does not speak SOCKS5"),
        (URLS[0], b"", Cause::Unreachable, "closed before it had connected anybody"),
        (URLS[2], b"HTTP/1.1 407 Who?\r\n\r\n", Cause::Unreachable, "(it answered 'HTTP/1.1 407 Who?')"),
        (
            URLS[3],
            b"HTTP/1.1 504 Late\r\n\r\n",
            Cause::TimedOut,
            "had no answer from the target (it answered",
        ),
        // What repeats our login is not quoted, in any form of it.
        (URLS[3], b"HTTP/1.1 407 Basic bWU6c0BjcmV0\r\n\r\n", Cause::Unreachable, "user and password"),
        (URLS[3], b"HTTP/1.1 407 not me:s@cret\r\n\r\n", Cause::Unreachable, "user and password"),
        (URLS[2], b"\x05\x00", Cause::Unreachable, "does not speak HTTP"),
        (URLS[2], b"HTTP/1.1 200 OK\r\n", Cause::Unreachable, "closed before it had connected anybody"),
    ] {
        let (found, hint) = answered(url, answer, "");
        assert!(found == cause && hint.contains(words), "{url} {found}: {hint}");
    }
}

#[test]
fn a_proxy_whose_answer_never_ends_is_read_no_further() {
    const ENDLESS: &[u8] = &{
        let mut bytes = [b'x'; 20_000];
        let (line, mut n) = (b"HTTP/1.1 200 OK\r\nX: ", 0);
        while n < line.len() {
            bytes[n] = line[n];
            n += 1;
        }
        bytes
    };

    let (cause, hint) = answered(URLS[2], ENDLESS, "");

    assert!(cause == Cause::Unreachable && hint.contains("more than 8192 bytes"), "{hint}");
}

#[test]
fn a_proxy_that_is_not_there_or_says_nothing_is_named() {
    let (closed, silent) = (ClosedPort::port(), Target::manual());
    for (at, cause, words) in [
        (closed.address, Cause::Refused, "refused"),
        (silent.address, Cause::TimedOut, "did not answer within connect_timeout"),
    ] {
        for url in [URLS[1], URLS[3]] {
            let proxy = route(url, at, ", connect_timeout = '300ms'");
            let began = Instant::now();
            if let Ok(mut client) = Connection::try_to(proxy.address) {
                assert_eq!(client.receive_close(), Close::Reset);
            }
            assert!(began.elapsed() < Duration::from_secs(5));
            let record = proxy.record();
            assert_eq!(record.outcome.end, End::NoTarget(cause), "{record}");
            let hint = record.hint().unwrap();
            assert!(hint.contains(words) && hint.contains("***@") && !hint.contains("cret"), "{hint}");
        }
    }
}

#[test]
fn a_check_goes_through_the_proxy_as_well() {
    for url in [URLS[0], URLS[2]] {
        let service = Target::echo();
        let (server, asked) = proxy_server(url, service.address, b"");
        let health = ", health = {check = 'connect', interval = '20ms', timeout = '10s'}";
        let _proxy = route(url, server.address, health);

        assert_eq!(asked.recv_timeout(TIMEOUT).unwrap(), format!("{NAME}:5432"));
    }
}

#[test]
#[ignore = "needs openssl"]
fn tls_with_a_target_goes_through_the_proxy_and_proves_the_targets_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in [NAME, "other.invalid"] {
        let names = format!("subjectAltName=DNS:{name}");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=x"])
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem"), "-addext", &names])
            .current_dir(folder.path())
            .output();
        assert!(made.unwrap().status.success());
    }
    for (own, is_right) in [(NAME, true), ("other.invalid", false)] {
        let service = Service::start(|port, _| {
            let mut server = Command::new("openssl");
            server.args(["s_server", "-rev", "-accept", &format!("127.0.0.1:{port}")]);
            server.args(["-cert", &format!("{own}.pem"), "-key", &format!("{own}.key")]);
            server.current_dir(folder.path());
            server
        });
        for url in [URLS[1], URLS[2]] {
            let (server, _asked) = proxy_server(url, service.address, b"");
            let ca = folder.path().join(format!("{own}.pem"));
            let proxy = route(url, server.address, &format!(", target_tls = {{ca = '{}'}}", ca.display()));

            let mut client = proxy.connect();
            let _ = client.try_send(b"hello\n");
            client.finish();
            let received = client.receive_all().0;

            let end = proxy.record().outcome.end;
            match is_right {
                true => assert_eq!((&received[..], end), (&b"olleh\n"[..], End::Done)),
                false => assert_eq!((&received[..], end), (&b""[..], End::NoTarget(Cause::TlsUntrusted))),
            }
        }
    }
}
