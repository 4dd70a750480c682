//! Several targets that speak TLS: what a client notices when the handshake with one fails, and what its checks see.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::mpsc;

use loopgate::ledger::Record;
use loopgate::outcome::{Cause, End, Phase};

use crate::harness::secret::{Authority, echo, secret_echo, secret_served, secret_target};
use crate::harness::{Ending, Gate, PATIENCE, Target, until};

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("web", &["localhost", "127.0.0.1"]);
    authority.issue("elsewhere", &["elsewhere.example"]);
    authority
}

/// A gate whose route tries these targets in their order, with more keys.
fn gate(authority: &Authority, targets: &[&Target], tls: &str, more: &str) -> Gate {
    let targets: Vec<String> = targets.iter().map(|target| format!("'{}'", target.address)).collect();
    Gate::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = [{}], balance = 'first', target_tls = {{ca = '{}'{tls}}}{more}}}",
        targets.join(", "),
        authority.file("ca.pem").display()
    ))
}

/// Exchanges a few bytes with an echo and ends in order; what was recorded of it.
fn visit(gate: &Gate) -> Record {
    let mut client = gate.connect();
    client.say(b"hello");
    assert_eq!(client.hear(5), b"hello");
    client.finish();
    assert_eq!(client.hear_end(), Ending::Fin);
    gate.record()
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
        (secret_echo(authority.server("elsewhere", false)), secret_echo(authority.server("web", false)));
    let gate = gate(
        &authority,
        &[&plain, &closing, &wrong, &right],
        "",
        ", health = {check = 'none', interval = '1h'}",
    );

    let record = visit(&gate);

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
    assert_eq!(attempts(&visit(&gate)), [(right.address, None)]);
}

#[test]
fn a_client_whom_no_target_takes_by_tls_is_reset_and_told_every_attempt() {
    let authority = authority();
    let targets = [secret_echo(authority.server("elsewhere", false)), Target::greeting(b"-ERR\r\n")];
    let gate = gate(&authority, &[&targets[0], &targets[1]], "", "");

    let mut client = gate.connect();
    assert_eq!(client.hear_end(), Ending::Reset);

    let record = gate.record();
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
        Target::serving_anywhere(move |mut wire| {
            let mut header = Vec::new();
            while !header.ends_with(b"\r\n") {
                header.extend(wire.hear(1));
            }
            sender.send(header).unwrap();
            echo(secret_served(&wire, &config));
        })
    };
    let (wrong, right) = (serve(authority.server("elsewhere", false)), serve(authority.server("web", false)));
    // Else the target that is down is looked at, and told that it is no client who looks.
    let more = ", send_proxy = 'v1', health = {check = 'none'}";
    let gate = gate(&authority, &[&wrong, &right], "", more);

    let record = visit(&gate);

    assert_eq!(attempts(&record).len(), 2);
    let first = headers.recv_timeout(PATIENCE).unwrap();
    assert!(first.starts_with(b"PROXY TCP4 127.0.0.1 "));
    assert_eq!(
        headers.recv_timeout(PATIENCE).unwrap(),
        first,
        "the same client, to the one and to the other"
    );
}

#[test]
fn a_target_that_never_finishes_its_handshake_gives_way_to_the_next() {
    let authority = authority();
    let (silent, right) = (Target::by_hand(), secret_echo(authority.server("web", false)));
    let gate = gate(&authority, &[&silent, &right], ", handshake_timeout = '4s'", ", connect_timeout = '1s'");

    let record = visit(&gate);

    assert_eq!(attempts(&record), [(silent.address, Some(Cause::TlsRefused)), (right.address, None)]);
}

#[test]
fn a_check_sees_that_a_certificate_is_wrong_before_any_client_does() {
    let authority = authority();
    let wrong = secret_echo(authority.server("elsewhere", false));
    let right = secret_echo(authority.server("web", false));
    let health = ", health = {check = 'connect', interval = '20ms', timeout = '10s'}";
    let gate = gate(&authority, &[&wrong, &right], "", health);

    until("clients are spared the target that fails its checks", || {
        (attempts(&visit(&gate)) == [(right.address, None)]).then_some(())
    });
}

#[test]
fn a_check_asks_its_question_inside_tls() {
    let authority = authority();
    let (sender, heard) = mpsc::channel();
    let target = secret_target(authority.server("web", false), move |mut tls| {
        let mut question = [0; 4];
        if tls.read_exact(&mut question).is_ok() {
            let _ = sender.send(question);
        }
    });
    let health =
        ", health = {check = 'connect', send = 'PING', expect = 'PONG', interval = '20ms', timeout = '10s'}";
    let _gate = gate(&authority, &[&target], "", health);

    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), *b"PING");
}
