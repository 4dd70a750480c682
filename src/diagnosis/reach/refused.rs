//! C1, refused: a listener that is there is guarded by a filter; one that is not is somewhere else, or nowhere. Pure.

use super::facts::{Lookup, ReachFacts};
use super::judge::{Judged, listens_throughout};
use super::timeout;
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::probe::memory::Kill;
use crate::probe::sockets::Socket;

/// Why the dial was refused.
pub(super) fn judge(facts: &ReachFacts) -> Judged {
    if !facts.local {
        if loopback_beyond(facts).is_some() {
            return (Verdict::TargetOnOtherAddress, Certainty::Proven);
        }
        // What the other machine has cannot be seen from here.
        return timeout::blocked(facts).unwrap_or((Verdict::TargetNotRunning, Certainty::Likely));
    }
    if listens_throughout(facts) {
        return timeout::blocked(facts).unwrap_or((Verdict::FirewallReject, Certainty::Likely));
    }
    match facts.after {
        // It came between the dial and the look.
        Lookup::Found(_) => (Verdict::Unknown, Certainty::Unknown),
        Lookup::Nobody => nobody(facts, Certainty::Proven),
        Lookup::Unknown if facts.rows.is_empty() => nobody(facts, Certainty::Likely),
        Lookup::Unknown => (Verdict::Unknown, Certainty::Unknown),
    }
}

fn nobody(facts: &ReachFacts, sure: Certainty) -> Judged {
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
    if killed(facts).is_some() {
        return (Verdict::TargetKilledOom, Certainty::Likely);
    }
    if near(facts).is_some() {
        return (Verdict::TargetOnOtherPort, Certainty::Likely);
    }
    (Verdict::TargetNotRunning, sure)
}

/// A listener of the same family on the port, at another address or for another device.
pub(super) fn other_address(facts: &ReachFacts) -> Option<&Socket> {
    let ip = facts.ip()?;
    facts.listening().find(|row| row.local.ip().to_canonical().is_ipv4() == ip.is_ipv4())
}

/// A listener on the port that the namespace which has the address keeps to itself.
pub(super) fn loopback_beyond(facts: &ReachFacts) -> Option<&Socket> {
    let (beyond, _) = facts.beyond.as_ref()?;
    let alone = beyond.listeners.iter().all(|row| row.local.ip().to_canonical().is_loopback());
    beyond.listeners.first().filter(|_| alone)
}

/// A listener of the other family on the port.
pub(super) fn other_family(facts: &ReachFacts) -> Option<&Socket> {
    let ip = facts.ip()?;
    facts.listening().find(|row| row.local.ip().to_canonical().is_ipv4() != ip.is_ipv4())
}

/// A listener on a port that may have been meant.
pub(super) fn near(facts: &ReachFacts) -> Option<&Socket> {
    facts.absent.near.first()
}

/// A process that was killed for memory a while ago and took its whole cgroup with it, or was killed a moment ago.
pub(super) fn killed(facts: &ReachFacts) -> Option<&Kill> {
    facts.absent.kills.kills.iter().find(|kill| match kill.group_empty {
        Some(empty) => empty,
        None => kill.ago.as_secs() < 60,
    })
}
