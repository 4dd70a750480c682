//! C2, timed out: on loopback the network is never the cause. Pure.

use super::connected;
use super::facts::ReachFacts;
use super::listener::queue_is_full;
use super::way::{blocked, loopback_is_down, martians};
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};

/// Why the dial timed out.
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
