//! The rules over recorded facts, where the service accepts, and the rules that take precedence over them.

use std::time::Duration;

use super::diagnose;
use super::facts::{Hop, Lookup};
use super::samples::*;
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::diagnosis::{json, screen};
use crate::probe::process::holders::Held;
use crate::probe::process::process_stats::ProcessRoom;
use crate::probe::process::threads::{Call, Thread};
use crate::probe::trace::protocol::Protocol;
use crate::probe::trace::{Connection, Dial, Ending, request};

#[test]
fn accepted_and_unread_is_hung_and_a_late_answer_is_slow() {
    let late = Connection { late: Some(Duration::from_secs(4)), ..silent(0) };

    assert_eq!(of_connection(silent(18)), Verdict::TargetHung);
    assert_eq!(of_connection(late), Verdict::TargetSlow);
}

/// The verdict if one thread of the only process that serves a silent connection is in this state.
fn doing(call: Call, place: &str, talks_elsewhere: Option<bool>) -> Verdict {
    verdict(|facts| {
        facts.trace.connections = vec![silent(0)];
        facts.served_by = vec![Held { descriptor: 4, ..held(11) }];
        facts.talks_elsewhere = talks_elsewhere;
        facts.life = living(|vitals| {
            let waits_in = (!place.is_empty()).then(|| place.to_owned());
            vitals.threads = vec![Thread { state: 'S', waits_in, call }];
        });
    })
}

#[test]
fn the_activity_of_a_program_that_does_not_answer_decides_whether_it_is_slow() {
    let (endless, timed) = (Call::Events { endless: true }, Call::Events { endless: false });

    assert_eq!(doing(Call::Other, "hrtimer_nanosleep", None), Verdict::TargetSlow);
    assert_eq!(doing(endless, "ep_poll", Some(false)), Verdict::Healthy, "only a socket can wake it");
    assert_eq!(
        doing(endless, "ep_poll", Some(true)),
        Verdict::Unknown,
        "perhaps the socket of another client"
    );
    assert_eq!(doing(timed, "ep_poll", Some(false)), Verdict::Unknown, "perhaps its own timer");
    assert_eq!(
        doing(Call::Reads(3), "inet_csk_accept", Some(false)),
        Verdict::Unknown,
        "the connection is forgotten"
    );
    assert_eq!(doing(Call::Hidden, "", None), Verdict::Unknown, "it belongs to another user");
}

#[test]
fn a_service_that_reads_on_waits_for_its_client_and_is_healthy() {
    let expecting = |expect| {
        verdict(|facts| {
            facts.expect = expect;
            facts.trace.connections = vec![silent(0)];
            facts.served_by = vec![Held { descriptor: 4, ..held(11) }];
            facts.life = living(|vitals| vitals.threads[0].call = Call::Reads(4));
        })
    };

    assert_eq!(expecting(None), Verdict::Healthy);
    assert_eq!(expecting(Some(Protocol::Http)), Verdict::UnexpectedProtocol);
}

#[test]
fn a_close_without_a_byte_is_the_services_own_and_its_limit_explains_it() {
    let closed = Connection { ending: Ending::Closed(Duration::from_millis(1)), ..silent(0) };
    let reset = Connection { ending: Ending::Reset(Duration::from_millis(1)), ..silent(0) };
    let room = ProcessRoom { used: 1, limit: 1, of: "user 43210".to_owned() };

    assert_eq!(of_connection(closed.clone()), Verdict::TargetClosesEmpty);
    assert_eq!(of_connection(reset), Verdict::TargetResets);
    let with_room = verdict(|facts| {
        facts.trace.connections = vec![closed.clone()];
        facts.process_room = Some(room.clone());
    });
    assert_eq!(with_room, Verdict::TargetCannotFork);
}

#[test]
fn the_protocol_of_a_service_is_a_fault_only_if_another_was_expected() {
    let hello = [22, 3, 3, 0, 4, 2, 0, 0, 0];
    let of = |received: &[u8], expect: Option<Protocol>| {
        verdict(|facts| {
            facts.expect = expect;
            facts.trace.connections = vec![answered(received)];
        })
    };

    assert_eq!(of(&hello, None), Verdict::Healthy);
    assert_eq!(of(&hello, Some(Protocol::Http)), Verdict::TlsExpected);
    assert_eq!(of(b"HTTP/1.1 200 OK\r\n\r\n", Some(Protocol::Tls)), Verdict::PlainExpected);
    assert_eq!(of(b"SSH-2.0-x\r\n", Some(Protocol::Http)), Verdict::UnexpectedProtocol);
    assert_eq!(of(b"SSH-2.0-x\r\n", Some(Protocol::Ssh)), Verdict::Healthy);
    assert_eq!(of(b"what?", None), Verdict::Healthy);
}

#[test]
fn a_greeting_that_was_held_back_is_a_fault_and_a_deferred_web_server_is_none() {
    let of = |received: &[u8]| of_connection(Connection { deferred: true, ..answered(received) });

    assert_eq!(of(b"220 hello\r\n"), Verdict::TargetWaitsForClient);
    assert_eq!(of(b"HTTP/1.1 200 OK\r\n\r\n"), Verdict::Healthy);
}

#[test]
fn a_host_is_rejected_only_where_another_is_served() {
    let with =
        |host: &str, received: &[u8]| Connection { sent: Some(request::http(host)), ..answered(received) };
    let of = |second: &[u8]| {
        verdict(|facts| {
            let forbidden = b"HTTP/1.1 403 Forbidden\r\n\r\n";
            facts.trace.connections = vec![with(ADDRESS, forbidden), with("app.test", second)];
        })
    };

    assert_eq!(of(b"HTTP/1.1 200 OK\r\n\r\n"), Verdict::HttpHostRejected);
    assert_eq!(of(b"HTTP/1.1 403 Forbidden\r\n\r\n"), Verdict::Healthy);
}

#[test]
fn a_loop_is_reported_if_nothing_answers() {
    let ring = vec![Hop { comm: "socat".to_owned(), pid: 7, port: 62893 }];
    let of = |connection: Connection| {
        verdict(|facts| {
            facts.ring.clone_from(&ring);
            facts.trace.connections = vec![connection.clone()];
        })
    };

    assert_eq!(of(silent(0)), Verdict::ForwardLoop);
    let multiplied = diagnosis_of(|facts| {
        facts.multiplied = 20;
        facts.trace.connections = vec![silent(0)];
    });
    assert_eq!((multiplied.verdict, multiplied.certainty), (Verdict::ForwardLoop, Certainty::Likely));
    assert_eq!(of(answered(b"HTTP/1.1 200 OK\r\n\r\n")), Verdict::Healthy);
}

#[test]
fn our_own_limit_is_reported_where_nothing_else_is_wrong() {
    let healthy = diagnosis_of(|facts| {
        facts.descriptors.hard = Some(12);
        facts.trace.connections = vec![answered(b"HTTP/1.1 200 OK\r\n\r\n")];
    });
    let mut facts = refused();
    let before = diagnose(&facts).verdict;

    facts.descriptors.hard = Some(12);

    assert_eq!((healthy.verdict, diagnose(&facts).verdict), (Verdict::OwnFdLimit, before));
}

#[test]
fn a_lack_of_files_or_source_ports_is_not_blamed_on_the_service() {
    let of = |errno| verdict(|facts| facts.trace.connections = vec![Connection::failed(errno)]);

    assert_eq!(of(libc::ENFILE), Verdict::SystemFileLimit);
    assert_eq!(of(libc::EADDRNOTAVAIL), Verdict::EphemeralPortsExhausted);
}

#[test]
fn a_cause_that_cannot_be_seen_is_unknown() {
    let diagnosis = diagnosis_of(|facts| {
        facts.local = false;
        facts.before = Lookup::Unknown;
        facts.after = Lookup::Unknown;
        facts.trace.connections = vec![dialled(Dial::TimedOut(Duration::from_secs(2)))];
    });

    assert_eq!((diagnosis.verdict, diagnosis.certainty), (Verdict::Unknown, Certainty::Unknown));
}

#[test]
fn connections_that_are_never_closed_are_a_warning_only_where_nothing_fails() {
    let leaking = |connection: Connection| {
        diagnosis_of(|facts| {
            facts.left_open = 40;
            facts.trace.connections = vec![connection.clone()];
        })
    };

    assert_eq!(leaking(answered(b"hi")).verdict, Verdict::TargetLeaksCloseWait);
    let hung = leaking(silent(7));
    assert_eq!((hung.verdict, hung.warnings.len()), (Verdict::TargetHung, 1));
}

#[test]
fn every_verdict_over_these_facts_has_words_and_a_document() {
    let connections = [
        answered(b"hi"),
        silent(0),
        silent(7),
        waiting(),
        Connection::failed(libc::ECONNREFUSED),
        Connection::failed(libc::EHOSTUNREACH),
        dialled(Dial::TimedOut(Duration::from_secs(2))),
    ];
    for connection in connections {
        let diagnosis = diagnosis_of(|facts| facts.trace.connections = vec![connection.clone()]);

        assert!(!diagnosis.summary.is_empty(), "{}", diagnosis.verdict);
        let document = json(&diagnosis, std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(document["question"], "reach");
        assert!(!screen(&diagnosis, "").contains("\n\n"));
    }
}
