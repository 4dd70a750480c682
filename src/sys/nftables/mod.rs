//! Reads the rules of the kernel's packet filter, by the interface that `nft list ruleset` uses; this needs
//! CAP_NET_ADMIN.
//!
//! It changes nothing. Layouts follow include/uapi/linux/netfilter/nfnetlink.h and nf_tables.h; numbers in them are
//! big-endian. Rules written by iptables-nft are included; rules of the legacy iptables are not read, and
//! `probe::firewall` reports whether there are any.
//!
//! It is written by hand: no permissively licensed crate reads nf_tables. `nftables` runs the program `nft`, which may
//! not be installed and omits what it cannot express; `rustables` needs a C library. The number of rules and elements
//! is bounded; beyond the bound the answer is marked as cut.

use std::io;

use rustix::net::netlink;

use super::netlink::{Answer, Request, ask, attribute, attributes, malformed, text};

mod expression;
mod reading;
pub use expression::{BitOperation, Expression, Judgement, Load, Operator, RejectKind};
use reading::number;

/// A chain; a base chain is attached to a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// NFPROTO_ number: 1 inet, 2 ip, 5 netdev, 10 ip6.
    pub family: u8,
    /// The table's name; not yet escaped.
    pub table: String,
    /// Its name; not yet escaped.
    pub name: String,
    /// Its hook, for a base chain.
    pub base: Option<Base>,
}

/// The hook and policy of a base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// NF_INET_ number: 0 prerouting, 1 input, 2 forward, 3 output, 4 postrouting, 5 ingress; for netdev 0 ingress, 1
    /// egress.
    pub hook: u32,
    /// Chains run in ascending order of priority.
    pub priority: i32,
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// Whether the policy drops packets that no rule decides.
    pub drops: bool,
    /// The devices of an ingress or egress chain; not yet escaped.
    pub devices: Vec<String>,
    /// The packets the policy decided, if they are counted (iptables-nft counts them).
    pub policy_packets: Option<u64>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// NFPROTO_ number.
    pub family: u8,
    /// The table's name.
    pub table: String,
    /// The chain's name.
    pub chain: String,
    /// Its handle, unique in the table.
    pub handle: u64,
    /// Its tests and actions, in order.
    pub expressions: Vec<Expression>,
    /// Its comment; not yet escaped.
    pub comment: Option<String>,
}

/// A set or a map, with as many of its elements as were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// NFPROTO_ number.
    pub family: u8,
    /// The table's name.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Whether its elements are the bounds of intervals.
    pub intervals: bool,
    /// Whether its elements are concatenations, each of which holds its own upper bound.
    pub concatenated: bool,
    /// Whether each key has a value: a verdict or data.
    pub map: bool,
    /// The elements, in the order of their keys.
    pub elements: Vec<Element>,
    /// Whether all elements were read.
    pub complete: bool,
}

/// An element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The key, or the lower bound of an interval.
    pub key: Vec<u8>,
    /// The upper bound, for a concatenation.
    pub key_end: Option<Vec<u8>>,
    /// Whether the interval ends before this key.
    pub interval_end: bool,
    /// Whether it matches every key that no other element has.
    pub catch_all: bool,
    /// Its verdict, in a verdict map.
    pub judgement: Option<Judgement>,
    /// Its value, in a data map.
    pub data: Option<Vec<u8>>,
}

/// The rule sets of every family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Every chain.
    pub chains: Vec<Chain>,
    /// Every rule, in the order of its chain.
    pub rules: Vec<Rule>,
    /// The sets that rules look up.
    pub sets: Vec<Set>,
    /// Whether something is missing: there was too much, or the rules changed meanwhile.
    pub cut: bool,
}

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_GETRULE: u16 = 7;
const NFT_MSG_GETSET: u16 = 10;
const NFT_MSG_GETSETELEM: u16 = 13;
const NFGENMSG: usize = 4;
/// The most sets whose elements are read.
const MAX_SETS: usize = 512;
/// The most elements read of all sets together; a blocklist of a million addresses is not read whole.
const MAX_ELEMENTS: usize = 100_000;
const NFT_SET_INTERVAL: u32 = 0x4;
const NFT_SET_MAP: u32 = 0x8;
const NFT_SET_CONCAT: u32 = 0x80;

/// Reads every chain, rule and set.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN in this network namespace; EOPNOTSUPP or EINVAL if the kernel lacks nf_tables.
pub(crate) fn ruleset() -> io::Result<Ruleset> {
    let dormant = dormant_tables(&dump(NFT_MSG_GETTABLE)?)?;
    let chains = dump(NFT_MSG_GETCHAIN)?;
    if chains.messages.is_empty() {
        return Ok(Ruleset { cut: chains.interrupted, ..Ruleset::default() });
    }
    let rules = dump(NFT_MSG_GETRULE)?;
    let sets = dump(NFT_MSG_GETSET)?;
    let mut ruleset = Ruleset {
        chains: chains.messages.iter().map(|message| read_chain(&message.body)).collect::<io::Result<_>>()?,
        rules: rules.messages.iter().map(|message| read_rule(&message.body)).collect::<io::Result<_>>()?,
        sets: Vec::new(),
        cut: [&chains, &rules, &sets].into_iter().any(|answer| answer.truncated || answer.interrupted),
    };
    ruleset.chains.retain(|chain| !dormant.contains(&(chain.family, chain.table.clone())));
    let mut room = MAX_ELEMENTS;
    for message in sets.messages.iter().take(MAX_SETS) {
        let mut set = read_set(&message.body)?;
        if is_used(&set, &ruleset.rules) && room > 0 {
            add_elements(&mut set)?;
            room = room.saturating_sub(set.elements.len());
            ruleset.sets.push(set);
        }
    }
    Ok(ruleset)
}

fn dump(kind: u16) -> io::Result<Answer> {
    ask(Some(netlink::NETFILTER), &Request::dump(NFNL_SUBSYS_NFTABLES << 8 | kind, &[0; NFGENMSG]))
}

/// The tables whose chains are switched off (NFT_TABLE_F_DORMANT), by family and name.
pub(super) fn dormant_tables(tables: &Answer) -> io::Result<Vec<(u8, String)>> {
    const NFTA_TABLE_NAME: u16 = 1;
    const NFTA_TABLE_FLAGS: u16 = 2;
    let mut dormant = Vec::new();
    for message in &tables.messages {
        let (family, rest) = parts(&message.body)?;
        if number(rest, NFTA_TABLE_FLAGS).unwrap_or_default() & 1 != 0 {
            dormant.push((family, name(rest, NFTA_TABLE_NAME)));
        }
    }
    Ok(dormant)
}

fn is_used(set: &Set, rules: &[Rule]) -> bool {
    rules.iter().any(|rule| {
        rule.family == set.family
            && rule.table == set.table
            && rule
                .expressions
                .iter()
                .any(|e| matches!(e, Expression::Lookup { set: name, .. } if *name == set.name))
    })
}

fn add_elements(set: &mut Set) -> io::Result<()> {
    const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
    const NFTA_SET_ELEM_LIST_SET: u16 = 2;
    let zero_ended = |name: &str| [name.as_bytes(), &[0]].concat();
    let request = Request::dump(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM, &[set.family, 0, 0, 0])
        .with(NFTA_SET_ELEM_LIST_TABLE, &zero_ended(&set.table))
        .with(NFTA_SET_ELEM_LIST_SET, &zero_ended(&set.name));
    let answer = ask(Some(netlink::NETFILTER), &request)?;
    for message in &answer.messages {
        set.elements.extend(read_elements(&message.body));
    }
    // Where one interval ends and another begins, the end comes first.
    set.elements.sort_by(|a, b| (&a.key, !a.interval_end).cmp(&(&b.key, !b.interval_end)));
    set.complete = !answer.truncated && !answer.interrupted;
    Ok(())
}

/// nfgenmsg: family, version, resource; then attributes.
fn parts(body: &[u8]) -> io::Result<(u8, &[u8])> {
    let rest = body.get(NFGENMSG..).ok_or_else(|| malformed("a rule set cut short"))?;
    Ok((body[0], rest))
}

/// Parses a row as a row of each table.
#[cfg(fuzzing)]
pub(super) fn read_any(body: &[u8]) {
    let _ = (read_chain(body), read_rule(body), read_set(body), read_elements(body));
}

fn name(rest: &[u8], kind: u16) -> String {
    attribute(rest, kind).map(text).unwrap_or_default()
}

fn read_chain(body: &[u8]) -> io::Result<Chain> {
    const NFTA_CHAIN_TABLE: u16 = 1;
    const NFTA_CHAIN_NAME: u16 = 3;
    const NFTA_CHAIN_HOOK: u16 = 4;
    let (family, rest) = parts(body)?;
    Ok(Chain {
        family,
        table: name(rest, NFTA_CHAIN_TABLE),
        name: name(rest, NFTA_CHAIN_NAME),
        base: attribute(rest, NFTA_CHAIN_HOOK).and_then(|hook| read_base(rest, hook)),
    })
}

fn read_base(rest: &[u8], hook: &[u8]) -> Option<Base> {
    const NFTA_CHAIN_POLICY: u16 = 5;
    const NFTA_CHAIN_TYPE: u16 = 7;
    const NFTA_CHAIN_COUNTERS: u16 = 8;
    const NFTA_HOOK_HOOKNUM: u16 = 1;
    const NFTA_HOOK_PRIORITY: u16 = 2;
    const NFTA_HOOK_DEV: u16 = 3;
    const NFTA_HOOK_DEVS: u16 = 4;
    const NFTA_COUNTER_PACKETS: u16 = 2;
    let mut devices: Vec<String> = attributes(attribute(hook, NFTA_HOOK_DEVS).unwrap_or_default())
        .map(|(_, device)| text(device))
        .collect();
    if devices.is_empty() {
        devices.extend(attribute(hook, NFTA_HOOK_DEV).map(text));
    }
    Some(Base {
        hook: number(hook, NFTA_HOOK_HOOKNUM)? as u32,
        priority: number(hook, NFTA_HOOK_PRIORITY)? as u32 as i32,
        kind: name(rest, NFTA_CHAIN_TYPE),
        drops: number(rest, NFTA_CHAIN_POLICY) == Some(0),
        devices,
        policy_packets: attribute(rest, NFTA_CHAIN_COUNTERS).and_then(|c| number(c, NFTA_COUNTER_PACKETS)),
    })
}

fn read_rule(body: &[u8]) -> io::Result<Rule> {
    const NFTA_RULE_TABLE: u16 = 1;
    const NFTA_RULE_CHAIN: u16 = 2;
    const NFTA_RULE_HANDLE: u16 = 3;
    const NFTA_RULE_EXPRESSIONS: u16 = 4;
    const NFTA_RULE_USERDATA: u16 = 7;
    let (family, rest) = parts(body)?;
    let list = attribute(rest, NFTA_RULE_EXPRESSIONS).unwrap_or_default();
    Ok(Rule {
        family,
        table: name(rest, NFTA_RULE_TABLE),
        chain: name(rest, NFTA_RULE_CHAIN),
        handle: number(rest, NFTA_RULE_HANDLE).unwrap_or_default(),
        expressions: attributes(list).map(|(_, element)| reading::read(element)).collect(),
        comment: attribute(rest, NFTA_RULE_USERDATA).and_then(comment),
    })
}

/// `nft` stores its own type-length-value records here: type 0 is the comment.
fn comment(mut userdata: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = userdata {
        let value = rest.get(..usize::from(*length))?;
        if *kind == 0 {
            return Some(text(value));
        }
        userdata = &rest[value.len()..];
    }
    None
}

fn read_set(body: &[u8]) -> io::Result<Set> {
    const NFTA_SET_TABLE: u16 = 1;
    const NFTA_SET_NAME: u16 = 2;
    const NFTA_SET_FLAGS: u16 = 3;
    let (family, rest) = parts(body)?;
    let flags = number(rest, NFTA_SET_FLAGS).unwrap_or_default() as u32;
    Ok(Set {
        family,
        table: name(rest, NFTA_SET_TABLE),
        name: name(rest, NFTA_SET_NAME),
        intervals: flags & NFT_SET_INTERVAL != 0 && flags & NFT_SET_CONCAT == 0,
        concatenated: flags & NFT_SET_CONCAT != 0,
        map: flags & NFT_SET_MAP != 0,
        elements: Vec::new(),
        complete: false,
    })
}

fn read_elements(body: &[u8]) -> Vec<Element> {
    const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
    const NFTA_SET_ELEM_KEY: u16 = 1;
    const NFTA_SET_ELEM_DATA: u16 = 2;
    const NFTA_SET_ELEM_FLAGS: u16 = 3;
    const NFTA_SET_ELEM_KEY_END: u16 = 10;
    const NFT_SET_ELEM_INTERVAL_END: u64 = 1;
    const NFT_SET_ELEM_CATCHALL: u64 = 2;
    let list = body.get(NFGENMSG..).and_then(|rest| attribute(rest, NFTA_SET_ELEM_LIST_ELEMENTS));
    let elements = attributes(list.unwrap_or_default()).map(|(_, element)| {
        let flags = number(element, NFTA_SET_ELEM_FLAGS).unwrap_or_default();
        let bytes = |kind| attribute(element, kind).and_then(reading::value).map(<[u8]>::to_vec);
        Element {
            key: bytes(NFTA_SET_ELEM_KEY).unwrap_or_default(),
            key_end: bytes(NFTA_SET_ELEM_KEY_END),
            interval_end: flags & NFT_SET_ELEM_INTERVAL_END != 0,
            catch_all: flags & NFT_SET_ELEM_CATCHALL != 0,
            judgement: attribute(element, NFTA_SET_ELEM_DATA).and_then(reading::judgement),
            data: bytes(NFTA_SET_ELEM_DATA),
        }
    });
    elements.collect()
}

#[cfg(test)]
mod tests;
