//! Whether the parts of one route fit together, and whether the whole plan is small enough.
//!
//! How two routes affect each other is checked in `overlap` and `loops`.

use std::net::IpAddr;

use super::draft::Draft;
use super::targets;
use crate::address::{Host, ListenAddress, Protocol, Run, SourceAddress, UnixName};
use crate::config::{Place, Problem, Settings, Written, WrittenTarget};
use crate::units::{OrOff, counted};

/// The most listeners of one plan: as many as one address has ports.
const MAX_LISTENERS: usize = 65_535;

/// The most targets of one plan, each target of a range counted for its listener; and the most of one route.
const MAX_TARGETS: usize = 65_535;
const MAX_OF_ONE_ROUTE: usize = 1000;

/// Whether there are few enough listeners and targets to check each; if not, adds a problem at the first that exceeds
/// the limit.
pub(super) fn few_enough(drafts: &[Draft], problems: &mut Vec<Problem>) -> bool {
    let mut count = 0;
    for draft in drafts {
        for written in &draft.listen {
            count += written.value.count();
            if count > MAX_LISTENERS {
                let message = format!(
                    "up to here there are {count} listeners, and at most {MAX_LISTENERS} are allowed"
                );
                let problem = Problem::new(written.place.clone(), draft.key("listen"), message);
                problems.push(problem.help("write a smaller range of ports"));
                return false;
            }
        }
    }
    few_targets(drafts, problems)
}

fn few_targets(drafts: &[Draft], problems: &mut Vec<Problem>) -> bool {
    let mut count = 0;
    for draft in drafts {
        let own = draft.targets.len();
        count += own * draft.places();
        let too_many = if own > MAX_OF_ONE_ROUTE {
            format!("these are {own} targets, and a route has at most {MAX_OF_ONE_ROUTE}")
        } else if count > MAX_TARGETS {
            format!("up to here there are {count} targets, and at most {MAX_TARGETS} are allowed")
        } else {
            continue;
        };
        if let Some(first) = draft.targets.first() {
            let problem = Problem::new(first.address.place.clone(), first.path.clone(), too_many);
            problems.push(problem.help("write fewer of them, or smaller ranges"));
        }
        return false;
    }
    true
}

/// Adds a problem for each part of a route that does not fit the others.
pub(super) fn check(draft: &Draft, problems: &mut Vec<Problem>) {
    draft.lists().into_iter().for_each(|list| targets::check(list, problems));
    hellos(draft, problems);
    ranges(draft, problems);
    datagrams(draft, problems);
    endless(draft, problems);
    misplaced(draft, problems);
    idle_keys(draft, problems);
    proxied(draft, problems);
}

/// A proxy is asked for a host and a port alone.
fn proxied(draft: &Draft, problems: &mut Vec<Problem>) {
    for WrittenTarget { path, address, .. } in draft.targets.iter().filter(|_| draft.proxy.is_some()) {
        let to = address.value.first();
        let is_zoned = matches!(to.net(), Some((Host::Zoned(..), _)));
        let what = match &draft.settings.proxy_url {
            _ if is_zoned => "an interface of this machine means nothing to the proxy of proxy_url",
            Some(_) if to.unix().is_some() => {
                "a Unix socket of this machine cannot be dialled through proxy_url"
            }
            Some(_) if to.there().is_some() => {
                "what is at the other end of a tunnel cannot be dialled through proxy_url"
            }
            _ => continue,
        };
        let problem = Problem::new(address.place.clone(), path.clone(), what);
        problems.push(problem.help("write a host and a port, or proxy_url = \"off\""));
    }
}

/// Adds a problem for each key about hellos that can have no effect.
fn hellos(route: &Draft, problems: &mut Vec<Problem>) {
    if let (Some(written), None) = (&route.settings.hello_timeout, &route.hello) {
        let problem = Problem::new(
            written.place.clone(),
            route.key("hello_timeout"),
            "this key is for routes that read a client's hello, and this one does not",
        );
        problems.push(problem.help("leave it out, or add names, alpn or not_tls"));
    }
    for (key, place) in route.hello.iter().flat_map(|hello| &hello.keys) {
        if route.protocol == Protocol::Udp {
            let message = "this key is for tcp, and the route carries udp";
            let problem = Problem::new(place.clone(), route.key(key), message);
            problems.push(problem.help("leave it out, or write protocol = \"tcp\""));
        }
    }
}

/// A range of targets needs as many listeners: each listener has one target of the range.
fn ranges(draft: &Draft, problems: &mut Vec<Problem>) {
    let ports = |count: usize| counted(count, "port");
    for WrittenTarget { address: target, .. } in &draft.targets {
        let wanted = target.value.count();
        for written in draft.listen.iter().filter(|_| wanted > 1) {
            let count = written.value.count();
            if count != wanted {
                let message = format!("{} cannot be carried to {wanted} ports one to one", ports(count));
                let problem = Problem::new(written.place.clone(), draft.key("listen"), message);
                let problem = problem.label(ports(count)).also(target.place.clone(), ports(wanted));
                problems
                    .push(problem.help("write ranges of the same length, or one port as the target of all"));
            }
        }
    }
}

/// Unix sockets carry connections only.
fn datagrams(draft: &Draft, problems: &mut Vec<Problem>) {
    if draft.protocol != Protocol::Udp {
        return;
    }
    let is_unix = |listen: &ListenAddress| matches!(listen, ListenAddress::Unix(_));
    let listens = draft.listen.iter().filter(|it| is_unix(it.value.first()));
    let listens = listens.map(|it| (draft.key("listen"), &it.place));
    let dials_unix = |it: &&WrittenTarget| it.address.value.first().unix().is_some();
    let dials = draft.targets.iter().filter(dials_unix).map(|it| (it.path.clone(), &it.address.place));
    for (key, place) in listens.chain(dials) {
        let problem = Problem::new(place.clone(), key, "a Unix socket carries no datagrams here");
        problems.push(problem.help("write protocol = \"tcp\", or a host and a port"));
    }
}

/// Only its idle timeout ends a flow for certain.
fn endless(draft: &Draft, problems: &mut Vec<Problem>) {
    let Some(Written { value: OrOff(None), place }) = &draft.settings.idle_timeout else { return };
    if draft.protocol == Protocol::Udp {
        let message = "nothing else is certain to end a flow, so this cannot be off";
        let problem = Problem::new(place.clone(), draft.key("idle_timeout"), message);
        problems.push(problem.help("write a time, as \"2m\", or leave it out"));
    }
}

/// Adds a problem for each key of a route that is for the other protocol. (In the defaults it is allowed: they apply to
/// every route that it fits.)
fn misplaced(draft: &Draft, problems: &mut Vec<Problem>) {
    for (key, place) in draft.settings.written() {
        if let Some(of) = key.only.filter(|of| *of != draft.protocol) {
            let message = format!("this key is for {of}, and the route carries {}", draft.protocol);
            let problem = Problem::new(place.clone(), draft.key(key.name), message);
            let help = format!("leave it out, or write protocol = \"{of}\"");
            problems.push(problem.help(help));
        }
    }
}

/// Adds a problem for each key that can have no effect in the route. (In the defaults it is allowed: they apply to
/// every route that it fits.)
fn idle_keys(draft: &Draft, problems: &mut Vec<Problem>) {
    let listens_on = |what: fn(&ListenAddress) -> bool| draft.listen.iter().any(|it| what(it.value.first()));
    let on_every_v6 =
        listens_on(|it| matches!(it, ListenAddress::Net(net) if net.ip.is_ipv6() && net.ip.is_unspecified()));
    let on_a_file = listens_on(|it| matches!(it, ListenAddress::Unix(UnixName::Path(_))));
    let dials_no_address = draft.dials_no_address();
    fn place<T>(written: &Option<Written<T>>) -> Option<Place> {
        written.as_ref().map(|written| written.place.clone())
    }
    let has_network = listens_on(|it| matches!(it, ListenAddress::Net(_))) || !dials_no_address;
    let has_loopback = may_use_loopback(draft);
    let no_loopback = "this key is for sockets on loopback, and the route has none";
    let no_network = "the kernel reports every lost Unix socket, and the route has no other sockets";
    let is_udp = draft.protocol == Protocol::Udp;
    let s = &draft.settings;
    let source = s.source.as_ref().and_then(|list| list.first()).map(|first| first.place.clone());
    let no_file = "this key is for the file of a Unix socket, and the route listens on none";
    let by_tunnel = draft.targets.iter().any(|it| it.address.value.first().there().is_some());
    let no_way = match by_tunnel {
        true => "a target in a tunnel is not dialled from an address or an interface of this machine",
        false => "a Unix socket is not dialled from an address or an interface",
    };
    let keys = [
        (
            "v6only",
            place(&s.v6only),
            on_every_v6 || is_udp,
            "this key is for [::], and the route does not listen on it",
        ),
        ("socket_mode", place(&s.socket_mode), on_a_file, no_file),
        ("socket_owner", place(&s.socket_owner), on_a_file, no_file),
        ("socket_group", place(&s.socket_group), on_a_file, no_file),
        ("keepalive", place(&s.keepalive), has_network, no_network),
        ("user_timeout", place(&s.user_timeout), has_network, no_network),
        ("congestion", place(&s.congestion), has_loopback || is_udp, no_loopback),
        ("source", source, !dials_no_address, no_way),
        ("interface", place(&s.interface), !dials_no_address, no_way),
    ];
    for (key, place, fits, message) in keys {
        if let Some(place) = place.filter(|_| !fits && !draft.listen.is_empty()) {
            problems.push(Problem::new(place, draft.key(key), message).help("leave it out"));
        }
    }
}

/// Whether the route listens on loopback, or may dial an address there: its own targets or its proxy.
fn may_use_loopback(draft: &Draft) -> bool {
    let listens = |it: &Written<Run<ListenAddress>>| matches!(it.value.first(), ListenAddress::Net(net) if is_loopback(net.ip));
    // A name may be one of this machine.
    let dials = |it: &WrittenTarget| {
        it.address.value.first().net().is_some_and(|(host, _)| host.ip().is_none_or(is_loopback))
    };
    draft.listen.iter().any(listens) || draft.proxy.is_some() || draft.targets.iter().any(dials)
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// The addresses to dial from; empty if no target is dialled at an address. Adds a problem for each target that none of them
/// can reach: an IP address has one family, a name may have both.
pub(super) fn source(draft: &Draft, defaults: &Settings, problems: &mut Vec<Problem>) -> Option<Vec<IpAddr>> {
    let own = draft.settings.source.as_ref();
    let wanted =
        own.or(defaults.source.as_ref()).filter(|list| !list.is_empty() && !draft.dials_no_address());
    let Some(written) = wanted else {
        return Some(Vec::new());
    };
    let reaches = |ip: IpAddr| written.iter().any(|source| source.value.0.is_ipv4() == ip.is_ipv4());
    let mut all_can_be = true;
    for WrittenTarget { address, .. } in &draft.targets {
        let Some(ip) = address.value.first().net().and_then(|(host, _)| host.ip()) else { continue };
        if !reaches(ip) {
            all_can_be = false;
            let first: &Written<SourceAddress> = written.first()?;
            let key = if own.is_some() { draft.key("source") } else { "defaults.source".into() };
            let (has, needs) = if ip.is_ipv4() { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
            let message = format!("an {has} source cannot reach an {needs} target");
            let problem = Problem::new(first.place.clone(), key, message).label(has);
            let problem = problem.also(address.place.clone(), needs);
            problems
                .push(problem.help(format!("add an {needs} address of this machine, or leave source out")));
        }
    }
    all_can_be.then(|| written.iter().map(|source| source.value.0).collect())
}
