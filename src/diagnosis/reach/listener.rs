//! What the kernel says of the listener and its queue, before the trace and after it. Pure.

use super::facts::{Lookup, ReachFacts};
use crate::probe::trace::Connection;

/// Whether the kernel names a listener now and named the same one before.
pub(super) fn listens_throughout(facts: &ReachFacts) -> bool {
    match (&facts.before, &facts.after) {
        (Lookup::Found(before), Lookup::Found(after)) => before.inode == after.inode,
        _ => false,
    }
}

/// Whether the kernel had to turn connections away for want of room in the listener's queue.
pub(super) fn queue_is_full(facts: &ReachFacts) -> bool {
    if let Some(unix) = &facts.unix {
        return unix.after.as_ref().is_some_and(|listening| listening.waiting > listening.limit);
    }
    let full = |socket: &crate::probe::sockets::Socket| socket.receive_queue > socket.send_queue;
    facts.after.socket().is_some_and(full)
        || facts.after.socket().is_some() && facts.changes.listen_overflows > 0
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
