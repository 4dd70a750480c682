//! Facts recorded from the faults, on Linux 6.18.

use super::*;
use crate::probe::sockets::connections::Info;
use crate::sys::sock_diag::TcpState;

const SECOND: Duration = Duration::from_secs(1);

fn end(inode: u32, receive_queue: u32, send_queue: u32, timer: Timer, info: Info) -> Connection {
    Connection { state: TcpState::Established, inode, receive_queue, send_queue, timer, info }
}

fn link(name: &str, carrier: bool) -> Link {
    Link {
        index: 1,
        name: name.to_owned(),
        up: true,
        carrier,
        loopback: name == "lo",
        mtu: 65536,
        received_dropped: 0,
        sent_dropped: 0,
        kind: String::new(),
        xdp: false,
    }
}

fn queue(kind: &str, rate: Option<u64>) -> Qdisc {
    Qdisc {
        link: 1,
        kind: kind.to_owned(),
        handle: 0,
        root: true,
        rate,
        delay: None,
        loss: None,
        tamper: None,
        dropped: 0,
        waiting: 0,
        overlimits: 0,
    }
}

/// A connection within this machine whose segments are retransmitted again and again.
fn losing(send_queue: u32, since_ack: Duration, fresh: Fresh) -> SessionFacts {
    let info = Info {
        retransmits: 3,
        backoff: 3,
        unacked: 1,
        segment: 32768,
        since_ack,
        acked: 1,
        ..Info::default()
    };
    SessionFacts {
        still: 2 * SECOND,
        at_most: 2 * SECOND,
        ours: end(7, 0, send_queue, Timer::Retransmit, info),
        theirs: Some(end(8, 0, 0, Timer::None, Info::default())),
        here: true,
        holder: None,
        link: Some(link("lo", true)),
        neighbour: None,
        shaper: None,
        fresh: Some(fresh),
    }
}

/// Fault 69: its buffer is full, and so is ours.
fn closed_window() -> SessionFacts {
    let info =
        Info { probes: 3, backoff: 3, unsent: 2_031_616, segment: 1152, acked: 4000, ..Info::default() };
    SessionFacts {
        ours: end(7, 0, 2_031_616, Timer::Persist, info),
        theirs: Some(end(8, 4096, 0, Timer::None, Info::default())),
        fresh: None,
        ..losing(0, SECOND, Fresh::Works)
    }
}

fn verdict(facts: &SessionFacts) -> Option<Verdict> {
    judge(facts).map(|finding| finding.verdict)
}

#[test]
fn a_service_that_stops_reading_is_reported_with_both_buffers() {
    let finding = judge(&closed_window()).unwrap();

    assert_eq!((finding.verdict, finding.certainty), (Verdict::TargetStalledWindow, Certainty::Proven));
    assert_eq!(finding.summary, "it has not read for 2.0s: 4.1 kB wait in its buffer, 2.0 MB in ours");
}

#[test]
fn a_connection_that_was_not_accepted_is_not_reported_as_unread() {
    let mut facts = closed_window();
    facts.theirs = Some(end(0, 4096, 0, Timer::None, Info::default()));

    assert_eq!(verdict(&facts), None);
}

#[test]
fn a_peer_behind_a_link_without_carrier_has_vanished() {
    let mut facts = losing(12, 4 * SECOND, Fresh::Silent);
    (facts.here, facts.theirs, facts.link) = (false, None, Some(link("p0", false)));

    let finding = judge(&facts).unwrap();

    assert_eq!(finding.verdict, Verdict::PeerVanished);
    assert_eq!(finding.summary, "no acknowledgement for 4.0s: link p0 has no carrier");
    assert!(!wants_fresh(&facts));
}

#[test]
fn small_packets_lost_after_a_pause_were_forgotten_by_a_firewall() {
    let facts = losing(18, 4 * SECOND, Fresh::Works);

    assert!(wants_fresh(&facts));
    assert_eq!(verdict(&facts), Some(Verdict::IdleStateExpired));
}

#[test]
fn a_large_first_request_that_is_lost_is_too_large_for_the_path() {
    assert_eq!(verdict(&losing(9007, 2 * SECOND, Fresh::Works)), Some(Verdict::LargePacketsLost));
}

#[test]
fn a_new_connection_that_is_lost_as_well_exonerates_this_one() {
    assert_eq!(verdict(&losing(18, 4 * SECOND, Fresh::Silent)), Some(Verdict::FirewallDrop));
    let elsewhere = SessionFacts { here: false, ..losing(18, 4 * SECOND, Fresh::Silent) };
    assert_eq!(verdict(&elsewhere), Some(Verdict::PeerVanished));
    assert_eq!(verdict(&losing(18, 4 * SECOND, Fresh::Refused)), None);
}

#[test]
fn losses_without_an_explanation_are_unknown_and_never_a_guess() {
    assert_eq!(verdict(&losing(18, 2 * SECOND, Fresh::Works)), Some(Verdict::Unknown));
}

#[test]
fn a_shaped_link_is_named_with_its_rate() {
    let mut facts = losing(50_000, SECOND, Fresh::Works);
    facts.shaper = Some(queue("tbf", Some(25_000)));

    assert_eq!(judge(&facts).unwrap().summary, "link lo is shaped: tbf 200kbit (tc qdisc)");
    assert!(shapes(&queue("tbf", Some(25_000))) && !shapes(&queue("fq_codel", None)));
}

#[test]
fn a_service_that_takes_its_time_is_left_alone() {
    let waiting = end(7, 0, 0, Timer::None, Info { acked: 100, ..Info::default() });
    let reading = SessionFacts { ours: waiting, ..losing(0, SECOND, Fresh::Works) };

    assert_eq!(verdict(&reading), None);
    assert!(!wants_fresh(&reading));
}

#[test]
fn connections_left_open_leak_when_they_are_old_or_only_become_more() {
    let leak = |count: usize, age: Duration, before: &[usize]| {
        let leak = Leak { ages: vec![age; count], before: before.to_vec(), holder: None };
        leaks(&leak).map(|finding| finding.certainty)
    };

    assert_eq!(leak(20, 61 * SECOND, &[]), Some(Certainty::Proven));
    assert_eq!(leak(42, SECOND, &[40, 41]), Some(Certainty::Likely));
    for busy in [
        leak(19, 90 * SECOND, &[]),
        leak(40, SECOND, &[]),
        leak(41, SECOND, &[40, 45]),
        leak(40, SECOND, &[40, 40]),
    ] {
        assert_eq!(busy, None);
    }
}
