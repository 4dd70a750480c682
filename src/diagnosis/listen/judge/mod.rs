//! Why listening on an address failed: the rules. Pure.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::facts::{BindFacts, Blocker};
use super::overlap::Overlap;
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};
use crate::outcome::Holder;
use crate::probe::sockets::TcpState;
use crate::probe::sockets::ports::Transport;

impl BindFacts {
    /// Every process that holds the address, once, the oldest first, so that a master stands before its workers.
    pub(super) fn holders(&self) -> Vec<&Holder> {
        let decisive: Vec<u32> = decisive(self).iter().map(|blocker| blocker.socket.inode).collect();
        let mut seen = BTreeSet::new();
        let held = self.held.iter().filter(|held| decisive.contains(&held.inode));
        let mut holders: Vec<&Holder> =
            held.map(|held| &held.holder).filter(|holder| seen.insert(holder.pid)).collect();
        holders.sort_by_key(|holder| holder.seniority());
        holders
    }
}

/// The verdict on these facts.
pub(super) fn judge(facts: &BindFacts) -> Judged {
    let v6 = facts.address.is_ipv6();
    match facts.errno {
        libc::EADDRINUSE if facts.address.port() == 0 => {
            (Verdict::EphemeralPortsExhausted, Certainty::Likely)
        }
        libc::EADDRINUSE => judge_taken(facts),
        libc::EACCES | libc::EPERM => judge_denied(facts),
        libc::EADDRNOTAVAIL => judge_absent(facts),
        libc::EINVAL if lacks_scope(facts.address) => (Verdict::MissingScope, Certainty::Proven),
        // The interface named by the scope does not exist.
        libc::ENODEV => (Verdict::AddressNotLocal, Certainty::Proven),
        // If addresses of the family exist, the kernel supports it, and a system call filter refused.
        libc::EAFNOSUPPORT
            if facts.rights.seccomp && !(v6 && facts.network.ipv6.as_ref().is_some_and(Vec::is_empty)) =>
        {
            (Verdict::BindDeniedBySandbox, Certainty::Likely)
        }
        libc::EAFNOSUPPORT if v6 => (Verdict::Ipv6Disabled, Certainty::Proven),
        libc::ENOSYS if facts.rights.seccomp => (Verdict::BindDeniedBySandbox, Certainty::Likely),
        libc::EMFILE => (Verdict::OwnFdLimit, Certainty::Proven),
        libc::ENFILE => (Verdict::SystemFileLimit, Certainty::Proven),
        _ => (Verdict::Unknown, Certainty::Unknown),
    }
}

/// The sockets that decide the verdict: the listeners, else the bound sockets, else the connections that a process has,
/// else those without a process. The blockers are sorted in this order.
pub(super) fn decisive(facts: &BindFacts) -> Vec<&Blocker> {
    let kind = |blocker: &Blocker| match blocker.socket.state {
        TcpState::Listen => 0,
        TcpState::Close | TcpState::BoundInactive => 1,
        _ if blocker.socket.inode != 0 => 2,
        _ => 3,
    };
    let best = facts.blockers.iter().map(kind).min();
    facts.blockers.iter().filter(|blocker| Some(kind(blocker)) == best).collect()
}

fn judge_taken(facts: &BindFacts) -> Judged {
    let blockers = decisive(facts);
    let Some(first) = blockers.first() else { return (Verdict::Unknown, Certainty::Unknown) };
    match first.socket.state {
        TcpState::Listen => (judge_listeners(facts, &blockers), Certainty::Proven),
        TcpState::Close if facts.transport == Transport::Udp => {
            (judge_listeners(facts, &blockers), Certainty::Proven)
        }
        // It blocks the bind unless it has SO_REUSEADDR set, which the kernel does not show.
        TcpState::Close | TcpState::BoundInactive => (judge_listeners(facts, &blockers), Certainty::Likely),
        _ if first.socket.inode == 0 => (Verdict::PortInTimeWait, Certainty::Proven),
        _ => judge_connections(facts, &blockers),
    }
}

fn judge_listeners(facts: &BindFacts, blockers: &[&Blocker]) -> Verdict {
    let holders_of = |blocker: &Blocker| {
        let inode = blocker.socket.inode;
        facts.held.iter().filter(move |held| held.inode == inode).map(|held| &held.holder)
    };
    let holders: Vec<&Holder> = blockers.iter().flat_map(|blocker| holders_of(blocker)).collect();
    if holders.is_empty() {
        return Verdict::PortHeldHidden;
    }
    // A listener of this very process is a conflict within one configuration, not a second start.
    let is_another_of_us = |holder: &Holder| holder.same_program && !holder.this_process;
    if blockers.iter().all(|blocker| holders_of(blocker).any(is_another_of_us)) {
        return Verdict::AlreadyRunning;
    }
    if holders.iter().all(|holder| holder.suspended()) {
        return Verdict::PortHeldBySuspended;
    }
    let pids: BTreeSet<u32> = holders.iter().map(|holder| holder.pid).collect();
    if pids.iter().all(|pid| facts.idle.contains(pid)) {
        return Verdict::PortHeldByLeftoverChild;
    }
    if facts.shares == Some(true) && blockers.iter().all(|blocker| blocker.socket.uid != facts.rights.uid) {
        return Verdict::ReuseportOtherUser;
    }
    match blockers.iter().map(|blocker| blocker.overlap).min() {
        Some(Overlap::Wildcard) => Verdict::PortHeldByWildcard,
        Some(Overlap::DualStack) => Verdict::PortHeldByDualStack,
        Some(Overlap::Specific) => Verdict::WildcardBlockedBySpecific,
        _ if pids.len() > 1 => Verdict::PortHeldByGroup,
        _ => Verdict::PortHeld,
    }
}

/// The highest port assumed to be a service's; the default range for outgoing connections starts above it.
const LAST_SERVICE_PORT: u16 = 32767;

/// Which end of the connection dialled, this one or the other?
fn judge_connections(facts: &BindFacts, blockers: &[&Blocker]) -> Judged {
    let dialled = |blocker: &&Blocker| blocker.socket.state == TcpState::SynSent || blocker.remote_listens;
    let looks_dialled = |blocker: &&Blocker| {
        facts.ports.may_be_drawn(facts.address.port()) && blocker.socket.remote.port() <= LAST_SERVICE_PORT
    };
    if blockers.iter().all(dialled) {
        return (Verdict::PortHeldByOutgoing, Certainty::Proven);
    }
    if blockers.iter().all(|blocker| dialled(blocker) || looks_dialled(blocker)) {
        return (Verdict::PortHeldByOutgoing, Certainty::Likely);
    }
    (Verdict::PortHeldByOldConnections, Certainty::Likely)
}

fn judge_denied(facts: &BindFacts) -> Judged {
    let low = facts.address.port() < facts.ports.first_unprivileged;
    match facts.errno {
        libc::EACCES if low && !facts.rights.may_bind_low_ports => {
            (Verdict::PortPrivileged, Certainty::Proven)
        }
        // A capability within a user namespace has no effect on a network namespace outside it.
        libc::EACCES if low && facts.rights.in_user_namespace => (Verdict::PortPrivileged, Certainty::Likely),
        _ => (Verdict::BindDeniedBySandbox, Certainty::Likely),
    }
}

fn judge_absent(facts: &BindFacts) -> Judged {
    let ip = facts.address.ip();
    let down = facts.own_link().is_some_and(|link| !link.up);
    if let (true, Some(ipv6)) = (ip.is_ipv6(), &facts.network.ipv6) {
        if facts.ipv6_off || ipv6.is_empty() && !down {
            return (Verdict::Ipv6Disabled, Certainty::Proven);
        }
        // ::1 exists whenever IPv6 is on and lo is up.
        if ip.is_loopback() && facts.network.has(ip) == Some(false) {
            let verdict = if down { Verdict::LoopbackDown } else { Verdict::LoopbackRouteLost };
            return (verdict, Certainty::Proven);
        }
        // While its link is down, an address stays tentative indefinitely.
        if !down && ipv6.iter().any(|own| own.ip == ip && (own.tentative || own.duplicate)) {
            return (Verdict::AddressTentative, Certainty::Proven);
        }
    }
    match facts.network.has(ip) {
        Some(false) => (Verdict::AddressNotLocal, Certainty::Proven),
        Some(true) if down || on_another_link(facts) => (Verdict::AddressNotLocal, Certainty::Proven),
        None => (Verdict::AddressNotLocal, Certainty::Likely),
        Some(true) => (Verdict::Unknown, Certainty::Unknown),
    }
}

/// Whether a link-local address carries the scope of a link that does not have it.
pub(super) fn on_another_link(facts: &BindFacts) -> bool {
    match facts.address {
        SocketAddr::V6(v6) => v6.scope_id() != 0 && facts.link.is_some_and(|link| link != v6.scope_id()),
        SocketAddr::V4(_) => false,
    }
}

fn lacks_scope(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0)
}

#[cfg(test)]
mod tests;
