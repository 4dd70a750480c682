//! What the kernel reports about the listener and its queue, before the trace and after it. Pure.

use super::facts::{Lookup, ReachFacts};
use crate::probe::trace::Connection;

/// Whether the kernel reports the same listener before and after the trace.
pub(super) fn listens_throughout(facts: &ReachFacts) -> bool {
    match (&facts.before, &facts.after) {
        (Lookup::Found(before), Lookup::Found(after)) => before.inode == after.inode,
        _ => false,
    }
}

/// Whether the kernel rejected connections because the listener's queue was full.
pub(super) fn queue_is_full(facts: &ReachFacts) -> bool {
    if let Some(unix) = &facts.unix {
        return unix.after.as_ref().is_some_and(|listening| listening.waiting > listening.limit);
    }
    let full = |socket: &crate::probe::sockets::Socket| socket.receive_queue > socket.send_queue;
    facts.after.socket().is_some_and(full)
        || facts.after.socket().is_some() && facts.changes.listen_overflows > 0
}

/// Whether connections that had waited before the trace left the queue during it: the service accepts, one after
/// another, and had not reached ours. Connections that arrived meanwhile are unknown and would make the queue longer.
pub(super) fn accepts_others(facts: &ReachFacts) -> bool {
    let (Lookup::Found(before), Lookup::Found(after)) = (&facts.before, &facts.after) else { return false };
    let waiting = |connection: &&Connection| connection.is_waiting();
    let ours = facts.trace.connections.iter().filter(waiting).count() as u32;
    let same = before.inode == after.inode && before.receive_queue > 0;
    same && after.receive_queue < before.receive_queue + ours && after.receive_queue <= after.send_queue
}
