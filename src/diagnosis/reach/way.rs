//! Facts about the path to an address that need no rules of `diagnosis::network`: counters and links. Pure.

use super::facts::ReachFacts;
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};

/// How many packets the namespace that has the address dropped during the trace because they were redirected to a
/// loopback address from outside.
pub(super) fn martians(facts: &ReachFacts) -> u64 {
    facts.beyond.as_ref().map_or(0, |(beyond, after)| after.saturating_sub(beyond.martians))
}

/// Whether the path to the address uses a loopback interface that is not up.
pub(super) fn loopback_is_down(facts: &ReachFacts) -> bool {
    let down = facts.routing.as_ref().and_then(|routing| routing.loopback()).is_some_and(|link| !link.up);
    down && (facts.local || facts.ip().is_some_and(|ip| ip.is_loopback()))
}

/// Whether a packet filter or connection tracking stops this connection.
pub(super) fn blocked(facts: &ReachFacts) -> Option<Judged> {
    let full = facts.settings.conntrack.is_some_and(|(count, most)| most > 0 && count >= most);
    if facts.changes.conntrack_drop > 0 && full {
        return Some((Verdict::ConntrackFull, Certainty::Proven));
    }
    None
}
