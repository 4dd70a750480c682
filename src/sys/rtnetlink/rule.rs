//! The policy rules that choose a routing table or forbid (ip-rule(8)). Offsets follow include/uapi/linux/fib_rules.h.

use std::io;
use std::net::IpAddr;

use serde::Serialize;

use super::route::route_kind;
use super::{RTMSG, RouteKind, Rows, ip_of, protocol, rows};
use crate::sys::netlink::{Request, ask, attribute, malformed, text, u16_at, u32_at};

/// A rule that chooses a routing table or forbids (ip-rule(8)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyRule {
    /// Rules run in ascending order of priority.
    pub priority: u32,
    /// How it forbids; `None` if it only chooses a table.
    pub forbids: Option<RouteKind>,
    /// The destination network it matches.
    pub to: Option<(IpAddr, u8)>,
    /// The source network it matches.
    pub from: Option<(IpAddr, u8)>,
    /// The user ids it matches, first and last.
    pub users: Option<(u32, u32)>,
    /// The destination ports it matches, first and last.
    pub ports: Option<(u16, u16)>,
    /// The interfaces it matches; not yet escaped.
    pub interfaces: Vec<String>,
    /// The mark it matches.
    pub mark: Option<u32>,
    /// Whether its match is inverted (`not`).
    pub inverted: bool,
    /// The table it chooses.
    pub table: u32,
}

pub(super) const RTM_GETRULE: u16 = 34;

pub(crate) fn policy_rules(ipv6: bool) -> io::Result<Rows<PolicyRule>> {
    let mut fixed = [0; RTMSG];
    fixed[0] = if ipv6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
    rows(&ask(protocol(), &Request::dump(RTM_GETRULE, &fixed))?, read)
}

/// fib_rule_hdr: family, dst_len, src_len, tos, table, two reserved, action, flags.
pub(super) fn read(body: &[u8]) -> io::Result<PolicyRule> {
    const FIB_RULE_INVERT: u32 = 2;
    let (Some(flags), Some(rest)) = (u32_at(body, 8), body.get(RTMSG..)) else {
        return Err(malformed("a rule cut short"));
    };
    let number = |kind| attribute(rest, kind).and_then(|payload| u32_at(payload, 0));
    let network = |kind, length: u8| attribute(rest, kind).and_then(ip_of).map(|ip| (ip, length));
    let ports = attribute(rest, 24).and_then(|ports| Some((u16_at(ports, 0)?, u16_at(ports, 2)?)));
    Ok(PolicyRule {
        priority: number(6).unwrap_or_default(),
        // FR_ACT_BLACKHOLE, FR_ACT_UNREACHABLE and FR_ACT_PROHIBIT equal the RTN_ numbers of the same names.
        forbids: matches!(body[7], 6..=8).then(|| route_kind(body[7])),
        to: network(1, body[1]),
        from: network(2, body[2]),
        users: attribute(rest, 20).and_then(|users| Some((u32_at(users, 0)?, u32_at(users, 4)?))),
        ports,
        interfaces: [3, 17].into_iter().filter_map(|kind| attribute(rest, kind)).map(text).collect(),
        mark: number(10),
        inverted: flags & FIB_RULE_INVERT != 0,
        table: number(15).unwrap_or(body[4].into()),
    })
}
