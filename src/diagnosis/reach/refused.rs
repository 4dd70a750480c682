//! C1, refused: if the listener exists, a filter rejected the connection; if not, the service is elsewhere or does not
//! run. Pure.

use super::facts::{Lookup, ReachFacts};
use super::kills::{killed_by_name, the_only_one_gone};
use super::listener::listens_throughout;
use super::nearby::{loopback_beyond, near, other_address, other_family};
use super::way;
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};

/// Why the dial was refused.
pub(super) fn judge(facts: &ReachFacts) -> Judged {
    if !facts.local {
        if loopback_beyond(facts).is_some() {
            return (Verdict::TargetOnOtherAddress, Certainty::Proven);
        }
        // The listeners of another machine cannot be seen from here.
        return way::blocked(facts).unwrap_or((Verdict::TargetNotRunning, Certainty::Likely));
    }
    if listens_throughout(facts) {
        return way::blocked(facts).unwrap_or((Verdict::FirewallReject, Certainty::Likely));
    }
    match facts.after {
        // The listener appeared between the dial and the lookup.
        Lookup::Found(_) => (Verdict::Unknown, Certainty::Unknown),
        Lookup::Nobody => without_listener(facts, Certainty::Proven),
        Lookup::Unknown if facts.rows.is_empty() => without_listener(facts, Certainty::Likely),
        Lookup::Unknown => (Verdict::Unknown, Certainty::Unknown),
    }
}

fn without_listener(facts: &ReachFacts, sure: Certainty) -> Judged {
    let absent = &facts.absent;
    if other_address(facts).is_some() {
        return (Verdict::TargetOnOtherAddress, sure);
    }
    if other_family(facts).is_some() {
        return (Verdict::TargetOnOtherFamily, sure);
    }
    if !absent.udp.is_empty() {
        return (Verdict::TargetIsUdp, sure);
    }
    if !absent.elsewhere.listeners.is_empty() {
        return (Verdict::TargetInOtherNetns, sure);
    }
    if !absent.unix.is_empty() {
        return (Verdict::TargetIsUnixSocket, Certainty::Likely);
    }
    if killed_by_name(facts).is_some() {
        return (Verdict::TargetKilledOom, Certainty::Likely);
    }
    if near(facts).is_some() {
        return (Verdict::TargetOnOtherPort, Certainty::Likely);
    }
    if the_only_one_gone(facts).is_some() {
        return (Verdict::TargetKilledOom, Certainty::Likely);
    }
    (Verdict::TargetNotRunning, sure)
}
