//! The rules over recorded facts, where the service does not accept: one healthy set, changed in the place that each
//! case is about.

use std::time::Duration;

use super::facts::{Life, Lookup, UnixFacts, Watch};
use super::samples::*;
use crate::diagnosis::finding::Subject;
use crate::diagnosis::screen;
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::probe::process::memory::Kill;
use crate::probe::process::process_stats::{Queued, Vitals};
use crate::probe::sockets::Socket;
use crate::probe::sockets::unix::Listening;
use crate::probe::trace::{Connection, Dial};

#[test]
fn a_service_that_answers_is_healthy() {
    let diagnosis = diagnosis_of(|_| {});

    assert_eq!((diagnosis.verdict, diagnosis.certainty), (Verdict::Healthy, Certainty::Proven));
    assert!(screen(&diagnosis, "").ends_with("verdict: healthy\n"));
}

#[test]
fn a_service_that_listens_nowhere_is_not_running() {
    assert_eq!(of_refused(|_| {}), Verdict::TargetNotRunning);
}

#[test]
fn a_listener_that_existed_throughout_and_refuses_is_behind_a_filter() {
    let verdict = verdict(|facts| facts.trace.connections = vec![Connection::failed(libc::ECONNREFUSED)]);

    assert_eq!(verdict, Verdict::FirewallReject);
}

#[test]
fn a_listener_that_appeared_after_the_dial_proves_nothing() {
    assert_eq!(of_refused(|facts| facts.after = Lookup::Found(listening(ADDRESS))), Verdict::Unknown);
}

#[test]
fn a_service_that_is_not_at_its_address_is_found_where_it_is() {
    let at = |local: &'static str| of_refused(|facts| facts.rows = vec![listening(local)]);

    assert_eq!(at("10.200.1.1:62893"), Verdict::TargetOnOtherAddress);
    assert_eq!(at("[::1]:62893"), Verdict::TargetOnOtherFamily);
    assert_eq!(
        of_refused(|facts| facts.absent.elsewhere.listeners = vec![(40, listening(ADDRESS))]),
        Verdict::TargetInOtherNetns
    );
    assert_eq!(
        of_refused(|facts| facts.absent.near = vec![listening("127.0.0.1:62894")]),
        Verdict::TargetOnOtherPort
    );
}

#[test]
fn a_kill_explains_an_absence_only_if_its_service_died_and_nothing_else_explains_it() {
    let kill = |ago: u64, group_empty| Kill {
        pid: Some(4),
        comm: "web".to_owned(),
        ago: Duration::from_secs(ago),
        cgroup: "/box".to_owned(),
        limit: None,
        group_empty,
    };
    let of = |kill: Kill| of_refused(|facts| facts.absent.kills.kills = vec![kill.clone()]);
    let beside = |kill: Kill| {
        of_refused(|facts| {
            facts.absent.near = vec![listening("127.0.0.1:62894")];
            facts.absent.usual = Some("webserver".to_owned());
            facts.absent.kills.kills = vec![kill.clone()];
        })
    };

    assert_eq!(of(kill(30, Some(true))), Verdict::TargetKilledOom);
    assert_eq!(of(kill(300, Some(true))), Verdict::TargetNotRunning, "too long ago");
    assert_eq!(of(kill(30, None)), Verdict::TargetNotRunning, "a build, a container of another");
    assert_eq!(of(kill(3, Some(false))), Verdict::TargetNotRunning, "its service lives");
    assert_eq!(beside(kill(30, Some(true))), Verdict::TargetOnOtherPort);
    let named = Kill { comm: "webserve".to_owned(), ..kill(300, None) };
    assert_eq!(beside(named.clone()), Verdict::TargetKilledOom, "the port is known for it");
    let two = of_refused(|facts| {
        let other = Kill { cgroup: "/other".to_owned(), ..kill(9, Some(true)) };
        facts.absent.kills.kills = vec![kill(3, Some(true)), other];
    });
    assert_eq!(two, Verdict::TargetNotRunning, "which of the two?");
}

#[test]
fn a_listener_that_comes_and_goes_flaps_whatever_the_dial_met() {
    let watch = Watch { came: 1, went: 1, lasted: Duration::from_secs(1), ..Watch::default() };

    assert_eq!(of_refused(|facts| facts.watch = Some(watch.clone())), Verdict::TargetFlapping);
    assert_eq!(verdict(|facts| facts.watch = Some(watch.clone())), Verdict::TargetFlapping);
}

#[test]
fn a_connection_that_is_not_accepted_is_judged_by_the_state_of_the_program() {
    let of = |change: &dyn Fn(&mut Vitals)| {
        verdict(|facts| {
            facts.trace.connections = vec![waiting()];
            facts.life = living(change);
        })
    };

    assert_eq!(of(&|_| {}), Verdict::TargetNotAccepting);
    assert_eq!(of(&|vitals| vitals.state = 'T'), Verdict::TargetSuspended);
    assert_eq!(of(&|vitals| vitals.frozen = true), Verdict::TargetSuspended);
    assert_eq!(of(&|vitals| vitals.state = 't'), Verdict::TargetInDebugger);
    assert_eq!(of(&|vitals| vitals.state = 'D'), Verdict::TargetUninterruptible);
    assert_eq!(of(&|vitals| vitals.descriptors = Some(1024)), Verdict::TargetOutOfFds);
}

#[test]
fn a_program_that_computes_all_the_time_is_distinguished_from_one_that_waits() {
    let of = |state: char, used: u64, queued: u64, turns: u64| {
        verdict(|facts| {
            facts.trace.connections = vec![waiting()];
            let before = Vitals { state, ..vitals() };
            let at = before.at + Duration::from_secs(2);
            let queued = Queued { time: Duration::from_millis(queued), turns };
            let used = Duration::from_millis(used);
            facts.life = vec![Life { after: Vitals { used, queued, at, ..before.clone() }, before }];
        })
    };

    assert_eq!(of('S', 1900, 0, 9), Verdict::TargetBusyLoop);
    assert_eq!(of('S', 20, 0, 9), Verdict::TargetNotAccepting);
    assert_eq!(of('R', 0, 1900, 9), Verdict::TargetBusyLoop, "other processes use the processor");
    assert_eq!(of('R', 20, 500, 9), Verdict::TargetNotAccepting);
    assert_eq!(of('S', 20, 1900, 9), Verdict::TargetNotAccepting, "many threads in a queue, and it sleeps");
    assert_eq!(of('R', 0, 1900, 1), Verdict::TargetNotAccepting, "it was not scheduled and could not accept");
}

#[test]
fn a_queue_that_moves_is_slow_and_one_that_only_grows_is_not_accepted() {
    let of = |before: u32, after: u32| {
        verdict(|facts| {
            let queue = |waiting| Socket { receive_queue: waiting, ..listening(ADDRESS) };
            facts.before = Lookup::Found(queue(before));
            facts.after = Lookup::Found(queue(after));
            facts.trace.connections = vec![waiting(), waiting(), waiting()];
        })
    };

    assert_eq!(of(9, 10), Verdict::TargetSlow, "two of the waiting connections are gone");
    assert_eq!(of(9, 12), Verdict::TargetNotAccepting);
    assert_eq!(of(9, 15), Verdict::TargetNotAccepting, "other connections arrived");
    assert_eq!(of(0, 3), Verdict::TargetNotAccepting);
}

#[test]
fn a_full_queue_is_reported_whether_the_dial_succeeded_or_not() {
    let full = |connection: Connection| {
        verdict(|facts| {
            let socket = Socket { receive_queue: 3, send_queue: 2, ..listening(ADDRESS) };
            facts.after = Lookup::Found(socket);
            facts.trace.connections = vec![connection.clone()];
        })
    };

    assert_eq!(full(waiting()), Verdict::AcceptQueueFull);
    assert_eq!(full(dialled(Dial::TimedOut(Duration::from_secs(2)))), Verdict::AcceptQueueFull);
}

#[test]
fn a_full_unix_queue_answers_eagain() {
    let listening = Listening { inode: 9, name: "/s".to_owned(), waiting: 2, limit: 1, uid: None, kind: 1 };
    let verdict = verdict(|facts| {
        facts.subject = Subject::Unix("/s".into());
        facts.unix = Some(UnixFacts { after: Some(listening.clone()), ..UnixFacts::default() });
        facts.trace.connections = vec![Connection::failed(libc::EAGAIN)];
    });

    assert_eq!(verdict, Verdict::AcceptQueueFull);
}
