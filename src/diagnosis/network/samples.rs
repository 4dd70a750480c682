//! Facts of a healthy machine, and functions to change them in tests.

use std::net::Ipv4Addr;

use super::*;
use crate::probe::firewall::{
    Base, Chain, Expression, Firewall, Judgement, Load, Operator, RejectKind, Rule,
};
use crate::probe::network::counters::Changes;
use crate::probe::network::routing::{Address, Link, Path, Qdisc, Route, RouteKind, Routing};
use crate::probe::system::sysctl::Settings;

/// Facts of a healthy machine.
pub(super) struct Facts {
    pub(super) routing: Routing,
    pub(super) settings: Settings,
    pub(super) changes: Changes,
    pub(super) before: Firewall,
    pub(super) after: Firewall,
}

pub(super) fn lo() -> Link {
    Link {
        index: 1,
        name: "lo".to_owned(),
        up: true,
        carrier: true,
        loopback: true,
        mtu: 65_536,
        ..Link::default()
    }
}

pub(super) fn path(kind: RouteKind, link: u32) -> Path {
    Path { kind, network: None, link, source: None, gateway: None, table: 254, mtu: None }
}

pub(super) fn facts() -> Facts {
    let routing = Routing {
        route: Route::Way(path(RouteKind::Local, 1)),
        links: vec![lo()],
        addresses: vec![Address { ip: Ipv4Addr::LOCALHOST.into(), prefix: 8, link: 1 }],
        qdiscs: vec![Qdisc { link: 1, kind: "noqueue".to_owned(), root: true, ..Qdisc::default() }],
        filters: Vec::new(),
        forbidding: Vec::new(),
        neighbour: None,
        not_readable: Vec::new(),
    };
    let settings = Settings { ipv6_disabled_on_loopback: Some(false), ..Settings::default() };
    let firewall = Firewall { programs: vec!["nft"], ..Firewall::default() };
    Facts { routing, settings, changes: Changes::default(), before: firewall.clone(), after: firewall }
}

impl Facts {
    pub(super) fn judge(&self, attempt: &Attempt) -> Option<Finding> {
        failure(attempt, &self.around())
    }

    pub(super) fn around(&self) -> Surroundings<'_> {
        let Facts { routing, settings, changes, before, after } = self;
        Surroundings { routing, settings, changes, before, after }
    }

    /// Adds a rule whose counter is higher by `packets` after the attempt.
    pub(super) fn with_rule(mut self, hook: u32, expressions: Vec<Expression>, packets: u64) -> Facts {
        let (family, table) = (1, "site".to_owned());
        let base = Base {
            hook,
            priority: 0,
            kind: "filter".to_owned(),
            drops: false,
            devices: Vec::new(),
            policy_packets: None,
        };
        let chain = Chain { family, table: table.clone(), name: "in".to_owned(), base: Some(base) };
        let comment = Some("corp policy".to_owned());
        let rule = Rule { family, table, chain: "in".to_owned(), handle: 4, expressions, comment };
        self.before.ruleset.chains.push(chain);
        self.before.ruleset.rules.push(rule);
        self.after = self.before.clone();
        for expression in &mut self.after.ruleset.rules[0].expressions {
            if let Expression::Counter { packets: counted } = expression {
                *counted += packets;
            }
        }
        self
    }

    pub(super) fn unreadable(mut self) -> Facts {
        self.before.not_readable.push("nf_tables rules (Operation not permitted (os error 1))".to_owned());
        self
    }
}

pub(super) const STABLE: Listener = Listener::Stable { waiting: 0, limit: 64 };

pub(super) fn attempt(errno: i32) -> Attempt {
    let to = (Ipv4Addr::LOCALHOST, 62893).into();
    let from = (Ipv4Addr::LOCALHOST, 40_000).into();
    Attempt { to, from, errno: Some(errno), uid: 1000, gid: 1000, listener: STABLE }
}

pub(super) fn dport(end: Expression) -> Vec<Expression> {
    vec![
        Expression::Load { load: Load::Payload { base: 2, offset: 2, length: 2 }, register: 1 },
        Expression::Compare {
            register: 1,
            operator: Operator::Equal,
            bytes: 62893u16.to_be_bytes().to_vec(),
        },
        Expression::Counter { packets: 0 },
        end,
    ]
}

pub(super) fn reset() -> Expression {
    Expression::Reject { kind: RejectKind::Reset, code: 0 }
}

pub(super) fn drop_it() -> Expression {
    Expression::Judge(Judgement::Drop)
}

pub(super) fn what(finding: Option<Finding>) -> Option<(Verdict, Certainty)> {
    finding.map(|finding| (finding.verdict, finding.certainty))
}
