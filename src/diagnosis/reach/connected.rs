//! C4, connected: the kernel answers for a program that may not. Pure.

use super::facts::{Life, Lookup, ReachFacts};
use super::judge::Judged;
use super::{loops, timeout, unanswered};
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::probe::process::process_stats::Vitals;
use crate::probe::trace::protocol::Protocol;
use crate::probe::trace::recognise::Recognised;
use crate::probe::trace::{Connection, Ending};

/// From this share of a processor on a process computes without a pause.
const BUSY: f64 = 0.8;
/// On a loaded machine it gets less, and is still never seen to wait.
const BUSY_UNDER_LOAD: f64 = 0.05;
/// Or it gets next to nothing, queues for a processor all the time, and has used so many turns without coming to wait.
const TURNS: u64 = 3;

/// What a connection that stands says.
pub(super) fn judge(facts: &ReachFacts) -> Judged {
    let Some(first) = facts.first() else { return (Verdict::Unknown, Certainty::Unknown) };
    let answered = answers(facts).next().is_some();
    if !answered && !facts.ring.is_empty() {
        return (Verdict::ForwardLoop, Certainty::Proven);
    }
    if !answered && facts.multiplied >= loops::LEAST_CONNECTIONS {
        return (Verdict::ForwardLoop, Certainty::Likely);
    }
    if answered {
        return spoken(facts);
    }
    let waits = facts.trace.connections.iter().find(|connection| connection.is_waiting());
    if waits.is_some() {
        return not_accepted(facts);
    }
    if first.is_silent() {
        return unanswered::judge(facts, first);
    }
    ended(facts, first)
}

/// The connections on which something came back.
fn answers(facts: &ReachFacts) -> impl Iterator<Item = &Connection> {
    facts.trace.connections.iter().filter(|connection| !connection.received.is_empty())
}

/// What the service speaks, by the last answer that could be read.
pub(super) fn protocol(facts: &ReachFacts) -> Option<Recognised> {
    facts.trace.connections.iter().rev().find_map(Connection::recognised)
}

/// Something came back: is it what was expected?
fn spoken(facts: &ReachFacts) -> Judged {
    let Some(found) = protocol(facts) else {
        return match facts.expect {
            Some(_) => (Verdict::UnexpectedProtocol, Certainty::Likely),
            None => (Verdict::Healthy, Certainty::Likely),
        };
    };
    let waited = facts.first().is_some_and(|first| first.deferred && !first.spoke_first);
    if waited && found.protocol.server_speaks_first() {
        return (Verdict::TargetWaitsForClient, Certainty::Proven);
    }
    match facts.expect {
        Some(wanted) if !wanted.is_met_by(found.protocol) => {
            (mismatch(wanted, found.protocol), Certainty::Proven)
        }
        _ if other_host(facts).is_some() => (Verdict::HttpHostRejected, Certainty::Proven),
        _ => (Verdict::Healthy, Certainty::Proven),
    }
}

fn mismatch(wanted: Protocol, found: Protocol) -> Verdict {
    match (wanted, found) {
        (Protocol::Http | Protocol::Http2, Protocol::Tls) => Verdict::TlsExpected,
        (Protocol::Tls, Protocol::Http | Protocol::Http2) => Verdict::PlainExpected,
        _ => Verdict::UnexpectedProtocol,
    }
}

/// The status for our host, the host that is served, and its status.
pub(super) fn other_host(facts: &ReachFacts) -> Option<(u16, String, u16)> {
    let told = |connection: &Connection| {
        let found = connection.recognised()?;
        Some((found.turns_host_away(), found.status?, connection.sent.as_ref()?.host.clone()?))
    };
    let mut answers = facts.trace.connections.iter().filter_map(told);
    let (true, ours, _) = answers.next()? else { return None };
    let (_, status, host) = answers.find(|(turned_away, status, _)| !turned_away && *status < 500)?;
    Some((ours, host, status))
}

/// The kernel took the connection and the program does not: in what state is the program?
pub(super) fn not_accepted(facts: &ReachFacts) -> Judged {
    if accepts_others(facts) {
        return (Verdict::TargetSlow, Certainty::Proven);
    }
    if let Some((verdict, sure)) = kept_from_accepting(&facts.life) {
        // Of processes that only fit, their state explains it and proves nothing.
        return (verdict, if facts.holders().is_empty() { Certainty::Likely } else { sure });
    }
    if facts.life.iter().any(|life| has_room_for_no_more(facts, life)) {
        return (Verdict::TargetOutOfFds, Certainty::Likely);
    }
    if timeout::queue_is_full(facts) {
        return (Verdict::AcceptQueueFull, Certainty::Proven);
    }
    (Verdict::TargetNotAccepting, Certainty::Proven)
}

/// Whether connections left the queue during the trace that had waited before: it accepts, one after another, and had not
/// come to ours. Those that came meanwhile are not known and would make the queue longer.
pub(super) fn accepts_others(facts: &ReachFacts) -> bool {
    let (Lookup::Found(before), Lookup::Found(after)) = (&facts.before, &facts.after) else { return false };
    let waiting = |connection: &&Connection| connection.is_waiting();
    let ours = facts.trace.connections.iter().filter(waiting).count() as u32;
    let same = before.inode == after.inode && before.receive_queue > 0;
    same && after.receive_queue < before.receive_queue + ours && after.receive_queue <= after.send_queue
}

/// What keeps one of these processes from accepting, as far as its signs of life say.
pub(crate) fn kept_from_accepting(lives: &[Life]) -> Option<Judged> {
    if let Some(judged) = standstill(lives) {
        return Some(judged);
    }
    if lives.iter().any(|life| life.after.out_of_descriptors()) {
        return Some((Verdict::TargetOutOfFds, Certainty::Proven));
    }
    lives.iter().any(computes).then_some((Verdict::TargetBusyLoop, Certainty::Proven))
}

/// Standard input, output and error, and a file or two.
const OTHER_DESCRIPTORS: u64 = 5;

/// Whether the sockets that everybody sees fill the limit of a process whose descriptors may not be counted.
fn has_room_for_no_more(facts: &ReachFacts, life: &Life) -> bool {
    let sockets = facts.rows.iter().filter(|row| row.inode != 0).count() as u64;
    let limit = life.after.descriptor_limit;
    life.after.descriptors.is_none() && limit.is_some_and(|limit| sockets + OTHER_DESCRIPTORS >= limit)
}

/// A process that cannot run, whatever it was about to do.
pub(crate) fn standstill(lives: &[Life]) -> Option<Judged> {
    let any = |test: fn(&Life) -> bool| lives.iter().any(test);
    if any(|life| life.after.state == 't') {
        return Some((Verdict::TargetInDebugger, Certainty::Proven));
    }
    if any(|life| life.after.state == 'T' || life.after.frozen) {
        return Some((Verdict::TargetSuspended, Certainty::Proven));
    }
    if any(|life| life.before.state == 'D' && life.after.state == 'D') {
        return Some((Verdict::TargetUninterruptible, Certainty::Proven));
    }
    None
}

pub(super) fn computes(life: &Life) -> bool {
    let (load, demand) = (life.after.load_since(&life.before), life.after.demand_since(&life.before));
    let queues = demand >= BUSY && has_had_its_turn(&life.before, &life.after);
    load >= BUSY || runs_on(&life.before, &life.after) && (load >= BUSY_UNDER_LOAD || queues)
}

/// Whether it could run at both moments.
pub(super) fn runs_on(before: &Vitals, after: &Vitals) -> bool {
    before.state == 'R' && after.state == 'R'
}

/// Whether it has run between the two moments; where the kernel keeps no account of it, it has.
pub(super) fn has_had_its_turn(before: &Vitals, after: &Vitals) -> bool {
    let account = after.queued.turns;
    account == 0 || account.saturating_sub(before.queued.turns) >= TURNS
}

/// The lives of the processes that serve the silent connection; where they cannot be told, all of them.
pub(super) fn serving(facts: &ReachFacts) -> Vec<&Life> {
    let serves = |life: &&Life| facts.served_by.iter().any(|held| held.holder.pid == life.after.pid);
    let serving: Vec<&Life> = facts.life.iter().filter(serves).collect();
    if serving.is_empty() { facts.life.iter().collect() } else { serving }
}

/// The service ended it without a byte.
fn ended(facts: &ReachFacts, first: &Connection) -> Judged {
    if facts.process_room.is_some() {
        return (Verdict::TargetCannotFork, Certainty::Likely);
    }
    if facts.local && facts.after == Lookup::Nobody {
        // It was there for the dial and is no more: it ended, perhaps of this very connection.
        return (Verdict::TargetFlapping, Certainty::Likely);
    }
    match first.ending {
        Ending::Reset(_) => (Verdict::TargetResets, Certainty::Proven),
        _ => (Verdict::TargetClosesEmpty, Certainty::Proven),
    }
}
