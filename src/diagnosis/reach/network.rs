//! The network's part in a diagnosis: links, routes and the packet filter, by the rules of `diagnosis::network`. Pure.
//!
//! The behaviour of the service and the limits of this process come first; the network explains what they cannot.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::facts::{Lookup, ReachFacts};
use super::listener::listens_throughout;
use crate::diagnosis::finding::{Check, Finding, Subject, Warning};
use crate::diagnosis::network::{
    Attempt, Listener, Surroundings, exposure, failure, firewall_check, large_packets, network_check, shaped,
};
use crate::diagnosis::verdict::{Certainty, Judged, Verdict};
use crate::probe::network::routing::Routing;
use crate::probe::trace::Dial;

/// The network's finding, if it replaces the verdict.
pub(super) fn found(facts: &ReachFacts, judged: Judged) -> Option<Finding> {
    let (attempt, around) = (attempt(facts)?, around(facts)?);
    if attempt.errno.is_none() {
        let slowed = matches!(judged.0, Verdict::Healthy | Verdict::TargetSlow);
        return slowed.then(|| shaped(around.routing).or_else(|| large_packets(&attempt, &around))).flatten();
    }
    if !is_open(judged) {
        return None;
    }
    failure(&attempt, &around).filter(|found| {
        // An unknown cause does not replace a proven verdict, but it may replace any other: a rejection without an
        // identified cause is no proof of a filter.
        found.certainty != Certainty::Unknown || judged.1 != Certainty::Proven
    })
}

/// Whether the network's rules know better than a verdict, or the verdict is only a guess.
fn is_open((verdict, certainty): Judged) -> bool {
    match verdict {
        Verdict::FirewallReject
        | Verdict::FirewallDrop
        | Verdict::FirewallConnlimit
        | Verdict::ConntrackFull
        | Verdict::ListenerIgnoresSyn
        | Verdict::LoopbackDown
        | Verdict::LoopbackRouteLost
        | Verdict::Unknown => true,
        // A policy, a route and an ICMPv6 message can all cause EACCES.
        Verdict::BindDeniedBySandbox | Verdict::TargetNotRunning => certainty != Certainty::Proven,
        _ => false,
    }
}

/// The lines `firewall` and `network` of the screen.
pub(super) fn checks(facts: &ReachFacts, found: Option<&Finding>) -> Vec<Check> {
    let Some((attempt, around)) = attempt(facts).zip(around(facts)) else { return Vec::new() };
    vec![firewall_check(&attempt, &around, found, 0.0), network_check(&attempt, &around, found, 0.0)]
}

/// The warning about a listener that other machines can reach.
pub(super) fn exposed(facts: &ReachFacts) -> Option<Warning> {
    let (listener, routing) = (facts.listener()?, facts.routing.as_ref()?);
    let v6only = listener.v6only.unwrap_or(false);
    exposure(listener.local, v6only, &routing.links, &routing.addresses, &facts.filter).warning()
}

fn around(facts: &ReachFacts) -> Option<Surroundings<'_>> {
    let routing: &Routing = facts.routing.as_ref()?;
    let (settings, changes) = (&facts.settings, &facts.changes);
    let (before, after) = (&facts.filter, facts.filter_after.as_ref().unwrap_or(&facts.filter));
    Some(Surroundings { routing, settings, changes, before, after })
}

/// The attempt as the network's rules see it; `None` for anything but TCP.
fn attempt(facts: &ReachFacts) -> Option<Attempt> {
    let Subject::Tcp(to) = facts.subject else { return None };
    let first = facts.first()?;
    let unspecified: IpAddr = match to.ip().to_canonical() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let errno = match first.dial {
        Dial::Connected(_) => None,
        Dial::Failed(errno, _) => Some(errno),
        Dial::TimedOut(_) => Some(libc::ETIMEDOUT),
    };
    let listener = match (&facts.before, &facts.after) {
        (_, Lookup::Nobody) => Listener::Nobody,
        (_, Lookup::Found(socket)) if listens_throughout(facts) => {
            Listener::Stable { waiting: socket.receive_queue, limit: socket.send_queue }
        }
        (Lookup::Unknown, Lookup::Unknown) => Listener::Unknown,
        _ => Listener::Changing,
    };
    let from = first.local.unwrap_or(SocketAddr::new(unspecified, 0));
    let (uid, gid) = facts.user;
    Some(Attempt { to, from, errno, uid, gid, listener })
}
