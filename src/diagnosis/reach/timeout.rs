//! C2, timed out: on loopback that is never the network. Pure.

use super::connected;
use super::facts::ReachFacts;
use super::judge::Judged;
use crate::diagnosis::verdict::{Certainty, Verdict};

/// Why nothing came back.
pub(super) fn judge(facts: &ReachFacts) -> Judged {
    if loopback_is_down(facts) {
        return (Verdict::LoopbackDown, Certainty::Proven);
    }
    if facts.changes.signature_missing() {
        return (Verdict::ListenerIgnoresSyn, Certainty::Proven);
    }
    if queue_is_full(facts) {
        return connected::not_accepted(facts);
    }
    if martians(facts) > 0 {
        return (Verdict::MartianLoopbackDnat, Certainty::Proven);
    }
    if let Some(judged) = blocked(facts) {
        return judged;
    }
    if facts.local {
        return (Verdict::FirewallDrop, Certainty::Likely);
    }
    (Verdict::Unknown, Certainty::Unknown)
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

/// How many packets the namespace that has the address dropped during the trace because they were led to a loopback
/// address from outside.
pub(super) fn martians(facts: &ReachFacts) -> u64 {
    facts.beyond.as_ref().map_or(0, |(beyond, after)| after.saturating_sub(beyond.martians))
}

/// Whether the address is reached by a loopback interface that is not up.
pub(super) fn loopback_is_down(facts: &ReachFacts) -> bool {
    let down = facts.routing.as_ref().and_then(|routing| routing.loopback()).is_some_and(|link| !link.up);
    down && (facts.local || facts.ip().is_some_and(|ip| ip.is_loopback()))
}

/// What a packet filter or the tracking of connections does to this one.
pub(super) fn blocked(facts: &ReachFacts) -> Option<Judged> {
    let full = facts.settings.conntrack.is_some_and(|(count, most)| most > 0 && count >= most);
    if facts.changes.conntrack_drop > 0 && full {
        return Some((Verdict::ConntrackFull, Certainty::Proven));
    }
    None
}
