//! Listeners near an address on which nothing listens. Pure.

use super::facts::ReachFacts;
use crate::probe::sockets::Socket;

/// A listener of the same family on the port, at another address or for another device.
pub(super) fn other_address(facts: &ReachFacts) -> Option<&Socket> {
    let ip = facts.ip()?;
    facts.listening().find(|row| row.local.ip().to_canonical().is_ipv4() == ip.is_ipv4())
}

/// A listener of the other family on the port.
pub(super) fn other_family(facts: &ReachFacts) -> Option<&Socket> {
    let ip = facts.ip()?;
    facts.listening().find(|row| row.local.ip().to_canonical().is_ipv4() != ip.is_ipv4())
}

/// A listener on the port that is reachable only inside the namespace that has the address.
pub(super) fn loopback_beyond(facts: &ReachFacts) -> Option<&Socket> {
    let (beyond, _) = facts.beyond.as_ref()?;
    let alone = beyond.listeners.iter().all(|row| row.local.ip().to_canonical().is_loopback());
    beyond.listeners.first().filter(|_| alone)
}

/// A listener on a port that may be the intended one.
pub(super) fn near(facts: &ReachFacts) -> Option<&Socket> {
    facts.absent.near.first()
}
