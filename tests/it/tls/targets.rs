//! Several targets that speak TLS: what a client notices when the handshake with one fails, and what its checks see.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::mpsc;

use loopgate::ledger::Record;
use loopgate::outcome::{Cause, End, Phase};

use crate::harness::tls::{Authority, echo, tls_echo, tls_served, tls_target};
use crate::harness::{Close, Proxy, TIMEOUT, Target, wait_until};

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("web", &["localhost", "127.0.0.1"]);
    authority.issue("elsewhere", &["elsewhere.example"]);
    authority
}

/// A proxy whose route tries these targets in their order, with more keys.
fn proxy(authority: &Authority, targets: &[&Target], tls: &str, more: &str) -> Proxy {
    let targets: Vec<String> = targets.iter().map(|target| format!("'{}'", target.address)).collect();
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = [{}], balance = 'first', target_tls = {{ca = '{}'{tls}}}{more}}}",
        targets.join(", "),
        authority.file("ca.pem").display()
    ))
}

/// Exchanges a few bytes with an echo and ends in order; what was recorded of it.
fn visit(proxy: &Proxy) -> Record {
    let mut client = proxy.connect();
    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
    proxy.record()
}

fn attempts(record: &Record) -> Vec<(SocketAddr, Option<Cause>)> {
    let attempts = record.outcome.attempts.iter();
    attempts.map(|attempt| (attempt.address.net().unwrap(), attempt.cause)).collect()
}

#[test]
fn a_client_with_whose_target_the_handshake_fails_is_carried_to_the_next() {
    let authority = authority();
    let plain = Target::greeting(b"220 mail.example ESMTP\r\n");
    let closing = Target::serving_anywhere(drop);
    let (wrong, right) =
        (tls_echo(authority.server("elsewhere", false)), tls_echo(authority.server("web", false)));
    let proxy = proxy(
        &authority,
        &[&plain, &closing, &wrong, &right],
        "",
        ", health = {check = 'none', interval = '1h'}",
    );

    let record = visit(&proxy);

    assert_eq!((record.outcome.end, record.outcome.phase), (End::Done, Phase::Relay), "{record}");
    assert_eq!(
        attempts(&record),
        [
            (plain.address, Some(Cause::NoTls)),
            (closing.address, Some(Cause::TlsRefused)),
            (wrong.address, Some(Cause::TlsUntrusted)),
            (right.address, None)
        ]
    );
    assert_eq!(record.hint(), None, "of a session that came to its end nothing is to be mended");
    // They are down by now, and the next client is spared them.
    assert_eq!(attempts(&visit(&proxy)), [(right.address, None)]);
}

#[test]
fn a_client_whom_no_target_takes_by_tls_is_reset_and_told_every_attempt() {
    let authority = authority();
    let targets = [tls_echo(authority.server("elsewhere", false)), Target::greeting(b"-ERR\r\n")];
    let proxy = proxy(&authority, &[&targets[0], &targets[1]], "", "");

    let mut client = proxy.connect();
    assert_eq!(client.receive_close(), Close::Reset);

    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::NoTarget(Cause::NoTls), Phase::Greet));
    assert_eq!(
        attempts(&record),
        [(targets[0].address, Some(Cause::TlsUntrusted)), (targets[1].address, Some(Cause::NoTls))]
    );
    assert!(record.hint().unwrap().contains("does not speak TLS"), "{record}");
}

#[test]
fn each_target_is_told_the_client_before_its_handshake() {
    let authority = authority();
    let (sender, headers) = mpsc::channel();
    let serve = |config| {
        let sender = sender.clone();
        Target::serving_anywhere(move |mut connection| {
            let mut header = Vec::new();
            while !header.ends_with(b"\r\n") {
                header.extend(connection.receive(1));
            }
            sender.send(header).unwrap();
            echo(tls_served(&connection, &config));
        })
    };
    let (wrong, right) = (serve(authority.server("elsewhere", false)), serve(authority.server("web", false)));
    // Otherwise a health check would reach the target that is down, with a header that names no client.
    let more = ", send_proxy = 'v1', health = {check = 'none'}";
    let proxy = proxy(&authority, &[&wrong, &right], "", more);

    let record = visit(&proxy);

    assert_eq!(attempts(&record).len(), 2);
    let first = headers.recv_timeout(TIMEOUT).unwrap();
    assert!(first.starts_with(b"PROXY TCP4 127.0.0.1 "));
    assert_eq!(headers.recv_timeout(TIMEOUT).unwrap(), first, "the same client, to the one and to the other");
}

#[test]
fn a_target_that_never_finishes_its_handshake_gives_way_to_the_next() {
    let authority = authority();
    let (silent, right) = (Target::manual(), tls_echo(authority.server("web", false)));
    let proxy =
        proxy(&authority, &[&silent, &right], ", handshake_timeout = '4s'", ", connect_timeout = '1s'");

    let record = visit(&proxy);

    assert_eq!(attempts(&record), [(silent.address, Some(Cause::TlsRefused)), (right.address, None)]);
}

#[test]
fn a_check_sees_that_a_certificate_is_wrong_before_any_client_does() {
    let authority = authority();
    let wrong = tls_echo(authority.server("elsewhere", false));
    let right = tls_echo(authority.server("web", false));
    let health = ", health = {check = 'connect', interval = '20ms', timeout = '10s'}";
    let proxy = proxy(&authority, &[&wrong, &right], "", health);

    wait_until("clients are spared the target that fails its checks", || {
        (attempts(&visit(&proxy)) == [(right.address, None)]).then_some(())
    });
}

#[test]
fn a_check_asks_its_question_inside_tls() {
    let authority = authority();
    let (sender, received) = mpsc::channel();
    let target = tls_target(authority.server("web", false), move |mut tls| {
        let mut question = [0; 4];
        if tls.read_exact(&mut question).is_ok() {
            let _ = sender.send(question);
        }
    });
    let health =
        ", health = {check = 'connect', send = 'PING', expect = 'PONG', interval = '20ms', timeout = '10s'}";
    let _proxy = proxy(&authority, &[&target], "", health);

    assert_eq!(received.recv_timeout(TIMEOUT).unwrap(), *b"PING");
}
