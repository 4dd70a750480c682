use std::net::Ipv4Addr;

use super::walk::INET;
use super::*;
use crate::probe::firewall::{
    Base, Chain, Element, Expression, Judgement, Load, Operator, RejectKind, Rule, Set,
};

fn lo() -> Way {
    Way::Loopback(Device { index: 1, name: "lo".to_owned() })
}

fn packet(port: u16) -> Packet {
    let ip = Ipv4Addr::LOCALHOST;
    Packet::first((ip, 40_000).into(), (ip, port).into(), 1000, 1000)
}

fn base(hook: u32, priority: i32, kind: &str, drops: bool) -> Option<Base> {
    Some(Base { hook, priority, kind: kind.to_owned(), drops, devices: Vec::new(), policy_packets: None })
}

/// A table of rules in one chain each: (chain, its base, rules).
type Drawn = (&'static str, Option<Base>, Vec<Vec<Expression>>);

fn table(chains: Vec<Drawn>) -> Ruleset {
    let mut ruleset = Ruleset::default();
    for (name, base, rules) in chains {
        let (table, family) = ("t".to_owned(), INET);
        ruleset.chains.push(Chain { family, table: table.clone(), name: name.to_owned(), base });
        for expressions in rules {
            let handle = ruleset.rules.len() as u64 + 1;
            let rule = Rule {
                family,
                table: table.clone(),
                chain: name.to_owned(),
                handle,
                expressions,
                comment: None,
            };
            ruleset.rules.push(rule);
        }
    }
    ruleset
}

fn test(load: Load, bytes: &[u8]) -> [Expression; 2] {
    let compare = Expression::Compare { register: 1, operator: Operator::Equal, bytes: bytes.to_vec() };
    [Expression::Load { load, register: 1 }, compare]
}

fn dport(port: u16) -> Vec<Expression> {
    let load = Load::Payload { base: 2, offset: 2, length: 2 };
    [test(Load::Meta(16), &[6]), test(load, &port.to_be_bytes())].concat()
}

fn with(mut rule: Vec<Expression>, end: Expression) -> Vec<Expression> {
    rule.push(end);
    rule
}

const DROP: Expression = Expression::Judge(Judgement::Drop);
const ACCEPT: Expression = Expression::Judge(Judgement::Accept);

fn first_effect(ruleset: &Ruleset, port: u16) -> Option<(Effect, bool)> {
    let passage = connection(ruleset, &packet(port), &lo());
    passage.hits.into_iter().next().map(|hit| (hit.effect, hit.certain))
}

#[test]
fn a_rule_takes_its_own_port_and_no_other() {
    let rules = table(vec![("in", base(1, 0, "filter", false), vec![with(dport(80), DROP)])]);

    assert_eq!(first_effect(&rules, 80), Some((Effect::Drop, true)));
    assert_eq!(first_effect(&rules, 81), None);
}

#[test]
fn every_hook_of_the_way_is_asked() {
    for hook in [0, 1, 3, 4] {
        let rules = table(vec![("c", base(hook, -300, "filter", false), vec![with(dport(80), DROP)])]);
        assert_eq!(first_effect(&rules, 80), Some((Effect::Drop, true)), "{hook}");
    }
    let rules = table(vec![("c", base(2, 0, "filter", false), vec![with(dport(80), DROP)])]);
    assert_eq!(first_effect(&rules, 80), None, "no packet is forwarded here");
}

#[test]
fn a_policy_drops_what_no_rule_accepts() {
    let rules = table(vec![("in", base(1, 0, "filter", true), vec![with(dport(22), ACCEPT)])]);

    assert_eq!(first_effect(&rules, 80), Some((Effect::Drop, true)));
    // The answer to a connection arrives with another destination port, and no rule accepts it.
    let passage = connection(&rules, &packet(22), &lo());
    assert_eq!(
        (passage.hits[0].role, passage.hits[0].rule, passage.hits[0].certain),
        (Role::Answer, None, true)
    );
}

#[test]
fn an_accept_ends_only_its_own_base_chain() {
    let rules = table(vec![
        ("early", base(1, -10, "filter", false), vec![vec![ACCEPT]]),
        ("late", base(1, 10, "filter", false), vec![with(dport(80), DROP)]),
    ]);

    assert_eq!(first_effect(&rules, 80), Some((Effect::Drop, true)));
}

#[test]
fn an_answer_that_is_dropped_is_found_as_well() {
    let sport = test(Load::Payload { base: 2, offset: 0, length: 2 }, &80u16.to_be_bytes()).to_vec();
    let rules = table(vec![("out", base(3, 0, "filter", false), vec![with(sport, DROP)])]);

    let passage = connection(&rules, &packet(80), &lo());

    assert!(passage.hits.iter().any(|hit| hit.role == Role::Answer && hit.certain), "{passage:?}");
}

#[test]
fn a_limit_makes_a_rule_a_maybe() {
    let limit = Expression::ConnectionLimit { count: 3, inverted: true };
    let reject = Expression::Reject { kind: RejectKind::Reset, code: 0 };
    let rules = table(vec![("in", base(1, 0, "filter", false), vec![with(with(dport(80), limit), reject)])]);

    let hits = connection(&rules, &packet(80), &lo()).hits;

    assert_eq!(
        (&hits[0].effect, hits[0].certain, hits[0].limited),
        (&Effect::Reject(Answer::Reset), false, true)
    );
}

#[test]
fn accepting_a_number_and_dropping_the_rest_is_a_limit_too() {
    let limit = Expression::Limit { rate: 3, unit: 1, bytes: false, inverted: false };
    let rules = table(vec![(
        "in",
        base(1, 0, "filter", false),
        vec![with(with(dport(80), limit), ACCEPT), with(dport(80), DROP)],
    )]);

    let hits = connection(&rules, &packet(80), &lo()).hits;

    assert_eq!(
        (hits[0].rule, hits[0].certain, hits[0].limited, hits[0].limit),
        (Some(1), false, true, Some(0))
    );
}

#[test]
fn the_sender_is_known_on_its_way_out_and_forgotten_on_its_way_in() {
    let user = |hook| {
        let rule = with(test(Load::Meta(10), &1000u32.to_ne_bytes()).to_vec(), DROP);
        table(vec![("c", base(hook, 0, "filter", false), vec![rule])])
    };

    assert_eq!(first_effect(&user(3), 80), Some((Effect::Drop, true)));
    assert_eq!(first_effect(&user(1), 80), None);
}

#[test]
fn a_packet_that_a_jump_may_have_accepted_is_not_dropped_for_certain() {
    let unknown = Expression::Match { name: "geoip".to_owned(), revision: 1, info: vec![1] };
    let jump = Expression::Judge(Judgement::Jump("sub".to_owned()));
    for (way_in, inside) in [(vec![], vec![unknown.clone()]), (vec![unknown], vec![])] {
        let rules = table(vec![
            ("in", base(1, 0, "filter", true), vec![with(way_in, jump.clone())]),
            ("sub", None, vec![with(inside, ACCEPT)]),
        ]);
        assert_eq!(first_effect(&rules, 80), Some((Effect::Drop, false)));
    }
}

#[test]
fn intervals_and_verdict_maps_are_looked_up() {
    let mut rules = table(vec![(
        "in",
        base(1, 0, "filter", false),
        vec![vec![
            Expression::Load { load: Load::Payload { base: 2, offset: 2, length: 2 }, register: 1 },
            Expression::Lookup { set: "s".to_owned(), register: 1, inverted: false, into: Some(0) },
        ]],
    )]);
    let element = |key: u16, interval_end| Element {
        key: key.to_be_bytes().to_vec(),
        key_end: None,
        interval_end,
        catch_all: false,
        judgement: (!interval_end).then_some(Judgement::Drop),
        data: None,
    };
    rules.sets.push(Set {
        family: INET,
        table: "t".to_owned(),
        name: "s".to_owned(),
        intervals: true,
        concatenated: false,
        map: true,
        elements: vec![element(100, false), element(201, true)],
        complete: true,
    });

    assert_eq!(first_effect(&rules, 200), Some((Effect::Drop, true)));
    assert_eq!(first_effect(&rules, 201), None);
    assert_eq!(first_effect(&rules, 99), None);
}

#[test]
fn jumps_return_and_gotos_do_not() {
    let jump = |name: &str| Expression::Judge(Judgement::Jump(name.to_owned()));
    let goto = |name: &str| Expression::Judge(Judgement::Goto(name.to_owned()));
    let rules = |first| {
        table(vec![
            ("in", base(1, 0, "filter", false), vec![vec![first], with(dport(80), DROP)]),
            ("sub", None, vec![with(dport(81), DROP)]),
        ])
    };

    assert_eq!(first_effect(&rules(jump("sub")), 80), Some((Effect::Drop, true)));
    assert_eq!(first_effect(&rules(jump("sub")), 81), Some((Effect::Drop, true)));
    assert_eq!(first_effect(&rules(goto("sub")), 80), None);
}

#[test]
fn a_chain_that_jumps_to_itself_ends() {
    let jump = Expression::Judge(Judgement::Jump("in".to_owned()));
    let rules = table(vec![("in", base(1, 0, "filter", false), vec![vec![jump]])]);

    assert!(connection(&rules, &packet(80), &lo()).cut);
}

#[test]
fn later_rules_see_the_translated_address() {
    let to = Expression::Immediate { register: 1, bytes: 90u16.to_be_bytes().to_vec() };
    let redirect = vec![with(with(dport(80), to), Expression::Redirect { port: Some(1) })];
    let rules = table(vec![
        ("nat", base(3, -100, "nat", false), redirect),
        ("in", base(1, 0, "filter", false), vec![with(dport(90), DROP)]),
    ]);

    let hits = connection(&rules, &packet(80), &lo()).hits;

    assert_eq!(hits[0].effect, Effect::Redirect((Ipv4Addr::LOCALHOST, 90).into()));
    assert_eq!((&hits[1].effect, hits[1].certain), (&Effect::Drop, true));
}

#[test]
fn an_unknown_byte_is_a_maybe_and_never_a_no() {
    let rule = with(vec![Expression::Match { name: "geoip".to_owned(), revision: 1, info: vec![1] }], DROP);
    let rules = table(vec![("in", base(1, 0, "filter", false), vec![rule])]);

    assert_eq!(first_effect(&rules, 80), Some((Effect::Drop, false)));
}
