use std::net::{IpAddr, Ipv4Addr};

use super::samples::*;
use super::*;
use crate::probe::firewall::{Expression, Firewall, Load, Operator};
use crate::probe::network::routing::{
    Address, Forbidding, Link, Neighbour, Path, PolicyRule, Qdisc, Route, RouteKind,
};

#[test]
fn a_rule_whose_counter_rose_is_proven_and_named() {
    let finding = facts().with_rule(1, dport(reset()), 1).judge(&attempt(libc::ECONNREFUSED)).unwrap();

    assert_eq!((finding.verdict, finding.certainty), (Verdict::FirewallReject, Certainty::Proven));
    assert_eq!(
        finding.summary,
        "a firewall rule rejects it (inet site/in handle 4); the service itself listens"
    );
    assert!(
        finding.details[0].text.contains("th dport 62893")
            && finding.details[0].text.ends_with("# corp policy")
    );
    assert_eq!(finding.fixes[0].text, "nft delete rule inet site in handle 4");
}

#[test]
fn a_rule_whose_counter_did_not_rise_is_not_the_cause() {
    let facts = facts().with_rule(1, dport(reset()), 0);

    assert_eq!(what(facts.judge(&attempt(libc::ECONNREFUSED))), Some((Verdict::Unknown, Certainty::Unknown)));
}

#[test]
fn a_rule_that_drops_does_not_explain_a_refusal() {
    let facts = facts().with_rule(1, dport(drop_it()), 1);

    assert_eq!(
        what(facts.judge(&attempt(libc::ETIMEDOUT))),
        Some((Verdict::FirewallDrop, Certainty::Proven))
    );
    assert_eq!(what(facts.judge(&attempt(libc::ECONNREFUSED))), Some((Verdict::Unknown, Certainty::Unknown)));
}

#[test]
fn without_readable_rules_the_verdict_is_by_elimination_and_names_what_to_read() {
    let finding = facts().unreadable().judge(&attempt(libc::ECONNREFUSED)).unwrap();

    assert_eq!((finding.verdict, finding.certainty), (Verdict::FirewallReject, Certainty::Likely));
    assert_eq!(finding.not_readable[0].how, "sudo loopgate explain 127.0.0.1:62893");
    assert_eq!(finding.not_readable[0].why, "Operation not permitted");
    let dropped = facts().unreadable().judge(&attempt(libc::ETIMEDOUT));
    assert_eq!(what(dropped), Some((Verdict::FirewallDrop, Certainty::Likely)));
}

#[test]
fn an_icmp_refusal_is_a_rejection_whatever_its_errno() {
    let mut facts = facts().unreadable();
    facts.changes.icmp_unreachable = 1;

    for errno in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENETUNREACH, libc::ETIMEDOUT] {
        let found = what(facts.judge(&attempt(errno)));
        assert_eq!(found, Some((Verdict::FirewallReject, Certainty::Likely)), "{errno}");
    }
}

#[test]
fn a_refusal_without_a_listener_is_no_filter() {
    let facts = facts().with_rule(1, dport(reset()), 1);
    for listener in [Listener::Nobody, Listener::Changing] {
        assert_eq!(facts.judge(&Attempt { listener, ..attempt(libc::ECONNREFUSED) }), None);
    }
}

#[test]
fn a_full_accept_queue_is_no_filter() {
    let mut full = facts().unreadable();
    full.changes.listen_overflows = 3;

    assert_eq!(full.judge(&attempt(libc::ETIMEDOUT)), None);
    let waiting = Listener::Stable { waiting: 3, limit: 2 };
    assert_eq!(facts().unreadable().judge(&Attempt { listener: waiting, ..attempt(libc::ETIMEDOUT) }), None);
}

#[test]
fn a_limit_is_distinguished_from_a_ban() {
    let mut rule = dport(reset());
    rule.insert(2, Expression::ConnectionLimit { count: 3, inverted: true });

    let finding = facts().with_rule(1, rule, 1).judge(&attempt(libc::ECONNREFUSED)).unwrap();

    assert_eq!((finding.verdict, finding.certainty), (Verdict::FirewallConnlimit, Certainty::Proven));
    assert!(finding.details[0].text.contains("ct count over 3"), "{:?}", finding.details);
}

#[test]
fn a_rule_for_one_user_is_reported_as_such() {
    let mut rule = vec![
        Expression::Load { load: Load::Meta(10), register: 1 },
        Expression::Compare { register: 1, operator: Operator::Equal, bytes: 1000u32.to_ne_bytes().to_vec() },
    ];
    rule.extend(dport(reset()));

    let finding = facts().with_rule(3, rule, 1).judge(&attempt(libc::ECONNREFUSED)).unwrap();

    assert!(finding.details.iter().any(|detail| detail.label == "who" && detail.text.contains("user 1000")));
}

#[test]
fn a_loopback_link_that_is_down_is_distinguished_from_one_that_never_was_up() {
    let mut down = facts();
    down.routing.links[0].up = false;
    let mut fresh = facts();
    fresh.routing.links[0].up = false;
    fresh.routing.addresses.clear();
    fresh.routing.route = Route::Refused(libc::ENETUNREACH);

    let (down, fresh) = (down.judge(&attempt(libc::ETIMEDOUT)), fresh.judge(&attempt(libc::ENETUNREACH)));

    assert!(down.as_ref().unwrap().summary.ends_with("is down"));
    assert!(fresh.as_ref().unwrap().summary.contains("never brought up"));
    assert_eq!(what(down), Some((Verdict::LoopbackDown, Certainty::Proven)));
    assert_eq!(what(fresh), Some((Verdict::LoopbackDown, Certainty::Proven)));
}

#[test]
fn a_missing_loopback_address_is_reported_with_the_command_that_restores_it() {
    let mut facts = facts();
    facts.routing.addresses.clear();
    facts.routing.route = Route::Refused(libc::ENETUNREACH);

    let finding = facts.judge(&attempt(libc::ENETUNREACH)).unwrap();

    assert_eq!((finding.verdict, finding.certainty), (Verdict::LoopbackRouteLost, Certainty::Proven));
    assert_eq!(finding.fixes[0].text, "ip addr add 127.0.0.1/8 dev lo");
}

#[test]
fn a_route_or_a_rule_that_forbids_is_named() {
    let mut by_route = facts();
    by_route.routing.route = Route::Refused(libc::EINVAL);
    let network = Some((IpAddr::from([10, 9, 0, 0]), 16));
    by_route.routing.forbidding.push(Forbidding::Route(Path { network, ..path(RouteKind::Blackhole, 0) }));
    let mut by_rule = facts();
    by_rule.routing.route = Route::Refused(libc::EACCES);
    by_rule.routing.forbidding.push(Forbidding::Rule(PolicyRule {
        priority: 100,
        forbids: Some(RouteKind::Prohibit),
        to: None,
        from: None,
        users: Some((1000, 1000)),
        ports: None,
        interfaces: Vec::new(),
        mark: None,
        inverted: false,
        table: 0,
    }));
    let elsewhere =
        |errno| Attempt { to: ([10, 9, 0, 7], 80).into(), listener: Listener::Unknown, ..attempt(errno) };

    let (route, rule) =
        (by_route.judge(&elsewhere(libc::EINVAL)).unwrap(), by_rule.judge(&elsewhere(libc::EACCES)).unwrap());

    assert_eq!((route.verdict, rule.verdict), (Verdict::RouteForbids, Verdict::RouteForbids));
    assert_eq!(route.summary, "the route \"blackhole 10.9.0.0/16\" (table main) forbids it");
    assert_eq!(rule.summary, "the routing rule 100 \"prohibit\" for users 1000-1000 forbids it");
}

#[test]
fn a_neighbour_that_does_not_answer_and_a_link_without_carrier_are_no_filters() {
    let mut facts = facts();
    facts.routing.links.push(Link {
        index: 2,
        name: "eth0".to_owned(),
        up: true,
        carrier: true,
        ..Link::default()
    });
    facts.routing.route = Route::Way(path(RouteKind::Unicast, 2));
    facts.routing.neighbour = Some(Neighbour::Failed);
    let elsewhere = Attempt {
        to: ([10, 9, 0, 7], 80).into(),
        listener: Listener::Unknown,
        ..attempt(libc::EHOSTUNREACH)
    };

    let silent = facts.judge(&elsewhere);
    facts.routing.links[1].carrier = false;
    let cut = facts.judge(&elsewhere);

    assert_eq!(what(silent), Some((Verdict::NeighbourSilent, Certainty::Proven)));
    assert_eq!(what(cut), Some((Verdict::LinkDown, Certainty::Proven)));
}

#[test]
fn a_missing_signature_and_a_full_table_are_read_from_the_counters() {
    let mut signed = facts();
    signed.changes.md5_not_found = 3;
    let mut full = facts();
    full.settings.conntrack = Some((262_144, 262_144));
    full.changes.conntrack_drop = 3;

    assert_eq!(
        what(signed.judge(&attempt(libc::ETIMEDOUT))),
        Some((Verdict::ListenerIgnoresSyn, Certainty::Proven))
    );
    assert_eq!(
        what(full.judge(&attempt(libc::ETIMEDOUT))),
        Some((Verdict::ConntrackFull, Certainty::Proven))
    );
}

#[test]
fn a_shaped_loopback_link_is_a_leftover_and_a_queue_that_orders_is_not() {
    let mut facts = facts();
    assert_eq!(shaped(&facts.routing), None);
    facts.routing.qdiscs[0].kind = "fq_codel".to_owned();
    assert_eq!(shaped(&facts.routing), None);
    facts.routing.qdiscs[0] =
        Qdisc { kind: "tbf".to_owned(), rate: Some(25_000), ..facts.routing.qdiscs[0].clone() };

    assert_eq!(shaped(&facts.routing).unwrap().summary, "lo is shaped: tbf 200 kbit (tc qdisc)");
}

#[test]
fn the_size_from_which_packets_are_lost_is_found() {
    let mut rule = vec![
        Expression::Load { load: Load::Meta(0), register: 1 },
        Expression::ByteOrder { from: 1, to: 1, length: 4, size: 4 },
        Expression::Compare {
            register: 1,
            operator: Operator::Greater,
            bytes: 1400u32.to_be_bytes().to_vec(),
        },
    ];
    rule.extend(dport(drop_it()));
    let facts = facts().with_rule(1, rule, 0);

    let finding = large_packets(&Attempt { errno: None, ..attempt(0) }, &facts.around()).unwrap();

    assert_eq!((finding.verdict, finding.certainty), (Verdict::LargePacketsLost, Certainty::Proven));
    assert!(finding.summary.starts_with("packets over 1400 bytes are dropped"), "{}", finding.summary);
}

#[test]
fn the_networks_a_listener_is_exposed_to_are_named_unless_a_rule_shields_it() {
    let links = [lo(), Link { index: 2, name: "x0".to_owned(), up: true, carrier: true, ..Link::default() }];
    let addresses = [
        Address { ip: Ipv4Addr::LOCALHOST.into(), prefix: 8, link: 1 },
        Address { ip: [10, 200, 6, 1].into(), prefix: 24, link: 2 },
    ];
    let on =
        |ip: Ipv4Addr, firewall: &Firewall| exposure((ip, 62893).into(), true, &links, &addresses, firewall);

    let open = on(Ipv4Addr::UNSPECIFIED, &facts().before);
    let shielded = on(Ipv4Addr::UNSPECIFIED, &facts().with_rule(1, dport(drop_it()), 0).before);

    assert_eq!(open.warning().unwrap().summary, "reachable from 10.200.6.0/24");
    assert_eq!((shielded.warning(), &shielded.shielded[..]), (None, &["10.200.6.0/24".to_owned()][..]));
    assert_eq!(on(Ipv4Addr::LOCALHOST, &facts().before).warning(), None);
}

#[test]
fn the_lines_of_a_report_state_what_was_checked() {
    let passed = Attempt { errno: None, ..attempt(0) };

    let network = network_check(&passed, &facts().around(), None, 0.1);
    let firewall = firewall_check(&passed, &facts().around(), None, 0.1);
    let hidden = firewall_check(&attempt(libc::ECONNREFUSED), &facts().unreadable().around(), None, 0.1);

    assert_eq!(network.text, "lo up, 127.0.0.1 local, MTU 65536, noqueue");
    assert_eq!(firewall.text, "no rules");
    assert_eq!(hidden.status, crate::diagnosis::finding::Status::Skip);
}

#[test]
fn a_rule_for_another_user_is_mentioned_where_ours_passes() {
    let mut rule = vec![
        Expression::Load { load: Load::Meta(10), register: 1 },
        Expression::Compare { register: 1, operator: Operator::Equal, bytes: 33u32.to_ne_bytes().to_vec() },
    ];
    rule.extend(dport(reset()));
    let facts = facts().with_rule(3, rule, 0);

    let line = firewall_check(&Attempt { errno: None, ..attempt(0) }, &facts.around(), None, 0.1);

    assert_eq!(
        line.text,
        "no rule in 1 table stops it for user 1000 (uid); inet site/in handle 4 may for another"
    );
}
