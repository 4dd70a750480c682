//! Formats values: an address, a port, a state, a verdict, an answer. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::probe::firewall::{Judgement, RejectKind};

/// The kind of a value, which decides its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Address,
    Port,
    Protocol,
    Text,
    State,
    /// A number in the machine's byte order.
    Number,
    /// A number in network byte order.
    Big,
}

/// The names of enum ipt_reject_with and ip6t_reject_with.
pub(super) fn iptables_rejection(with: u32, family: u8) -> &'static str {
    const IPV4: [&str; 9] = [
        "icmp-net-unreachable",
        "icmp-host-unreachable",
        "icmp-proto-unreachable",
        "icmp-port-unreachable",
        "icmp-echo-reply",
        "icmp-net-prohibited",
        "icmp-host-prohibited",
        "tcp-reset",
        "icmp-admin-prohibited",
    ];
    const IPV6: [&str; 9] = [
        "icmp6-no-route",
        "icmp6-adm-prohibited",
        "icmp6-not-neighbour",
        "icmp6-addr-unreachable",
        "icmp6-port-unreachable",
        "icmp6-echo-reply",
        "tcp-reset",
        "icmp6-policy-fail",
        "icmp6-reject-route",
    ];
    let names = if family == 10 { IPV6 } else { IPV4 };
    names.get(with as usize).copied().unwrap_or("an unknown answer")
}

pub(super) fn rejection(kind: RejectKind, code: u8, family: u8) -> &'static str {
    match (kind, code) {
        (RejectKind::Reset, _) => "reject with tcp reset",
        (RejectKind::IcmpAny, 0) => "reject with icmpx no-route",
        (RejectKind::IcmpAny, 1) => "reject with icmpx port-unreachable",
        (RejectKind::IcmpAny, 2) => "reject with icmpx host-unreachable",
        (RejectKind::IcmpAny, 3) => "reject with icmpx admin-prohibited",
        (RejectKind::Icmp, 4) if family == 10 => "reject with icmpv6 port-unreachable",
        (RejectKind::Icmp, 1) if family == 10 => "reject with icmpv6 admin-prohibited",
        (RejectKind::Icmp, 0) => "reject with icmp net-unreachable",
        (RejectKind::Icmp, 1) => "reject with icmp host-unreachable",
        (RejectKind::Icmp, 3) => "reject with icmp port-unreachable",
        (RejectKind::Icmp, 9) => "reject with icmp net-prohibited",
        (RejectKind::Icmp, 10) => "reject with icmp host-prohibited",
        (RejectKind::Icmp, 13) => "reject with icmp admin-prohibited",
        _ => "reject with icmp",
    }
}

pub(super) fn seconds(unit: u64) -> String {
    match unit {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        3600 => "hour".to_owned(),
        86_400 => "day".to_owned(),
        other => format!("{other} s"),
    }
}

pub(super) fn judgement_words(judgement: &Judgement) -> String {
    match judgement {
        Judgement::Accept => "accept".to_owned(),
        Judgement::Drop => "drop".to_owned(),
        Judgement::Jump(chain) => format!("jump {chain}"),
        Judgement::Goto(chain) => format!("goto {chain}"),
        Judgement::Return => "return".to_owned(),
        Judgement::Continue => "continue".to_owned(),
        Judgement::Other => "verdict".to_owned(),
    }
}

/// The operand of an address translation: an address or a port.
pub(super) fn immediate(bytes: &[u8]) -> String {
    match bytes.len() {
        4 | 16 => value(Kind::Address, bytes),
        2 => value(Kind::Port, bytes),
        _ => value(Kind::Big, bytes),
    }
}

pub(super) fn value(kind: Kind, bytes: &[u8]) -> String {
    let number = || {
        let mut wide = [0; 8];
        let length = bytes.len().min(8);
        match kind {
            Kind::Number | Kind::State => {
                wide[..length].copy_from_slice(&bytes[..length]);
                u64::from_ne_bytes(wide)
            }
            _ => {
                wide[8 - length..].copy_from_slice(&bytes[..length]);
                u64::from_be_bytes(wide)
            }
        }
    };
    match (kind, bytes.len()) {
        (Kind::Address, 4) => {
            <[u8; 4]>::try_from(bytes).map(|ip| Ipv4Addr::from(ip).to_string()).unwrap_or_default()
        }
        (Kind::Address, 16) => {
            <[u8; 16]>::try_from(bytes).map(|ip| Ipv6Addr::from(ip).to_string()).unwrap_or_default()
        }
        (Kind::Text, _) => {
            let end = bytes.iter().position(|byte| *byte == 0);
            // A name without a final zero byte is a prefix and matches every name that begins with it.
            let star = if end.is_none() && bytes.len() < 16 { "*" } else { "" };
            format!("\"{}{star}\"", String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]))
        }
        (Kind::Protocol, 1) => protocol_name(bytes[0]),
        (Kind::State, _) => states(number()),
        _ => number().to_string(),
    }
}

fn protocol_name(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        2 => "ipv4".to_owned(),
        6 => "tcp".to_owned(),
        10 => "ipv6".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

/// The bits of NF_CT_STATE_BIT in include/uapi/linux/netfilter/nf_conntrack_common.h.
fn states(bits: u64) -> String {
    const NAMES: [(u64, &str); 5] =
        [(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")];
    let names: Vec<&str> = NAMES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    names.join(",")
}
