//! Runs one rule over one packet, as nf_tables does (net/netfilter/nf_tables_core.c); a test of an unknown byte gives
//! "maybe".

use std::cmp::Ordering;

use super::act::{Act, Match};
use super::extension;
use super::packet::{Bytes, Packet, Place, known, load};
use crate::probe::firewall::{BitOperation, Element, Expression, Judgement, Operator, Rule, Set};

/// The result of running a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    /// Whether it matched.
    pub(super) matched: Match,
    /// What the rule does with the packet.
    pub(super) act: Act,
    /// Whether one of its tests depends on a count or rate.
    pub(super) limited: bool,
    /// The mark it sets, if any; the inner `None` is an unknown mark.
    pub(super) mark: Option<Option<u32>>,
    /// Whether it excludes the packet from connection tracking.
    pub(super) untracks: bool,
}

/// The register file: 16 registers of 4 bytes, overlaid by four of 16 bytes.
const REGISTER_BYTES: usize = 80;

struct Machine<'a> {
    packet: &'a Packet,
    place: &'a Place<'a>,
    sets: &'a [Set],
    rule: &'a Rule,
    registers: Vec<Option<u8>>,
    ran: Ran,
}

pub(super) fn run(rule: &Rule, sets: &[Set], packet: &Packet, place: &Place<'_>) -> Ran {
    let ran = Ran { matched: Match::Yes, act: Act::Continue, limited: false, mark: None, untracks: false };
    let mut machine = Machine { packet, place, sets, rule, registers: vec![Some(0); REGISTER_BYTES], ran };
    for expression in &rule.expressions {
        let matched = machine.step(expression);
        machine.ran.matched = machine.ran.matched.min(matched);
        if machine.ran.matched == Match::No || machine.ran.act != Act::Continue {
            break;
        }
    }
    machine.ran
}

impl Machine<'_> {
    /// Runs one expression. A test returns its result; any other expression counts as met.
    fn step(&mut self, expression: &Expression) -> Match {
        match expression {
            Expression::Load { load: what, register } => match load(self.packet, self.place, what) {
                Some(bytes) => self.store(*register, &bytes),
                None => return Match::No,
            },
            Expression::Immediate { register, bytes } => self.store(*register, &known(bytes)),
            Expression::Compare { register, operator, bytes } => {
                return compare(&self.read(*register, bytes.len()), *operator, bytes);
            }
            Expression::Range { register, inside, from, to } => {
                return range(&self.read(*register, from.len()), *inside, from, to);
            }
            Expression::Bits { from, to, length, operation } => self.bits(*from, *to, *length, operation),
            Expression::ByteOrder { from, to, length, size } => self.byte_order(*from, *to, *length, *size),
            Expression::Lookup { set, register, inverted, into } => {
                return self.lookup(set, *register, *inverted, *into);
            }
            Expression::Limit { .. } | Expression::ConnectionLimit { .. } | Expression::Quota { .. } => {
                self.ran.limited = true;
                return Match::Maybe;
            }
            Expression::Match { name, revision, info } => {
                let (matched, limited) = extension::test(name, *revision, info, self.packet, self.place);
                self.ran.limited |= limited;
                return matched;
            }
            Expression::Store { what, key, register } => self.set(what, *key, *register),
            Expression::Counter { .. } => {}
            Expression::Passes(name) => self.ran.untracks |= name == "notrack",
            Expression::Other(name) => return self.other(name),
            ending => self.end(ending),
        }
        Match::Yes
    }

    /// Runs an expression that decides what happens to the packet.
    fn end(&mut self, expression: &Expression) {
        self.ran.act = match expression {
            Expression::Judge(judgement) => Act::Judge(judgement.clone()),
            Expression::Reject { kind, code } => Act::Reject { kind: *kind, code: *code },
            Expression::Nat { destination: true, address, port, .. } => Act::Redirect {
                address: address.and_then(|register| self.address(register)),
                port: port.and_then(|register| self.port(register)),
            },
            Expression::Redirect { port } => {
                Act::Redirect { address: None, port: port.and_then(|register| self.port(register)) }
            }
            Expression::Nat { .. } => Act::Judge(Judgement::Accept),
            Expression::Queue { first, bypass } => Act::Queue { number: *first, bypass: *bypass },
            Expression::Target { name, revision, info } => {
                self.ran.untracks |= name == "CT" && info.first().is_some_and(|flags| flags & 1 == 1);
                if name == "MARK" {
                    self.ran.mark = Some(None);
                }
                extension::target(name, *revision, info)
            }
            _ => Act::Continue,
        };
    }

    /// Proxies take the packet; for any other expression it is unknown whether the rule continues.
    fn other(&mut self, name: &str) -> Match {
        if ["synproxy", "tproxy", "fwd"].iter().any(|taker| name.starts_with(taker)) {
            self.ran.act = Act::Taken(name.to_owned());
            return Match::Yes;
        }
        self.ran.limited |= name.starts_with("limit") || name.starts_with("quota");
        Match::Maybe
    }

    fn set(&mut self, what: &str, key: u32, register: u32) {
        const NFT_META_MARK: u32 = 3;
        if what == "meta" && key == NFT_META_MARK {
            let bytes: Option<Vec<u8>> = self.read(register, 4).into_iter().collect();
            let mark = bytes.and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
            self.ran.mark = Some(mark);
        }
    }

    fn bits(&mut self, from: u32, to: u32, length: u32, operation: &BitOperation) {
        let mut bytes = self.read(from, length as usize);
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = match operation {
                BitOperation::MaskXor { mask, xor } => {
                    let (mask, xor) =
                        (mask.get(at).copied().unwrap_or_default(), xor.get(at).copied().unwrap_or_default());
                    // A byte that is masked out is known, whatever it was.
                    if mask == 0 { Some(xor) } else { byte.map(|byte| byte & mask ^ xor) }
                }
                BitOperation::Other => None,
            };
        }
        self.store(to, &bytes);
    }

    fn byte_order(&mut self, from: u32, to: u32, length: u32, size: u32) {
        let mut bytes = self.read(from, length as usize);
        if cfg!(target_endian = "little") && size > 1 {
            bytes.chunks_mut(size as usize).for_each(<[Option<u8>]>::reverse);
        }
        self.store(to, &bytes);
    }

    fn lookup(&mut self, name: &str, register: u32, inverted: bool, into: Option<u32>) -> Match {
        let rule = self.rule;
        let found = self
            .sets
            .iter()
            .find(|set| (set.family, &set.table[..], &set.name[..]) == (rule.family, &rule.table[..], name));
        let Some(set) = found else { return Match::Maybe };
        let width = set.elements.last().map_or(4, |element| element.key.len());
        let key = self.read(register, width);
        let (matched, element) = find(set, &key);
        let matched = if inverted { opposite(matched) } else { matched };
        match (into, element) {
            (Some(0), Some(element)) if matched != Match::No => {
                self.ran.act = element.judgement.clone().map_or(Act::Continue, Act::Judge);
            }
            (Some(0), None) if matched == Match::Maybe => self.ran.act = worst(set),
            (Some(register), element) => {
                let data = element.and_then(|element| element.data.as_deref()).map(known);
                self.store(register, &data.unwrap_or(vec![None; 16]));
            }
            _ => {}
        }
        matched
    }

    fn address(&self, register: u32) -> Option<Vec<u8>> {
        let width = if self.packet.to.is_ipv4() { 4 } else { 16 };
        self.read(register, width).into_iter().collect()
    }

    fn port(&self, register: u32) -> Option<u16> {
        let bytes: Option<Vec<u8>> = self.read(register, 2).into_iter().collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes)
    }

    fn read(&self, register: u32, length: usize) -> Bytes {
        let start = offset(register);
        (start..start + length).map(|at| self.registers.get(at).copied().flatten()).collect()
    }

    /// Writes a register in whole words; the rest of the last word is zeroed.
    fn store(&mut self, register: u32, bytes: &[Option<u8>]) {
        let start = offset(register);
        for at in 0..bytes.len().next_multiple_of(4) {
            if let Some(place) = self.registers.get_mut(start + at) {
                *place = bytes.get(at).copied().unwrap_or(Some(0));
            }
        }
    }
}

/// The byte offset of a register: NFT_REG_1 … NFT_REG_4 have 16 bytes, NFT_REG32_00 (8) … NFT_REG32_15 have 4.
fn offset(register: u32) -> usize {
    match register {
        1..=4 => (register as usize - 1) * 16,
        8..=23 => (register as usize - 8) * 4,
        _ => REGISTER_BYTES,
    }
}

fn opposite(matched: Match) -> Match {
    match matched {
        Match::Yes => Match::No,
        Match::Maybe => Match::Maybe,
        Match::No => Match::Yes,
    }
}

/// Compares bytes of which some may be unknown; one known byte that differs is enough for "no".
fn equals(bytes: &[Option<u8>], wanted: &[u8]) -> Match {
    let differs = bytes.iter().zip(wanted).any(|(byte, wanted)| byte.is_some_and(|byte| byte != *wanted));
    if differs {
        Match::No
    } else if bytes.iter().all(Option::is_some) {
        Match::Yes
    } else {
        Match::Maybe
    }
}

fn order(bytes: &[Option<u8>], other: &[u8]) -> Option<Ordering> {
    let bytes: Vec<u8> = bytes.iter().copied().collect::<Option<_>>()?;
    Some(bytes[..].cmp(other))
}

fn answer(is: bool) -> Match {
    if is { Match::Yes } else { Match::No }
}

pub(super) fn compare(bytes: &[Option<u8>], operator: Operator, wanted: &[u8]) -> Match {
    let ordered =
        |is: fn(Ordering) -> bool| order(bytes, wanted).map_or(Match::Maybe, |order| answer(is(order)));
    match operator {
        Operator::Equal => equals(bytes, wanted),
        Operator::NotEqual => opposite(equals(bytes, wanted)),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
    }
}

fn range(bytes: &[Option<u8>], inside: bool, from: &[u8], to: &[u8]) -> Match {
    match order(bytes, from).zip(order(bytes, to)) {
        Some((low, high)) => answer((low.is_ge() && high.is_le()) == inside),
        None => Match::Maybe,
    }
}

/// Whether a set contains a key, and the matching element if that is certain.
fn find<'a>(set: &'a Set, key: &[Option<u8>]) -> (Match, Option<&'a Element>) {
    let whole: Option<Vec<u8>> = key.iter().copied().collect();
    let (best, found) = match whole {
        Some(key) if !set.concatenated => known_key(set, &key),
        _ if set.intervals => (if set.elements.is_empty() { Match::No } else { Match::Maybe }, None),
        _ => any_key(set, key),
    };
    if best != Match::No {
        return (best, found);
    }
    // The catch-all element has no key and therefore comes first.
    match set.elements.first().filter(|element| element.catch_all) {
        Some(rest) => (Match::Yes, Some(rest)),
        None if !set.complete => (Match::Maybe, None),
        None => (Match::No, None),
    }
}

/// Looks up a fully known key. The elements are sorted by key, and the last one not above this key decides: it is the
/// key itself, or it opens its interval, or it closes the one before.
fn known_key<'a>(set: &'a Set, key: &[u8]) -> (Match, Option<&'a Element>) {
    let after = set.elements.partition_point(|element| &element.key[..] <= key);
    let last = after.checked_sub(1).map(|at| &set.elements[at]).filter(|element| !element.catch_all);
    let found = last.filter(|element| if set.intervals { !element.interval_end } else { element.key == key });
    (answer(found.is_some()), found)
}

/// Tries each element, if the key is not completely known or has several fields.
fn any_key<'a>(set: &'a Set, key: &[Option<u8>]) -> (Match, Option<&'a Element>) {
    let (mut best, mut found) = (Match::No, None);
    for element in set.elements.iter().filter(|element| !element.catch_all) {
        let matched = holds(element, key);
        if matched > best {
            best = matched;
            found = (matched == Match::Yes).then_some(element);
        }
        if best == Match::Yes {
            break;
        }
    }
    (best, found)
}

/// Whether an element contains the key. Concatenated intervals are compared field by field; a field has whole words of
/// four bytes.
fn holds(element: &Element, key: &[Option<u8>]) -> Match {
    match &element.key_end {
        None => equals(key, &element.key),
        Some(end) => {
            let words = key.chunks(4).zip(element.key.chunks(4)).zip(end.chunks(4));
            words.map(|((key, from), to)| range(key, true, from, to)).min().unwrap_or(Match::Maybe)
        }
    }
}

/// For a map whose key is unknown: the act of the most restrictive element.
fn worst(set: &Set) -> Act {
    let drops = set.elements.iter().any(|element| element.judgement == Some(Judgement::Drop));
    if drops { Act::Judge(Judgement::Drop) } else { Act::Judge(Judgement::Other) }
}
