//! Chooses the rules that apply, and holds those for a dial that neither connected nor was refused nor timed out. Pure.

use super::facts::ReachFacts;
use super::way;
use super::{connected, refused, timeout, udp, unix};
use crate::address::is_localhost;
use crate::diagnosis::finding::Subject;
use crate::diagnosis::own_limits;
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};
use crate::probe::network::resolver::Answer;
use crate::probe::network::routing::Route;
use crate::probe::trace::Dial;

/// The verdict on these facts.
pub(super) fn judge(facts: &ReachFacts) -> Judged {
    let judged = match facts.subject {
        Subject::Tcp(_) => name(facts).unwrap_or_else(|| tcp(facts)),
        Subject::Udp(_) => name(facts).unwrap_or_else(|| udp::judge(facts)),
        Subject::Unix(_) => unix::judge(facts),
        // Tunnels are judged in a room of their own.
        Subject::Tunnel { .. } => (Verdict::Unknown, Certainty::Unknown),
    };
    // A limit that leaves room for few sessions is no reason for what was found at the target.
    if judged.0 == Verdict::Healthy && own_limits::has_too_few(&facts.descriptors) {
        return (Verdict::OwnFdLimit, Certainty::Proven);
    }
    judged
}

/// What is wrong with the name itself. A `localhost` that is mapped elsewhere is no fault if the service is there.
fn name(facts: &ReachFacts) -> Option<Judged> {
    let asked = facts.name.as_deref()?;
    if !is_localhost(asked) {
        return None;
    }
    let Some(Answer { addresses, .. }) = &facts.localhost.answer else { return None };
    match addresses {
        Err(_) => Some((Verdict::LocalhostUnresolvable, Certainty::Proven)),
        Ok(addresses) if addresses.is_empty() => Some((Verdict::LocalhostUnresolvable, Certainty::Proven)),
        Ok(addresses) => {
            let usual = ["127.0.0.1", "::1"].map(|ip| ip.parse().ok());
            let strange = addresses.iter().any(|ip| !usual.contains(&Some(*ip)));
            let fails = !facts.trace.connections.iter().any(|connection| connection.connected());
            (strange && fails).then_some((Verdict::LocalhostRemapped, Certainty::Proven))
        }
    }
}

fn tcp(facts: &ReachFacts) -> Judged {
    let Some(first) = facts.first() else { return (Verdict::Unknown, Certainty::Unknown) };
    let judged = match first.dial {
        Dial::Connected(_) => connected::judge(facts),
        Dial::TimedOut(_) | Dial::Failed(libc::ETIMEDOUT, _) => timeout::judge(facts),
        Dial::Failed(libc::ECONNREFUSED, _) => refused::judge(facts),
        Dial::Failed(errno, _) => failed(facts, errno),
    };
    // A listener that disappears a moment later is not a service to rely on.
    let flaps = facts.watch.as_ref().is_some_and(|watch| watch.went > 0);
    let excused = !matches!(
        judged.0,
        Verdict::Healthy
            | Verdict::TargetNotRunning
            | Verdict::TargetClosesEmpty
            | Verdict::TargetResets
            | Verdict::TargetOnOtherPort
            | Verdict::Unknown
    );
    if flaps && !excused { (Verdict::TargetFlapping, Certainty::Proven) } else { judged }
}

/// Judges any other errno: the path, the machine's limits, or a policy.
fn failed(facts: &ReachFacts, errno: i32) -> Judged {
    let v6 = facts.ip().is_some_and(|ip| ip.is_ipv6());
    match errno {
        libc::EMFILE => (Verdict::OwnFdLimit, Certainty::Proven),
        libc::ENFILE => (Verdict::SystemFileLimit, Certainty::Proven),
        libc::EAFNOSUPPORT if v6 => (Verdict::Ipv6Disabled, Certainty::Proven),
        libc::EADDRNOTAVAIL => address_not_available(facts),
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN => unreachable(facts),
        libc::EINVAL if lacks_scope(facts) => (Verdict::MissingScope, Certainty::Proven),
        // The kernel's own filters answer EPERM, Landlock and the security modules EACCES.
        libc::EPERM => way::blocked(facts).unwrap_or((Verdict::BindDeniedBySandbox, Certainty::Likely)),
        libc::EACCES => (Verdict::BindDeniedBySandbox, Certainty::Likely),
        libc::ECONNRESET => (Verdict::TargetResets, Certainty::Likely),
        _ => (Verdict::Unknown, Certainty::Unknown),
    }
}

fn lacks_scope(facts: &ReachFacts) -> bool {
    matches!(facts.address(), Some(std::net::SocketAddr::V6(v6)) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0)
}

/// connect(2) returns the same error for a source address that does not exist and for exhausted source ports.
fn address_not_available(facts: &ReachFacts) -> Judged {
    let v6 = facts.ip().is_some_and(|ip| ip.is_ipv6());
    if v6 && !facts.network.ipv6.as_ref().is_some_and(|own| own.iter().any(|own| own.ip.is_loopback())) {
        return if way::loopback_is_down(facts) {
            (Verdict::LoopbackDown, Certainty::Proven)
        } else {
            (Verdict::Ipv6Disabled, Certainty::Proven)
        };
    }
    let ports = &facts.source_ports;
    if ports.is_exhausted() {
        (Verdict::EphemeralPortsExhausted, Certainty::Proven)
    } else if ports.range == 0 || ports.used() >= ports.range / 2 {
        // Ports that are bound and not connected are in use too, and not counted.
        (Verdict::EphemeralPortsExhausted, Certainty::Likely)
    } else {
        (Verdict::Unknown, Certainty::Unknown)
    }
}

fn unreachable(facts: &ReachFacts) -> Judged {
    let has_way = facts.routing.as_ref().is_some_and(|routing| matches!(routing.route, Route::Way(_)));
    if way::loopback_is_down(facts) {
        return (Verdict::LoopbackDown, Certainty::Proven);
    }
    if has_way && facts.local {
        return way::blocked(facts).unwrap_or((Verdict::FirewallReject, Certainty::Likely));
    }
    if facts.ip().is_some_and(|ip| ip.is_loopback()) {
        return (Verdict::LoopbackRouteLost, Certainty::Proven);
    }
    (Verdict::Unknown, Certainty::Unknown)
}
