//! Proxies on the way to the other end: HTTP CONNECT and SOCKS5 that carry, refuse, hang, or cap their connections.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::harness::{ClosedPort, Connection, Program, Target, wait_until};
use crate::pair::{Pair, message, says};

/// The name of the other end, which only the proxies of these tests know.
const NAME: &str = "vps.invalid:4433";

/// A user and a password as they are written, and as a proxy is sent them.
pub(crate) const LOGIN: &str = "me:s%40cret-w0rd@";
const BASIC: &str = "bWU6c0BjcmV0LXcwcmQ=";
pub(crate) const PASSWORD: &str = "s@cret-w0rd";

/// What a proxy does with each connection.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    /// Carries it, if no more than this are carried.
    Carry(usize),
    /// Answers so instead.
    Answer(&'static [u8]),
    /// Answers nothing.
    Hang,
}

/// A proxy that speaks both protocols.
pub(crate) struct Middle {
    server: Target,
    /// What it was asked for, with the password if it was sent one.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Middle {
    /// One that carries to `there`, whatever it is asked for.
    pub(crate) fn new(there: SocketAddr, does: Does) -> Middle {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (kept, here) = (asked.clone(), Arc::new(AtomicUsize::new(0)));
        let server = Target::serving_anywhere(move |mut client| {
            let Some((wanted, good, bad)) = question(&mut client) else { return };
            kept.lock().unwrap().push(wanted);
            let most = match does {
                Does::Carry(most) => most,
                Does::Answer(answer) => {
                    client.send(answer);
                    client.finish();
                    let _ = client.receive_all();
                    return;
                }
                Does::Hang => {
                    let _ = client.receive_all();
                    return;
                }
            };
            if here.fetch_add(1, Ordering::SeqCst) < most {
                client.send(good);
                carry(client.stream(), there);
            } else {
                client.send(bad);
                client.finish();
                let _ = client.receive_all();
            }
            here.fetch_sub(1, Ordering::SeqCst);
        });
        Middle { server, asked }
    }

    pub(crate) fn url(&self, begins: &str) -> String {
        format!("{begins}{}", self.server.address)
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// What a client asks for, and how its protocol says yes and no.
fn question(client: &mut Connection) -> Option<(String, &'static [u8], &'static [u8])> {
    let mut first = [0];
    if !client.try_receive(&mut first).is_ok_and(|n| n == 1) {
        return None;
    }
    if first == [5] {
        return Some((by_socks5(client), b"\x05\0\0\x01\0\0\0\0\0\0", b"\x05\x01\0\x01\0\0\0\0\0\0"));
    }
    let mut head = first.to_vec();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(client.receive(1));
    }
    let head = String::from_utf8(head).unwrap();
    let login = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: Basic "));
    let wanted = head.lines().next()?.strip_prefix("CONNECT ")?.strip_suffix(" HTTP/1.1")?;
    let wanted = format!("{} {wanted}", login.unwrap_or_default()).trim_start().to_owned();
    Some((wanted, b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 503 Too many connections\r\n\r\n"))
}

fn by_socks5(client: &mut Connection) -> String {
    let count = client.receive(1)[0];
    let ways = client.receive(count.into());
    let mut login = String::new();
    let way = u8::from(ways.contains(&2)) * 2;
    client.send(&[5, way]);
    if way == 2 {
        let part = |client: &mut Connection| {
            let length = client.receive(1)[0];
            String::from_utf8(client.receive(length.into())).unwrap()
        };
        assert_eq!(client.receive(1), [1]);
        login = format!("{}:{} ", part(client), part(client));
        client.send(&[1, 0]);
    }
    assert_eq!(client.receive(4), [5, 1, 0, 3], "it asks by name");
    let length = client.receive(1)[0];
    let name = String::from_utf8(client.receive(length.into())).unwrap();
    let port = client.receive(2);
    format!("{login}{name}:{}", u16::from_be_bytes([port[0], port[1]]))
}

fn carry(client: &TcpStream, there: SocketAddr) {
    let Ok(there) = TcpStream::connect(there) else { return };
    let pass = |mut from: &TcpStream, mut to: &TcpStream| {
        let mut buffer = [0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::scope(|scope| {
        scope.spawn(|| pass(client, &there));
        pass(&there, client);
    });
}

/// A pair whose dialling end goes by a proxy, the address where visitors come, the proxy and the service.
fn pair(begins: &str, most: usize) -> (Pair, SocketAddr, Middle, Target) {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    let mut middle = None;
    let way = |to| {
        let proxy = middle.insert(Middle::new(to, Does::Carry(most)));
        format!("connect = \"{NAME}\"\nproxy_url = \"{}\"\n", proxy.url(begins))
    };
    let permits = format!("may_listen = [\"{}\"]", port.address);
    let mut pair = Pair::start_by(way, &permits, "", &route);
    let visitors = pair.there("web");
    (pair, visitors, middle.unwrap(), service)
}

/// The whole log of an end must not have it.
fn never_says(lines: &[Value], secret: &str) {
    for line in lines {
        assert!(!line.to_string().contains(secret), "{line}");
    }
}

#[test]
fn every_connection_of_a_tunnel_goes_through_its_proxy_which_looks_the_name_up() {
    for (begins, login) in [
        ("http://".to_owned(), String::new()),
        ("socks5://".to_owned(), String::new()),
        (format!("http://{LOGIN}"), format!("{BASIC} ")),
        (format!("socks5://{LOGIN}"), format!("me:{PASSWORD} ")),
    ] {
        let (mut pair, visitors, middle, _service) = pair(&begins, usize::MAX);

        Connection::to(visitors).expect_whole_echo(1, 300_000);

        let up = pair.home.state("vps", "up");
        assert_eq!(up["to"], NAME, "{up}");
        let scheme = begins.split("//").next().unwrap();
        let masked = if login.is_empty() { "" } else { "***@" };
        assert_eq!(up["proxy"], format!("{scheme}//{masked}{}", middle.server.address), "{up}");
        // The control, and the carriers that are kept ready.
        let asked = middle.asked();
        assert!(asked.len() >= 3, "{asked:?}");
        assert!(asked.iter().all(|it| *it == format!("{login}{NAME}")), "{asked:?}");
        assert_eq!(pair.home.record()["end"], "done");
        for secret in [PASSWORD, "s%40cret", BASIC] {
            never_says(pair.home.lines(), secret);
        }
    }
}

#[test]
fn a_tunnel_is_back_after_its_proxy_has_cut_it() {
    let (mut pair, visitors, middle, _service) = pair("http://", usize::MAX);

    pair.relay.cut();
    wait_until("the tunnel is up again", || (pair.home.times("vps", "up") == 2).then_some(()));

    Connection::to(visitors).expect_whole_echo(2, 10_000);
    assert!(middle.asked().len() >= 4);
}

/// The line with which a tunnel through this proxy is down.
fn down(proxy: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (service, port) = (Target::echo(), ClosedPort::port());
    let route =
        format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address);
    let way = format!("connect = \"{NAME}\"\nproxy_url = \"{proxy}\"\n");
    let mut end = Pair::alone(&folder.path().join("home"), &way, &route);
    let down = end.state("vps", "down");
    for secret in [PASSWORD, "s%40cret", BASIC] {
        never_says(end.lines(), secret);
    }
    down
}

#[test]
fn a_proxy_that_refuses_is_told_with_what_to_do_and_without_its_password() {
    for (begins, answer, cause, words) in [
        (
            "http://",
            &b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..],
            "proxy_refused",
            "user:password@",
        ),
        ("http://", b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxy_refused", "no port but 443"),
        ("http://", b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "unreachable", "502 Bad Gateway"),
        ("http://", b"HTTP/1.1 504 Gateway Timeout\r\n\r\n", "timed_out", "no answer from the target"),
        ("http://", b"SSH-2.0-x\r\n", "proxy_refused", "does not speak HTTP"),
        ("http://", b"", "proxy_refused", "closed before it had connected anybody"),
        ("http://", b"HTTP/1.1 407 bWU6c0BjcmV0LXcwcmQ= is wrong\r\n\r\n", "proxy_refused", "user:password@"),
        ("socks5://", b"\x05\x02\0\x01\0\0\0\0\0\0", "proxy_refused", "no port but 443"),
        ("socks5://", b"\x05\x04\0\x01\0\0\0\0\0\0", "unreachable", "SOCKS reply 4"),
        ("socks5://", b"\x05\x05\0\x01\0\0\0\0\0\0", "refused", "was refused by the target"),
        ("socks5://", b"\x05\x07\0\x01\0\0\0\0\0\0", "proxy_refused", "SOCKS reply 7"),
    ] {
        let middle = Middle::new(ClosedPort::port().address, Does::Answer(answer));

        let down = down(&middle.url(&format!("{begins}{LOGIN}")));

        assert_eq!(down["cause"], cause, "{down}");
        assert!(says(&down, words), "{down}");
        let named = format!("the proxy {begins}***@{}", middle.server.address);
        assert!(says(&down, &named), "{down}");
        assert_eq!(down["to"], NAME, "{down}");
    }
}

#[test]
fn a_proxy_that_is_not_there_and_one_that_answers_nothing_are_told_apart() {
    let nobody = ClosedPort::port();
    let there = down(&format!("http://{LOGIN}{}", nobody.address));
    assert_eq!(there["cause"], "proxy_down", "{there}");
    assert!(says(&there, "cannot be connected to (refused)"), "{there}");

    for begins in ["http://", "socks5://"] {
        let middle = Middle::new(nobody.address, Does::Hang);
        let silent = down(&middle.url(&format!("{begins}{LOGIN}")));
        assert_eq!(silent["cause"], "proxy_down", "{silent}");
        assert!(says(&silent, "does not answer when asked for vps.invalid:4433"), "{silent}");
    }
}

#[test]
fn a_proxy_that_caps_connections_is_told_once_and_what_it_lets_through_works() {
    let (mut pair, visitors, _middle, _service) = pair("http://", 4);

    let first: Vec<_> = (0..2).map(|_| Connection::to(visitors)).collect();
    let few = pair.home.line("few carriers", |line| says(line, "[tunnel-few-carriers]"));

    assert!(message(&few).contains(&format!("more connections to {NAME} proxy=http://")), "{few}");
    for (n, client) in first.into_iter().enumerate() {
        client.expect_whole_echo(n as u64, 10_000);
    }
    Connection::to(visitors).expect_whole_echo(9, 10_000);
    assert_eq!(pair.home.times("vps", "down"), 0);
    let told = pair.home.lines().iter().filter(|line| says(line, "[tunnel-few-carriers]")).count();
    assert_eq!(told, 1);
}

#[test]
fn the_environment_names_the_proxy_where_that_is_written_and_exempts_addresses_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let (service, nobody) = (Target::echo(), ClosedPort::port());
    let middle = Middle::new(nobody.address, Does::Answer(b"HTTP/1.1 403 Forbidden\r\n\r\n"));
    let route = format!("[routes.web]\nlisten = \"tunnel:vps\"\ntarget = \"{}\"\n", service.address);
    let way = "connect = \"localhost:1\"\nproxy_url = \"env\"\n";
    let file = Pair::file_alone(&folder.path().join("home"), way, &route);
    let run = |variables: &[String]| {
        let before = ["env", "-u", "no_proxy", "-u", "NO_PROXY", "-u", "https_proxy", "-u", "all_proxy"];
        let before: Vec<&str> = before.into_iter().chain(variables.iter().map(String::as_str)).collect();
        Program::start_under(&before, ["run", "-c", file.to_str().unwrap()])
    };
    let proxy = format!("HTTPS_PROXY={}", middle.url(&format!("http://{LOGIN}")));

    let line = run(std::slice::from_ref(&proxy)).wait_for("tunnel=vps down");
    assert!(line.contains("proxy_refused") && !line.contains(PASSWORD), "{line}");
    assert_eq!(middle.asked()[0], format!("{BASIC} localhost:1"));

    let line = run(&[proxy, "NO_PROXY=other, localhost".into()]).wait_for("tunnel=vps down");
    assert!(!line.contains("proxy"), "{line}");

    let mut wrong = run(&[format!("HTTPS_PROXY=https://{LOGIN}proxy:1")]);
    assert_eq!(wrong.exit_code(), Some(2));
    let told = wrong.log().join("\n");
    assert!(told.contains("HTTPS_PROXY of the environment: TLS with a proxy is not supported"), "{told}");
    assert!(!told.contains("s%40cret"), "{told}");
}

#[test]
fn a_command_line_names_the_proxy_of_its_one_tunnel() {
    let folder = tempfile::tempdir().unwrap();
    let middle = Middle::new(ClosedPort::port().address, Does::Answer(b"HTTP/1.1 403 Forbidden\r\n\r\n"));
    let there = format!("{NAME}#ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw");
    let run = |more: &[&str]| {
        let home = format!("XDG_STATE_HOME={}", folder.path().display());
        let before = ["env", "-C", folder.path().to_str().unwrap(), &home];
        Program::start_under(&before, ["-R", "8080:3000"].iter().chain(more).copied())
    };

    let url = middle.url(&format!("http://{LOGIN}"));
    let mut program = run(&["--tunnel", &there, "--proxy-url", &url]);
    let line = program.wait_for("tunnel=vps down");
    assert!(line.contains("proxy_refused") && line.contains("http://***@"), "{line}");
    assert!(!program.log().join("\n").contains("s%40cret"));

    for (more, words) in [
        (
            &["--tunnel", &there, "--proxy-url", "https://me:SECRET@h:1"][..],
            "TLS with a proxy is not supported",
        ),
        (
            &["--tunnel", "home=ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw", "--proxy-url", &url],
            "no connect",
        ),
    ] {
        let mut wrong = run(more);
        assert_eq!(wrong.exit_code(), Some(2));
        let told = wrong.log().join("\n");
        assert!(told.contains(words) && !told.contains("SECRET") && !told.contains("s%40cret"), "{told}");
    }
}
