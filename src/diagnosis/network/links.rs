//! Links and routes: whether a packet to the address leaves this machine, or arrives, at all.

use std::net::IpAddr;

use super::attempt::{Attempt, Surroundings};
use crate::diagnosis::finding::Finding;
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::probe::network::routing::{
    Forbidding, Link, Neighbour, Path, PolicyRule, Route, RouteKind, Routing,
};

pub(super) fn failure(attempt: &Attempt, around: &Surroundings<'_>) -> Option<Finding> {
    let routing = around.routing;
    let ip = attempt.to.ip().to_canonical();
    if attempt.is_local(routing) {
        loopback_down(ip, routing).or_else(|| local_route(ip, around))
    } else {
        no_way(ip, routing).or_else(|| next_hop(ip, attempt, routing))
    }
}

/// Every connection within this machine goes over the loopback interface, whatever its address.
fn loopback_down(ip: IpAddr, routing: &Routing) -> Option<Finding> {
    let lo = routing.loopback().filter(|lo| !lo.up)?;
    let never = !routing.addresses.iter().any(|address| address.link == lo.index);
    let (summary, how) = if never {
        let summary = format!("the loopback interface {} was never brought up here", lo.name);
        (
            summary,
            "it has no address either, as in a new network namespace: a container, unshare -n, a sandbox",
        )
    } else {
        let summary = format!("the loopback interface {} is down", lo.name);
        (summary, "connections within this machine use it, whatever their address")
    };
    Some(
        Finding::new(Verdict::LoopbackDown, Certainty::Proven, summary)
            .detail("how", how)
            .detail("proof", format!("{} lacks the flag UP, and the path to {ip} uses it", lo.name))
            .fact(
                "rtnetlink",
                format!("{} is down", lo.name),
                serde_json::json!({"link": lo.name, "up": false}),
            )
            .fix(&["ip", "link", "set", &lo.name, "up"], true, "none"),
    )
}

/// 127.0.0.0/8 and ::1 are local because of a route in the table `local`, which comes with an address on the loopback
/// interface.
fn local_route(ip: IpAddr, around: &Surroundings<'_>) -> Option<Finding> {
    let routing = around.routing;
    let observed = match &routing.route {
        Route::Refused(errno) => refusal(*errno).to_owned(),
        Route::Way(path) if path.kind == RouteKind::Unicast => {
            let device = routing.link(path.link).map_or("?", |link| &link.name[..]);
            format!("the route to it leaves by {device}")
        }
        _ => return None,
    };
    if let Some(finding) = forbidden(ip, routing) {
        return Some(finding);
    }
    if ip.is_ipv6() && around.settings.ipv6_disabled_on_loopback != Some(false) {
        return Some(
            Finding::new(Verdict::Ipv6Disabled, Certainty::Proven, "IPv6 is off on the loopback interface")
                .fact("sysctl", "net.ipv6.conf.lo.disable_ipv6", 1)
                .fix(&["sysctl", "-w", "net.ipv6.conf.lo.disable_ipv6=0"], true, "none"),
        );
    }
    let lo = routing.loopback()?;
    let assigned = routing.addresses.iter().any(|address| address.link == lo.index && address.ip == ip);
    let home = if ip.is_ipv4() { "127.0.0.1/8" } else { "::1/128" };
    let summary = if assigned {
        format!("{ip} is on {}, but its route is gone from the table local", lo.name)
    } else {
        format!("{ip} is not assigned to {}", lo.name)
    };
    let fix: Vec<&str> = if assigned {
        vec![
            "ip",
            "route",
            "add",
            "local",
            if ip.is_ipv4() { "127.0.0.0/8" } else { "::1" },
            "dev",
            &lo.name,
            "table",
            "local",
        ]
    } else {
        vec!["ip", "addr", "add", home, "dev", &lo.name]
    };
    Some(
        Finding::new(Verdict::LoopbackRouteLost, Certainty::Proven, summary)
            .detail("proof", format!("{} is up; {observed}", lo.name))
            .fact("rtnetlink", format!("route to {ip}"), observed.clone())
            .fix(&fix, true, "none"),
    )
}

/// The kernel finds no usable route.
fn no_way(ip: IpAddr, routing: &Routing) -> Option<Finding> {
    let Route::Refused(errno) = routing.route else { return None };
    forbidden(ip, routing).or_else(|| {
        // A table that was not read completely may hide the row that forbids.
        let forbids = errno != libc::ENETUNREACH;
        let verdict = if forbids { Verdict::RouteForbids } else { Verdict::NoRoute };
        let summary = if forbids {
            format!("a route or routing rule forbids {ip}")
        } else {
            format!("no route leads to {ip}")
        };
        let finding = Finding::new(verdict, Certainty::Proven, summary)
            .detail("proof", format!("the kernel's route look-up: {}", refusal(errno)))
            .fact("rtnetlink", format!("route to {ip}"), refusal(errno));
        Some(if routing.links.iter().any(|link| !link.loopback && link.up) {
            finding.advice(format!("check the routes: ip route get {ip}; add the missing one"))
        } else {
            finding
                .detail("how", "no interface except loopback is up")
                .advice("bring up the interface that leads there")
        })
    })
}

/// If the kernel refuses: the row of type "unreachable", "prohibit" or "blackhole" that is the reason.
fn forbidden(ip: IpAddr, routing: &Routing) -> Option<Finding> {
    let Route::Refused(errno) = routing.route else { return None };
    let fits = |kind: RouteKind| match errno {
        libc::EINVAL => kind == RouteKind::Blackhole,
        libc::EACCES => kind == RouteKind::Prohibit,
        // An "unreachable" rule gives ENETUNREACH, an "unreachable" route EHOSTUNREACH.
        _ => kind == RouteKind::Unreachable,
    };
    let row = routing.forbidding.iter().find(|row| match row {
        Forbidding::Route(path) => fits(path.kind) && errno != libc::ENETUNREACH,
        Forbidding::Rule(rule) => rule.forbids.is_some_and(fits) && errno != libc::EHOSTUNREACH,
    })?;
    let (what, fix) = match row {
        Forbidding::Route(path) => route_words(path, ip),
        Forbidding::Rule(rule) => rule_words(rule),
    };
    let fix: Vec<&str> = fix.iter().map(String::as_str).collect();
    Some(
        Finding::new(Verdict::RouteForbids, Certainty::Proven, format!("{what} forbids it"))
            .detail("proof", format!("the kernel's route look-up for {ip}: {}", refusal(errno)))
            .fact("rtnetlink", what.clone(), refusal(errno))
            .fix(&fix, true, "it may have been set on purpose"),
    )
}

fn route_words(path: &Path, ip: IpAddr) -> (String, Vec<String>) {
    let kind = kind_word(path.kind);
    let network = path.network.map_or("default".to_owned(), |(first, length)| format!("{first}/{length}"));
    let family = if ip.is_ipv4() { "-4" } else { "-6" };
    let table = path.table.to_string();
    let command = ["ip", family, "route", "del", kind, &network, "table", &table].map(str::to_owned);
    (format!("the route \"{kind} {network}\" (table {})", table_name(path.table)), command.into())
}

fn rule_words(rule: &PolicyRule) -> (String, Vec<String>) {
    let kind = rule.forbids.map_or("", kind_word);
    let mut words = format!("the routing rule {} \"{kind}\"", rule.priority);
    if let Some((first, length)) = rule.to {
        words.push_str(&format!(" to {first}/{length}"));
    }
    if let Some((first, last)) = rule.users {
        words.push_str(&format!(" for users {first}-{last}"));
    }
    if let Some((first, last)) = rule.ports {
        words.push_str(&format!(" for ports {first}-{last}"));
    }
    (words, vec!["ip".into(), "rule".into(), "del".into(), "priority".into(), rule.priority.to_string()])
}

/// Whether the interface and the next hop of the route work.
fn next_hop(ip: IpAddr, attempt: &Attempt, routing: &Routing) -> Option<Finding> {
    let Route::Way(path) = &routing.route else { return None };
    let link = routing.link(path.link)?;
    if !link.up || !link.carrier {
        return Some(link_down(ip, link));
    }
    let silent = matches!(routing.neighbour, Some(Neighbour::Failed | Neighbour::Incomplete));
    let unanswered = matches!(attempt.errno, Some(libc::EHOSTUNREACH | libc::ETIMEDOUT));
    if !silent || !unanswered {
        return None;
    }
    let hop = path.gateway.unwrap_or(ip);
    let who = if hop == ip {
        "no machine".to_owned()
    } else {
        format!("the gateway {hop} does not answer: no machine")
    };
    let asked = if ip.is_ipv4() { "ARP" } else { "neighbour discovery" };
    Some(
        Finding::new(
            Verdict::NeighbourSilent,
            Certainty::Proven,
            format!("{who} on {} has {hop}", link.name),
        )
        .detail("proof", format!("{asked} on {} got no answer for {hop}", link.name))
        .fact("rtnetlink", format!("neighbour {hop} on {}", link.name), "failed")
        .advice("check that machine and its cable, or the address"),
    )
}

fn link_down(ip: IpAddr, link: &Link) -> Finding {
    let name = &link.name;
    let (summary, up) = if link.up {
        (format!("the interface {name}, which leads to it, has no carrier"), true)
    } else {
        (format!("the interface {name}, which leads to it, is down"), false)
    };
    let finding = Finding::new(Verdict::LinkDown, Certainty::Proven, summary)
        .detail("proof", format!("the kernel routes {ip} over {name}"))
        .fact("rtnetlink", name.clone(), serde_json::json!({"up": link.up, "carrier": link.carrier}));
    if up {
        finding.advice("connect its cable, or start its other end")
    } else {
        finding.fix(&["ip", "link", "set", name, "up"], true, "none")
    }
}

fn refusal(errno: i32) -> &'static str {
    match errno {
        libc::ENETUNREACH => "no route (ENETUNREACH)",
        libc::EHOSTUNREACH => "unreachable (EHOSTUNREACH)",
        libc::EACCES => "prohibited (EACCES)",
        libc::EINVAL => "a black hole (EINVAL)",
        _ => "refused",
    }
}

fn kind_word(kind: RouteKind) -> &'static str {
    match kind {
        RouteKind::Blackhole => "blackhole",
        RouteKind::Prohibit => "prohibit",
        _ => "unreachable",
    }
}

fn table_name(number: u32) -> String {
    match number {
        253 => "default".to_owned(),
        254 => "main".to_owned(),
        255 => "local".to_owned(),
        other => other.to_string(),
    }
}
