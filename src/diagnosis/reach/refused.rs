//! C1, refused: a listener that is there is guarded by a filter; one that is not is somewhere else, or nowhere. Pure.

use std::time::Duration;

use super::facts::{Lookup, ReachFacts};
use super::judge::{Judged, listens_throughout};
use super::timeout;
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::probe::process::memory::Kill;
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

/// A kill of longer ago, or one that left its service alive, explains no port that is empty now.
const MOMENTS_AGO: Duration = Duration::from_secs(60);
/// Shorter names fit too much.
const LEAST_NAME: usize = 4;

/// The process killed for memory that the verdict is about: the kernel keeps no record of what ports it had.
pub(super) fn killed(facts: &ReachFacts) -> Option<&Kill> {
    killed_by_name(facts).or_else(|| the_only_one_gone(facts))
}

/// One whose name, or whose unit's, is that of the service which the port is known for.
fn killed_by_name(facts: &ReachFacts) -> Option<&Kill> {
    let service = facts.absent.usual.as_ref()?.to_ascii_lowercase();
    let is_it = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.len() >= LEAST_NAME
            && service.len() >= LEAST_NAME
            && (name.starts_with(&service) || service.starts_with(&name))
    };
    let unit = |kill: &Kill| kill.cgroup.rsplit('/').next().unwrap_or_default().to_owned();
    let gone = |kill: &&Kill| kill.group_empty != Some(false);
    facts.absent.kills.kills.iter().filter(gone).find(|kill| is_it(&kill.comm) || is_it(&unit(kill)))
}

/// By elimination: moments ago one service of this machine lost its last process to memory, nobody has started it again,
/// and nothing else was found.
fn the_only_one_gone(facts: &ReachFacts) -> Option<&Kill> {
    let mut gone = recent(facts).filter(|kill| kill.group_empty == Some(true));
    let only = gone.next()?;
    gone.all(|other| other.cgroup == only.cgroup).then_some(only)
}

fn recent(facts: &ReachFacts) -> impl Iterator<Item = &Kill> {
    facts.absent.kills.kills.iter().filter(|kill| kill.ago < MOMENTS_AGO)
}

/// The latest kill of which nothing says that it was this service: worth a look, and no verdict.
pub(super) fn perhaps_killed(facts: &ReachFacts) -> Option<&Kill> {
    recent(facts).find(|kill| kill.group_empty != Some(false))
}
