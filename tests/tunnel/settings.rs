//! Settings of routes that listen in a tunnel, or have their target in one: TLS, names, PROXY headers, time-outs.

use std::io::{Read, Write};
use std::process::Command;

use crate::harness::tls::{Authority, TlsConnection, tls_echo};
use crate::harness::{Close, ClosedPort, Connection, HelloBuilder, Target, pattern};
use crate::pair::Pair;

const MIB: usize = 1 << 20;

fn authority() -> Authority {
    let authority = Authority::new();
    for name in ["localhost", "shop.example", "files.example"] {
        authority.issue(name, &[name]);
    }
    authority
}

/// A pair whose dialling end has a route `web` that listens at the other, with these keys.
fn listening(keys: &str) -> (Pair, ClosedPort) {
    let port = ClosedPort::port();
    let permits = format!("may_listen = [\"{}\"]", port.address);
    let pair = Pair::start(
        &permits,
        "",
        &format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\n{keys}\n", port.address),
    );
    (pair, port)
}

/// Answers one request of HTTP with this stream of bytes, and closes.
fn download(seed: u64, length: usize) -> Target {
    Target::serving_anywhere(move |mut connection| {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.extend(connection.receive(1));
        }
        connection.send(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        connection.send_stream(seed, length);
        connection.finish();
        connection.receive_all();
    })
}

#[test]
fn curl_gets_what_a_service_behind_a_tunnel_has_over_the_tls_of_its_route() {
    let (authority, service) = (authority(), download(3, 8 * MIB));
    let keys = format!("target = \"{}\"\ntls = {{ {} }}", service.address, authority.tls("localhost"));
    let (mut pair, _port) = listening(&keys);
    let address = pair.there("web");

    for n in 1..=2 {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "--cacert"])
            .arg(authority.file("ca.pem"))
            .args(["--connect-to", &format!("localhost:443:127.0.0.1:{}", address.port())])
            .arg("https://localhost/");
        let output = curl.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout.len(), 8 * MIB);
        for at in (0..8 * MIB).step_by(pattern::MOST) {
            let length = pattern::MOST.min(8 * MIB - at);
            assert!(output.stdout[at..at + length] == *pattern::at(3, at, length), "wrong after {at}");
        }
        for record in [pair.vps.recorded(n), pair.home.recorded(n)].map(|mut records| records.remove(n - 1)) {
            assert_eq!(record["end"], "done", "{record}");
        }
    }
}

#[test]
fn the_name_that_a_visitor_asks_for_chooses_the_service_behind_the_tunnel() {
    let authority = authority();
    let [shop, files] = ["shop.example", "files.example"].map(|name| tls_echo(authority.server(name, false)));
    let plain = Target::greeting(b"220 ready\r\n");
    let keys = format!(
        "not_tls = \"{}\"\nhello_timeout = \"20s\"\nnames = {{ \"shop.example\" = \"{}\", \"files.example\" = \"{}\" }}",
        plain.address, shop.address, files.address
    );
    let (mut pair, _port) = listening(&keys);
    let address = pair.there("web");

    for name in ["shop.example", "files.example"] {
        // The handshake succeeds only with the service that has the certificate for the name.
        let mut visitor = TlsConnection::naming(name, address, &authority.client(None));
        visitor.send_stream(1, 200_000);
        visitor.receive_stream(1, 200_000);
        visitor.finish();
        assert_eq!(visitor.receive_all(), (Vec::new(), Close::Fin));
    }
    let mut stranger = Connection::to(address);
    stranger.send(&HelloBuilder::to("other.example"));
    assert_eq!(stranger.receive_all().1, Close::Reset);
    let mut mail = Connection::to(address);
    mail.send(b"EHLO me\r\n");
    assert_eq!(mail.receive(11), b"220 ready\r\n");
    drop(mail);

    let records = pair.home.recorded(4);
    let ends: Vec<_> = records.iter().map(|it| (it["name"].as_str(), it["end"].as_str().unwrap())).collect();
    assert_eq!(ends[..2], [(Some("shop.example"), "done"), (Some("files.example"), "done")]);
    assert_eq!(ends[2], (Some("other.example"), "no_name"));
    assert_eq!(pair.vps.recorded(4)[2]["end"], "no_name");
}

#[test]
fn a_service_in_a_tunnel_is_spoken_to_in_tls_from_end_to_end() {
    let authority = authority();
    let (service, port) = (tls_echo(authority.server("localhost", false)), ClosedPort::port());
    let target_tls =
        format!("target_tls = {{ ca = \"{}\", name = \"localhost\" }}", authority.file("ca.pem").display());
    // Its own route, and one that the other end asks for.
    let permits = format!("may_listen = [\"{}\"]\n[tunnels.home.defaults]\n{target_tls}", port.address);
    let offered = format!("[routes.db]\nlisten = \"tunnel:home\"\ntarget = \"{}\"\n", service.address);
    let home = format!(
        "[routes.own]\nlisten = \"127.0.0.1:0\"\ntarget = \"tunnel:vps/db\"\n{target_tls}\n\
         [routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n",
        port.address, service.address
    );
    let mut pair = Pair::start(&permits, &offered, &home);

    let addresses = [pair.home.forwarding("tunnel:vps/db"), pair.there("web")];
    for address in addresses {
        Connection::to(address).expect_whole_echo(2, 4 * MIB);
    }

    for record in pair.vps.recorded(2).into_iter().chain(pair.home.recorded(2)) {
        assert_eq!(record["end"], "done", "{record}");
    }
}

#[test]
fn a_visitors_own_proxy_is_heard_byte_by_byte_and_one_that_says_nothing_is_given_up() {
    let service = Target::echo();
    let keys = format!(
        "target = \"{}\"\naccept_proxy = [\"127.0.0.1\"]\nallow = [\"192.0.2.0/24\"]\nclient_timeout = \"500ms\"",
        service.address
    );
    let (mut pair, _port) = listening(&keys);
    let address = pair.there("web");

    let mut visitor = Connection::to(address);
    for byte in b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n" {
        visitor.send(&[*byte]);
    }
    visitor.expect_whole_echo(4, 2 * MIB);
    assert_eq!(pair.home.recorded(1)[0]["client"], "192.0.2.7:4711");

    let mut silent = Connection::to(address);
    silent.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 4712 443\r\n");
    assert_eq!(silent.receive_all(), (Vec::new(), Close::Reset));
    assert_eq!(pair.home.recorded(2)[1]["end"], "slow_client");
    assert_eq!(pair.vps.recorded(2)[1]["end"], "slow_client");
    assert_eq!(Connection::from_to("127.0.0.2", address).receive_close(), Close::Reset);
}

#[test]
fn a_tunnel_that_is_cut_within_a_session_with_tls_looks_like_no_end() {
    let (authority, service) = (authority(), Target::manual());
    let keys = format!("target = \"{}\"\ntls = {{ {} }}", service.address, authority.tls("localhost"));
    let (mut pair, _port) = listening(&keys);
    let mut visitor = TlsConnection::to(pair.there("web"), &authority.client(None));
    visitor.send(b"a question");
    let mut served = service.accept();
    assert_eq!(served.receive(10), b"a question");
    served.send(b"half of");
    let mut half = [0; 7];
    visitor.tls.read_exact(&mut half).unwrap();

    pair.home.kill();

    visitor.tls.read_to_end(&mut Vec::new()).expect_err("it does not look whole");
    assert_eq!(pair.vps.record()["end"], "tunnel_lost");
    let _ = visitor.tls.sock.flush();
}
