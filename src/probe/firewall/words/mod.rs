//! Writes a rule in the syntax of nft(8). Pure.
//!
//! A rule loads values into registers and tests them; the text of a loaded value is kept until the test that uses it.

use super::{BitOperation, Element, Expression, Load, Operator, Rule, Set};

mod values;

use values::{Kind, immediate, iptables_rejection, judgement_words, rejection, seconds, value};

/// A loaded value that awaits its test.
#[derive(Clone, Debug)]
struct Waiting {
    words: String,
    kind: Kind,
    mask: Option<Vec<u8>>,
}

const SHOWN_ELEMENTS: usize = 6;

/// `tcp dport 62893 counter packets 1 drop`
pub(super) fn of(rule: &Rule, sets: &[Set]) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut protocol = String::new();
    for expression in &rule.expressions {
        let text = match expression {
            Expression::Load { load, .. } => {
                waiting.push(loaded(load, &protocol));
                continue;
            }
            Expression::Bits { operation, .. } => {
                if let (Some(last), BitOperation::MaskXor { mask, .. }) = (waiting.last_mut(), operation) {
                    last.mask = Some(mask.clone());
                }
                continue;
            }
            Expression::ByteOrder { .. } => {
                if let Some(last) = waiting.last_mut() {
                    last.kind = Kind::Big;
                }
                continue;
            }
            Expression::Immediate { bytes, .. } => {
                waiting.push(Waiting { words: immediate(bytes), kind: Kind::Big, mask: None });
                continue;
            }
            Expression::Compare { operator, bytes, .. } => {
                let last = waiting.pop();
                waiting.clear();
                compared(last, *operator, bytes, &mut protocol)
            }
            Expression::Range { inside, from, to, .. } => {
                let last = waiting.pop();
                waiting.clear();
                let not = if *inside { "" } else { "!= " };
                last.map(|w| format!("{} {not}{}-{}", w.words, value(w.kind, from), value(w.kind, to)))
            }
            Expression::Lookup { set, inverted, into, .. } => {
                let key = std::mem::take(&mut waiting);
                Some(looked_up(&key, found(rule, sets, set), set, *inverted, into.is_some()))
            }
            other => {
                let operands = std::mem::take(&mut waiting);
                simple(other, &operands, rule.family)
            }
        };
        words.extend(text);
    }
    drop_redundant(&mut words);
    words.join(" ")
}

fn found<'a>(rule: &Rule, sets: &'a [Set], name: &str) -> Option<&'a Set> {
    sets.iter().find(|set| set.family == rule.family && set.table == rule.table && set.name == name)
}

/// `meta l4proto tcp` before `tcp …` and `meta nfproto ipv4` before `ip …` add nothing.
fn drop_redundant(words: &mut Vec<String>) {
    let mut at = 0;
    while at + 1 < words.len() {
        let implied =
            words[at].strip_prefix("meta l4proto ").or_else(|| words[at].strip_prefix("meta nfproto "));
        let next = words[at + 1..].iter().find(|next| !next.starts_with("meta l4proto"));
        let redundant = implied.is_some_and(|name| {
            let name = match name {
                "ipv4" => "ip",
                "ipv6" => "ip6",
                name => name,
            };
            next.is_some_and(|next| next.starts_with(&format!("{name} ")))
        });
        if redundant {
            words.remove(at);
        } else {
            at += 1;
        }
    }
}

fn loaded(load: &Load, protocol: &str) -> Waiting {
    let (words, kind) = match load {
        Load::Meta(key) => meta(*key),
        Load::Payload { base: 1, offset, length } => network(*offset, *length),
        Load::Payload { base: 2, offset, length } => transport(*offset, *length, protocol),
        Load::Payload { base, offset, length } => {
            let base = if *base == 0 { "ll" } else { "ih" };
            (format!("@{base},{},{}", offset * 8, length * 8), Kind::Big)
        }
        Load::Connection { key, .. } => connection(*key),
        Load::Other(name) => (name.clone(), Kind::Number),
    };
    Waiting { words, kind, mask: None }
}

fn meta(key: u32) -> (String, Kind) {
    let (name, kind) = match key {
        0 => ("length", Kind::Number),
        1 => ("protocol", Kind::Big),
        3 => ("mark", Kind::Number),
        4 => ("iif", Kind::Number),
        5 => ("oif", Kind::Number),
        6 => ("iifname", Kind::Text),
        7 => ("oifname", Kind::Text),
        10 => ("skuid", Kind::Number),
        11 => ("skgid", Kind::Number),
        15 => ("nfproto", Kind::Protocol),
        16 => ("l4proto", Kind::Protocol),
        19 => ("pkttype", Kind::Number),
        20 => ("cpu", Kind::Number),
        23 => ("cgroup", Kind::Number),
        24 => ("random", Kind::Number),
        other => return (format!("meta {other}"), Kind::Number),
    };
    let plain = matches!(key, 4..=7);
    (if plain { name.to_owned() } else { format!("meta {name}") }, kind)
}

fn network(offset: u32, length: u32) -> (String, Kind) {
    let name = match (offset, length) {
        (12, 1..=4) => "ip saddr",
        (16, 1..=4) => "ip daddr",
        (8, 5..=16) => "ip6 saddr",
        (24, 1..=16) => "ip6 daddr",
        (8, 1) => return ("ip ttl".to_owned(), Kind::Big),
        (9, 1) => return ("ip protocol".to_owned(), Kind::Protocol),
        _ => return (format!("@nh,{},{}", offset * 8, length * 8), Kind::Big),
    };
    (name.to_owned(), Kind::Address)
}

fn transport(offset: u32, length: u32, protocol: &str) -> (String, Kind) {
    let protocol = if protocol.is_empty() { "th" } else { protocol };
    match (offset, length) {
        (0, 2) => (format!("{protocol} sport"), Kind::Port),
        (2, 2) => (format!("{protocol} dport"), Kind::Port),
        (13, 1) => (format!("{protocol} flags"), Kind::Big),
        _ => (format!("@th,{},{}", offset * 8, length * 8), Kind::Big),
    }
}

fn connection(key: u32) -> (String, Kind) {
    let (name, kind) = match key {
        0 => ("state", Kind::State),
        1 => ("direction", Kind::Number),
        2 => ("status", Kind::Number),
        3 => ("mark", Kind::Number),
        8 | 19 | 21 => ("saddr", Kind::Address),
        9 | 20 | 22 => ("daddr", Kind::Address),
        10 => ("protocol", Kind::Protocol),
        11 => ("proto-src", Kind::Port),
        12 => ("proto-dst", Kind::Port),
        other => return (format!("ct {other}"), Kind::Number),
    };
    (format!("ct {name}"), kind)
}

fn compared(
    last: Option<Waiting>,
    operator: Operator,
    bytes: &[u8],
    protocol: &mut String,
) -> Option<String> {
    let waiting = last?;
    if waiting.words.ends_with("l4proto") || waiting.words.ends_with("protocol") {
        *protocol = value(Kind::Protocol, bytes);
    }
    // nft compiles "any of these bits" to a mask and "not 0".
    let any_bit = operator == Operator::NotEqual && bytes.iter().all(|byte| *byte == 0);
    if let (Some(mask), true) = (&waiting.mask, any_bit) {
        return Some(format!("{} {}", waiting.words, value(waiting.kind, mask)));
    }
    let sign = match operator {
        Operator::Equal => "",
        Operator::NotEqual => "!= ",
        Operator::Less => "< ",
        Operator::LessOrEqual => "<= ",
        Operator::Greater => "> ",
        Operator::GreaterOrEqual => ">= ",
    };
    let shown = match (&waiting.mask, waiting.kind) {
        (Some(mask), Kind::Address) => {
            let length: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
            format!("{}/{length}", value(Kind::Address, bytes))
        }
        (Some(mask), kind) => format!("{} / {}", value(kind, bytes), value(kind, mask)),
        // nft loads a prefix of whole bytes without the rest.
        (None, Kind::Address) if !matches!(bytes.len(), 4 | 16) => {
            let whole = if waiting.words.starts_with("ip6") { 16 } else { 4 };
            let mut padded = bytes.to_vec();
            padded.resize(whole, 0);
            format!("{}/{}", value(Kind::Address, &padded), bytes.len() * 8)
        }
        (None, kind) => value(kind, bytes),
    };
    Some(format!("{} {sign}{shown}", waiting.words))
}

fn looked_up(key: &[Waiting], set: Option<&Set>, name: &str, inverted: bool, map: bool) -> String {
    let what = key.iter().map(|waiting| waiting.words.clone()).collect::<Vec<_>>().join(" . ");
    let not = if inverted { "!= " } else { "" };
    let map = if map { "vmap " } else { "" };
    let kind = match key {
        [one] => Some(one.kind),
        _ => None,
    };
    match (name.strip_prefix("__").and(set), kind) {
        (Some(set), Some(kind)) => format!("{what} {map}{not}{{ {} }}", elements(set, kind)),
        (Some(_), None) => format!("{what} {map}{not}{{ … }}"),
        (None, _) => format!("{what} {map}{not}@{name}"),
    }
}

fn elements(set: &Set, kind: Kind) -> String {
    let mut shown: Vec<String> = Vec::new();
    for (at, element) in set.elements.iter().enumerate().filter(|(_, element)| !element.interval_end) {
        if shown.len() == SHOWN_ELEMENTS {
            shown.push("…".to_owned());
            break;
        }
        shown.push(format!("{}{}", key(set, at, element, kind), judged(element)));
    }
    shown.join(", ")
}

/// A key or an interval; the kernel stores an interval as its first key and the first key after it.
fn key(set: &Set, at: usize, element: &Element, kind: Kind) -> String {
    if element.catch_all {
        return "*".to_owned();
    }
    let first = value(kind, &element.key);
    let end = set.elements.get(at + 1).filter(|next| set.intervals && next.interval_end);
    let last = end.and_then(|end| before(&end.key));
    match last {
        Some(last) if last != element.key => format!("{first}-{}", value(kind, &last)),
        _ => first,
    }
}

/// The key minus one.
fn before(key: &[u8]) -> Option<Vec<u8>> {
    let mut key = key.to_vec();
    for byte in key.iter_mut().rev() {
        let (less, borrow) = byte.overflowing_sub(1);
        *byte = less;
        if !borrow {
            return Some(key);
        }
    }
    None
}

fn judged(element: &Element) -> String {
    element.judgement.as_ref().map_or(String::new(), |judgement| format!(" : {}", judgement_words(judgement)))
}

fn simple(expression: &Expression, operands: &[Waiting], family: u8) -> Option<String> {
    let operand = || operands.iter().map(|operand| operand.words.clone()).collect::<Vec<_>>().join(":");
    let over = |inverted: &bool| if *inverted { "over " } else { "" };
    Some(match expression {
        Expression::Judge(judgement) => judgement_words(judgement),
        Expression::Counter { packets } => format!("counter packets {packets}"),
        Expression::Reject { kind, code } => rejection(*kind, *code, family).to_owned(),
        Expression::Limit { rate, unit, bytes, inverted } => {
            let what = if *bytes { " bytes" } else { "" };
            format!("limit rate {}{rate}{what}/{}", over(inverted), seconds(*unit))
        }
        Expression::ConnectionLimit { count, inverted } => format!("ct count {}{count}", over(inverted)),
        Expression::Quota { bytes, used, inverted } => {
            format!("quota {}{bytes} bytes used {used} bytes", over(inverted))
        }
        Expression::Nat { destination, .. } => {
            format!("{} to {}", if *destination { "dnat" } else { "snat" }, operand())
        }
        Expression::Redirect { port: Some(_) } => format!("redirect to :{}", operand()),
        Expression::Redirect { port: None } => "redirect".to_owned(),
        Expression::Queue { first, bypass } => {
            format!("queue{} to {first}", if *bypass { " flags bypass" } else { "" })
        }
        Expression::Match { name, .. } if name == "comment" => return None,
        Expression::Match { name, .. } => format!("xt match {name}"),
        Expression::Target { name, info, .. } => target(name, info, family),
        Expression::Store { what, key, .. } => {
            let name = if what == "meta" { meta(*key).0 } else { format!("{what} {key}") };
            format!("{name} set {}", operand())
        }
        Expression::Passes(name) => name.clone(),
        Expression::Other(name) => name.clone(),
        _ => return None,
    })
}

fn target(name: &str, info: &[u8], family: u8) -> String {
    let with = info.get(..4).and_then(|bytes| Some(u32::from_ne_bytes(bytes.try_into().ok()?)));
    match (name, with) {
        ("REJECT", Some(with)) => format!("REJECT with {}", iptables_rejection(with, family)),
        _ => name.to_owned(),
    }
}
