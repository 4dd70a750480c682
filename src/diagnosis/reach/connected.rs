//! C4, connected: the kernel accepted the connection, which does not mean that the program answers. Pure.

use super::answers::{answers, other_host, protocol};
use super::facts::{Life, Lookup, ReachFacts};
use super::life::kept_from_accepting;
use super::listener;
use super::listener::accepts_others;
use super::{loops, unanswered};
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};
use crate::probe::trace::protocol::Protocol;
use crate::probe::trace::{Connection, Ending};

/// Judges an open connection.
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

/// Whether the answer is the expected one.
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

/// The kernel took the connection, but the program does not: judges by the state of the program.
pub(super) fn not_accepted(facts: &ReachFacts) -> Judged {
    if accepts_others(facts) {
        return (Verdict::TargetSlow, Certainty::Proven);
    }
    if let Some((verdict, sure)) = kept_from_accepting(&facts.life) {
        // If the processes are only candidates, their state explains the fault but proves nothing.
        return (verdict, if facts.holders().is_empty() { Certainty::Likely } else { sure });
    }
    if facts.life.iter().any(|life| has_room_for_no_more(facts, life)) {
        return (Verdict::TargetOutOfFds, Certainty::Likely);
    }
    if listener::queue_is_full(facts) {
        return (Verdict::AcceptQueueFull, Certainty::Proven);
    }
    (Verdict::TargetNotAccepting, Certainty::Proven)
}

/// Descriptors assumed for other purposes: standard input, output and error, and a file or two.
const OTHER_DESCRIPTORS: u64 = 5;

/// Whether the sockets visible to every user fill the limit of a process whose descriptors this user may not count.
fn has_room_for_no_more(facts: &ReachFacts, life: &Life) -> bool {
    let sockets = facts.rows.iter().filter(|row| row.inode != 0).count() as u64;
    let limit = life.after.descriptor_limit;
    life.after.descriptors.is_none() && limit.is_some_and(|limit| sockets + OTHER_DESCRIPTORS >= limit)
}

/// The service ended the connection without a byte.
fn ended(facts: &ReachFacts, first: &Connection) -> Judged {
    if facts.process_room.is_some() {
        return (Verdict::TargetCannotFork, Certainty::Likely);
    }
    if facts.local && facts.after == Lookup::Nobody {
        // The listener existed for the dial and is gone now: the service ended, perhaps because of this very
        // connection.
        return (Verdict::TargetFlapping, Certainty::Likely);
    }
    match first.ending {
        Ending::Reset(_) => (Verdict::TargetResets, Certainty::Proven),
        _ => (Verdict::TargetClosesEmpty, Certainty::Proven),
    }
}
