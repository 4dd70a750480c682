//! Whether the routes that listen or dial in a tunnel fit it, and are in this version.

use std::collections::BTreeSet;

use super::draft::Draft;
use crate::address::{ListenAddress, ListenThere, Protocol, There, TunnelName};
use crate::config::{Place, Problem, Written, WrittenTarget, WrittenTunnelOf};

/// Adds a problem for each place in a tunnel that the configuration does not have.
pub(super) fn known(drafts: &[Draft], tunnels: &[WrittenTunnelOf], problems: &mut Vec<Problem>) {
    let known: BTreeSet<&TunnelName> = tunnels.iter().map(|of| &of.name).collect();
    let mut unknown = |key: String, place: &Place, tunnel: &TunnelName| {
        if known.contains(tunnel) {
            return;
        }
        let names: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
        let help = match names[..] {
            [] => format!(
                "add [tunnels.{tunnel}] with the public_key of the other end, and connect if it is dialled from here"
            ),
            _ => format!("add [tunnels.{tunnel}]; there is {}", names.join(", ")),
        };
        problems.push(Problem::new(place.clone(), key, format!("there is no tunnel {tunnel}")).help(help));
    };
    for draft in drafts {
        for (there, place) in listens(draft) {
            unknown(draft.key("listen"), place, &there.tunnel);
        }
        for WrittenTarget { path, address, .. } in &draft.targets {
            if let Some(there) = address.value.first().there() {
                unknown(path.clone(), &address.place, &there.tunnel);
            }
        }
    }
}

/// The entries of `listen` that are in a tunnel.
fn listens(draft: &Draft) -> impl Iterator<Item = (&ListenThere, &Place)> {
    draft.listen.iter().filter_map(|Written { value, place }| match value.first() {
        ListenAddress::There(there) => Some((there, place)),
        ListenAddress::Net(_) | ListenAddress::Unix(_) => None,
    })
}

/// The targets that are in a tunnel.
fn dials(draft: &Draft) -> impl Iterator<Item = &WrittenTarget> {
    draft.targets.iter().filter(|target| target.address.value.first().there().is_some())
}

/// Adds a problem for each part of a route that cannot be in a tunnel.
pub(super) fn check(draft: &Draft, problems: &mut Vec<Problem>) {
    names(draft, problems);
    itself(draft, problems);
    if draft.protocol == Protocol::Udp {
        datagrams(draft, problems);
    }
}

/// Unix sockets carry connections only, at the other end as well.
fn datagrams(draft: &Draft, problems: &mut Vec<Problem>) {
    let is_unix =
        |there: &ListenThere| matches!(there.at.as_ref().map(|at| at.first()), Some(ListenAddress::Unix(_)));
    let listens = listens(draft).filter(|(there, _)| is_unix(there));
    let listens = listens.map(|(_, place)| (draft.key("listen"), place));
    let dials_unix = |it: &&WrittenTarget| {
        let there = it.address.value.first().there();
        matches!(there.map(|there| &there.to), Some(There::Address(to)) if to.unix().is_some())
    };
    let dials = dials(draft).filter(dials_unix).map(|it| (it.path.clone(), &it.address.place));
    for (key, place) in listens.chain(dials) {
        let problem = Problem::new(place.clone(), key, "a Unix socket carries no datagrams there");
        problems.push(problem.help("write protocol = \"tcp\", or a host and a port"));
    }
}

/// A route that is offered by its name alone needs one that can be dialled.
fn names(draft: &Draft, problems: &mut Vec<Problem>) {
    let named: Vec<_> = listens(draft).filter(|(there, _)| there.at.is_none()).collect();
    let mut seen = BTreeSet::new();
    for (again, place) in named.iter().filter(|(there, _)| !seen.insert(&there.tunnel)) {
        let message = format!("{again} is listed twice");
        let problem = Problem::new((*place).clone(), draft.key("listen"), message);
        problems.push(problem.help("leave one of the two out"));
    }
    let has_letter = draft.name.0.chars().any(char::is_alphabetic);
    if let (Some((there, place)), false) = (named.first(), has_letter) {
        let tunnel = &there.tunnel;
        let message =
            format!("the route is dialled there by its name, and tunnel:{tunnel}/{} is a port", draft.name);
        let problem = Problem::new((*place).clone(), draft.key("listen"), message);
        problems.push(problem.help("give the route a name with a letter in it"));
    }
}

/// What comes out of a tunnel cannot go back into it as itself.
fn itself(draft: &Draft, problems: &mut Vec<Problem>) {
    for WrittenTarget { path, address, .. } in dials(draft) {
        let Some(to) = address.value.first().there() else { continue };
        let There::Service(service) = &to.to else { continue };
        let back = listens(draft).find(|(from, _)| from.tunnel == to.tunnel);
        if let Some((from, place)) = back.filter(|_| *service == draft.name.0) {
            let message = format!("this route is {service} at both ends of tunnel {}", from.tunnel);
            let problem = Problem::new(address.place.clone(), path.clone(), message);
            let problem = problem.also(place.clone(), "it listens in it here");
            problems.push(problem.help("give it another name here, or dial the service itself"));
        }
    }
}
