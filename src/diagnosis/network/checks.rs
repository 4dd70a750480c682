//! The lines `firewall` and `network` of a report, one clause each.

use super::attempt::{Attempt, Surroundings};
use super::shaping;
use crate::diagnosis::filter::{self, Packet, Way};
use crate::diagnosis::finding::{Check, Finding, Status};
use crate::diagnosis::verdict::Verdict;
use crate::probe::firewall;
use crate::probe::network::routing::{Link, Route, RouteKind};

/// The line `firewall`. `found` is the finding about the address, if any; `ms` how long evaluating the rules took.
pub fn firewall_check(
    attempt: &Attempt,
    around: &Surroundings<'_>,
    found: Option<&Finding>,
    ms: f64,
) -> Check {
    let (status, text) = firewall_line(attempt, around, found);
    Check { id: "firewall", status, text, ms }
}

fn firewall_line(attempt: &Attempt, around: &Surroundings<'_>, found: Option<&Finding>) -> (Status, String) {
    let guilty = [
        Verdict::FirewallReject,
        Verdict::FirewallDrop,
        Verdict::FirewallConnlimit,
        Verdict::FirewallRedirect,
        Verdict::MartianLoopbackDnat,
        Verdict::LargePacketsLost,
        Verdict::IdleStateExpired,
    ];
    if let Some(found) = found.filter(|found| guilty.contains(&found.verdict)) {
        return (Status::Fail, found.summary.clone());
    }
    let rules = around.before;
    if !rules.complete() {
        let missing = rules.not_readable.join(", ");
        // A connection that succeeded proves more than the rules do.
        return match attempt.errno {
            None => (Status::Ok, format!("the connection passed; not readable: {missing}")),
            Some(_) => (Status::Skip, format!("not readable: {missing}")),
        };
    }
    let tables = match rules.tables() {
        0 => return (Status::Ok, "no rules".to_owned()),
        1 => "1 table".to_owned(),
        more => format!("{more} tables"),
    };
    let Some(way) = attempt.way(around.routing) else {
        return (Status::Skip, format!("no route, so {tables} could not be evaluated"));
    };
    let passage = filter::connection(&rules.ruleset, &attempt.first_packet(), &way);
    match passage.hits.first() {
        None => (Status::Ok, format!("no rule in {tables} stops it{}", for_others(attempt, around, &way))),
        Some(hit) => {
            let place = hit.rule.map_or_else(
                || format!("the policy of {}", firewall::chain_place(&rules.ruleset.chains[hit.chain])),
                |at| firewall::place(&rules.ruleset.rules[at]),
            );
            let passed = if attempt.errno.is_none() { "the connection passed; " } else { "" };
            let status = if hit.limited && attempt.errno.is_none() { Status::Warn } else { Status::Ok };
            (status, format!("{passed}{place} may stop it, in {tables}"))
        }
    }
}

/// A rule that matches the connecting user may stop users other than the one of the attempt.
fn for_others(attempt: &Attempt, around: &Surroundings<'_>, way: &Way) -> String {
    let any_user = Packet { uid: None, gid: None, ..attempt.first_packet() };
    let ruleset = &around.before.ruleset;
    let hit = filter::one(ruleset, &any_user, way).hits.into_iter().find_map(|hit| hit.rule);
    hit.map_or(String::new(), |at| {
        format!(" for user {} (uid); {} may for another", attempt.uid, firewall::place(&ruleset.rules[at]))
    })
}

/// The line `network`.
pub fn network_check(
    attempt: &Attempt,
    around: &Surroundings<'_>,
    found: Option<&Finding>,
    ms: f64,
) -> Check {
    let (status, text) = network_line(attempt, around, found);
    Check { id: "network", status, text, ms }
}

fn network_line(attempt: &Attempt, around: &Surroundings<'_>, found: Option<&Finding>) -> (Status, String) {
    let guilty = [
        Verdict::LoopbackDown,
        Verdict::LoopbackRouteLost,
        Verdict::RouteForbids,
        Verdict::NoRoute,
        Verdict::LinkDown,
        Verdict::NeighbourSilent,
        Verdict::LinkShaped,
        Verdict::ConntrackFull,
        Verdict::TcpMemoryFull,
        Verdict::PeerVanished,
    ];
    if let Some(found) = found.filter(|found| guilty.contains(&found.verdict)) {
        return (Status::Fail, found.summary.clone());
    }
    let routing = around.routing;
    let way = match &routing.route {
        Route::Way(path) if path.kind == RouteKind::Local => "local".to_owned(),
        Route::Way(path) => path.gateway.map_or("on the link".to_owned(), |gateway| format!("via {gateway}")),
        Route::Refused(_) => return (Status::Fail, format!("no route to {}", attempt.to.ip())),
        Route::NotReadable(why) => return (Status::Skip, format!("not readable: routes ({why})")),
    };
    let Some(link) = routing.way_out() else {
        return (Status::Skip, "the interface could not be read".to_owned());
    };
    let queue = routing.qdiscs.iter().find(|qdisc| qdisc.link == link.index && qdisc.root);
    let queue_words = queue.map_or("queue unknown".to_owned(), shaping::words);
    let status = if queue.is_some_and(shaping::shapes) { Status::Warn } else { Status::Ok };
    let text =
        format!("{} {}, {} {way}, MTU {}, {queue_words}", link.name, state(link), attempt.to.ip(), link.mtu);
    (if link.up { status } else { Status::Fail }, text)
}

fn state(link: &Link) -> &'static str {
    match (link.up, link.carrier) {
        (false, _) => "down",
        (true, false) => "without carrier",
        (true, true) => "up",
    }
}
