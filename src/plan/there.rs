//! Whether the routes that listen or dial in a tunnel fit it, and are in this version.

use std::collections::BTreeSet;

use super::draft::Draft;
use crate::address::{ListenAddress, ListenThere, Protocol, There, TunnelName};
use crate::config::{Place, Problem, Settings, Written, WrittenTarget, WrittenTunnelOf};
use crate::units::OrOff;

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
pub(super) fn check(draft: &Draft, defaults: &Settings, problems: &mut Vec<Problem>) {
    if draft.protocol == Protocol::Udp {
        datagrams(draft, problems);
        return;
    }
    names(draft, problems);
    itself(draft, problems);
    sockets(draft, defaults, problems);
    target_tls(draft, problems);
}

fn datagrams(draft: &Draft, problems: &mut Vec<Problem>) {
    let listens = listens(draft).map(|(_, place)| (draft.key("listen"), place));
    let dials = dials(draft).map(|it| (it.path.clone(), &it.address.place));
    for (key, place) in listens.chain(dials) {
        let message = "not in this version: datagrams through a tunnel";
        let help = match place {
            Place::Argument(_) => "leave /udp out",
            Place::Text(_) | Place::File => {
                "write protocol = \"tcp\", or an address of this machine or its network"
            }
        };
        problems.push(Problem::new(place.clone(), key, message).help(help));
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

/// Keys that need the visitor's own connection, which is at the other end.
fn sockets(draft: &Draft, defaults: &Settings, problems: &mut Vec<Problem>) {
    let Some((there, listen)) = listens(draft).next() else { return };
    let (own, hello) = (&draft.settings, draft.hello.as_ref());
    let first = |list: &Option<Vec<Written<_>>>| list.iter().flatten().next().map(|it| it.place.clone());
    let timeout = |it: &Option<Written<OrOff<_>>>| {
        it.as_ref().filter(|it| it.value.0.is_some()).map(|it| it.place.clone())
    };
    let of_defaults = |is_own: bool, place: Option<Place>| place.filter(|_| !is_own);
    let keys = [
        ("tls", own.tls.place.clone(), None),
        (
            "accept_proxy",
            first(&own.accept_proxy),
            of_defaults(own.accept_proxy.is_some(), first(&defaults.accept_proxy)),
        ),
        (
            "client_timeout",
            timeout(&own.client_timeout),
            of_defaults(own.client_timeout.is_some(), timeout(&defaults.client_timeout)),
        ),
    ];
    let hellos =
        hello.iter().flat_map(|hello| &hello.keys).map(|(key, place)| (*key, Some(place.clone()), None));
    for (key, of_route, of_defaults) in keys.into_iter().chain(hellos) {
        let message = format!("not in this version: {key} for clients that come by a tunnel, as by {there}");
        if let Some(place) = of_route {
            let help = format!("leave it out, or set it at the other end of tunnel {}", there.tunnel);
            problems.push(
                Problem::new(place, draft.key(key), message).help(help).also(listen.clone(), "by this"),
            );
        } else if of_defaults.is_some() {
            let help = format!("write {key} = \"off\" in the route: that of [defaults] is meant for others");
            problems.push(Problem::new(listen.clone(), draft.key("listen"), message).help(help));
        }
    }
}

fn target_tls(draft: &Draft, problems: &mut Vec<Problem>) {
    let Some(place) = &draft.settings.target_tls.place else { return };
    if let Some(target) = dials(draft).next() {
        let message = "not in this version: TLS with a target at the other end of a tunnel";
        let problem = Problem::new(place.clone(), draft.key("target_tls"), message);
        let problem = problem.also(target.address.place.clone(), "this one");
        problems.push(
            problem.help("leave it out: the tunnel is secured; or set it in the route at the other end"),
        );
    }
}
