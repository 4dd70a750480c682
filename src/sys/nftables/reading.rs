//! Parses one expression of a rule from netlink attributes. Numbers follow include/uapi/linux/netfilter/nf_tables.h.

use super::super::netlink::{attribute, text};
use super::expression::{BitOperation, Expression, Judgement, Load, Operator, RejectKind};

/// Numbers in nf_tables are big-endian and have four or eight bytes.
pub(super) fn number(rest: &[u8], kind: u16) -> Option<u64> {
    let payload = attribute(rest, kind)?;
    match payload.len() {
        4 => Some(u32::from_be_bytes(payload.try_into().ok()?).into()),
        8 => Some(u64::from_be_bytes(payload.try_into().ok()?)),
        _ => None,
    }
}

/// NFTA_LIST_ELEM: a name and the attributes of that kind of expression.
pub(super) fn read(element: &[u8]) -> Expression {
    const NFTA_EXPR_NAME: u16 = 1;
    const NFTA_EXPR_DATA: u16 = 2;
    let name = attribute(element, NFTA_EXPR_NAME).map(text).unwrap_or_default();
    let data = attribute(element, NFTA_EXPR_DATA).unwrap_or_default();
    known(&name, data).unwrap_or(Expression::Other(name))
}

/// Parses an expression; `None` if its kind is unknown or it is truncated.
fn known(name: &str, data: &[u8]) -> Option<Expression> {
    let register = |kind| number(data, kind).map(|register| register as u32);
    Some(match name {
        "meta" | "ct" | "payload" => load_or_store(name, data)?,
        "numgen" | "fib" | "rt" | "osf" | "exthdr" => {
            Expression::Load { load: Load::Other(name.to_owned()), register: register(1)? }
        }
        "socket" => Expression::Load { load: Load::Other(name.to_owned()), register: register(2)? },
        "immediate" => immediate(data)?,
        "bitwise" => bitwise(data)?,
        "byteorder" => Expression::ByteOrder {
            from: register(1)?,
            to: register(2)?,
            length: register(4)?,
            size: register(5)?,
        },
        "nat" => Expression::Nat {
            destination: number(data, 1)? == 1,
            family: register(2)?,
            address: register(3),
            port: register(5),
        },
        "redir" => Expression::Redirect { port: register(1) },
        "reject" => Expression::Reject { kind: reject_kind(number(data, 1)?)?, code: first_byte(data, 2) },
        "queue" => queue(data),
        "match" => {
            let (name, revision, info) = extension(data)?;
            Expression::Match { name, revision, info }
        }
        "target" => {
            let (name, revision, info) = extension(data)?;
            Expression::Target { name, revision, info }
        }
        "log" | "notrack" | "masq" | "dup" | "last" | "flow_offload" => Expression::Passes(name.to_owned()),
        "dynset" => dynamic_set(data),
        "objref" => object(data),
        _ => test(name, data)?,
    })
}

/// Parses an expression that may end a rule: a comparison, a look-up, a limit that is reached.
fn test(name: &str, data: &[u8]) -> Option<Expression> {
    let n = |kind| number(data, kind);
    let register = |kind| n(kind).map(|register| register as u32);
    let flag = |kind, bit: u64| n(kind).unwrap_or_default() & bit != 0;
    Some(match name {
        "cmp" => {
            Expression::Compare { register: register(1)?, operator: operator(n(2)?)?, bytes: bytes(data, 3)? }
        }
        "range" => Expression::Range {
            register: register(1)?,
            inside: n(2)? == 0,
            from: bytes(data, 3)?,
            to: bytes(data, 4)?,
        },
        "lookup" => Expression::Lookup {
            set: text(attribute(data, 1)?),
            register: register(2)?,
            inverted: flag(5, 1),
            into: register(3),
        },
        "counter" => Expression::Counter { packets: n(2)? },
        "limit" => {
            Expression::Limit { rate: n(1)?, unit: n(2)?, bytes: n(4) == Some(1), inverted: flag(5, 1) }
        }
        "connlimit" => Expression::ConnectionLimit { count: n(1)?, inverted: flag(2, 1) },
        "quota" => Expression::Quota { bytes: n(1)?, used: n(4).unwrap_or_default(), inverted: flag(2, 1) },
        _ => return None,
    })
}

/// `meta`, `ct` and `payload` load if they have a destination register and store if they have a source register.
fn load_or_store(name: &str, data: &[u8]) -> Option<Expression> {
    let n = |kind| number(data, kind).map(|value| value as u32);
    let load = |load, register| Some(Expression::Load { load, register });
    let key = n(2)?;
    match name {
        "meta" => match n(1) {
            Some(register) => load(Load::Meta(key), register),
            None => Some(Expression::Store { what: "meta".to_owned(), key, register: n(3)? }),
        },
        "ct" => match n(1) {
            Some(register) => {
                let reply = attribute(data, 3).and_then(|direction| direction.first()).map(|d| *d != 0);
                load(Load::Connection { key, reply }, register)
            }
            None => Some(Expression::Store { what: "ct".to_owned(), key, register: n(4)? }),
        },
        _ => match n(1) {
            Some(register) => load(Load::Payload { base: key, offset: n(3)?, length: n(4)? }, register),
            None => Some(Expression::Store { what: "payload".to_owned(), key, register: n(5)? }),
        },
    }
}

fn immediate(data: &[u8]) -> Option<Expression> {
    let register = number(data, 1)? as u32;
    let payload = attribute(data, 2)?;
    match judgement(payload) {
        Some(judgement) if register == 0 => Some(Expression::Judge(judgement)),
        _ => Some(Expression::Immediate { register, bytes: value(payload)?.to_vec() }),
    }
}

fn bitwise(data: &[u8]) -> Option<Expression> {
    let n = |kind| number(data, kind).map(|value| value as u32);
    let operation = match n(6).unwrap_or(0) {
        0 => BitOperation::MaskXor { mask: bytes(data, 4)?, xor: bytes(data, 5)? },
        _ => BitOperation::Other,
    };
    Some(Expression::Bits { from: n(1)?, to: n(2)?, length: n(3)?, operation })
}

/// Adds to a set and continues, unless an expression of the element (a limit per address) stops the rule.
fn dynamic_set(data: &[u8]) -> Expression {
    const NFTA_DYNSET_EXPR: u16 = 7;
    const NFTA_DYNSET_EXPRESSIONS: u16 = 10;
    let inner = attribute(data, NFTA_DYNSET_EXPR)
        .or_else(|| attribute(attribute(data, NFTA_DYNSET_EXPRESSIONS)?, 1))
        .map(read);
    match inner {
        Some(limit @ (Expression::Limit { .. } | Expression::ConnectionLimit { .. })) => limit,
        None | Some(Expression::Counter { .. }) => Expression::Passes("dynset".to_owned()),
        Some(_) => Expression::Other("dynset".to_owned()),
    }
}

/// A named object, by its NFT_OBJECT_ number: a quota or a limit may stop the rule, a counter does not.
fn object(data: &[u8]) -> Expression {
    let name = attribute(data, 2).map(text).unwrap_or_default();
    match number(data, 1) {
        Some(2) => Expression::Other(format!("quota {name}")),
        Some(4) => Expression::Other(format!("limit {name}")),
        Some(8) => Expression::Other(format!("synproxy {name}")),
        Some(_) => Expression::Passes("object".to_owned()),
        None => Expression::Other("object of a map".to_owned()),
    }
}

fn queue(data: &[u8]) -> Expression {
    let short =
        |kind| attribute(data, kind).and_then(|p| Some(u16::from_be_bytes(p.get(..2)?.try_into().ok()?)));
    Expression::Queue {
        first: short(1).unwrap_or_default().into(),
        bypass: short(3).unwrap_or_default() & 1 != 0,
    }
}

/// A match or target of iptables: name, revision, its own structure.
fn extension(data: &[u8]) -> Option<(String, u32, Vec<u8>)> {
    Some((
        text(attribute(data, 1)?),
        number(data, 2)? as u32,
        attribute(data, 3).unwrap_or_default().to_vec(),
    ))
}

fn operator(number: u64) -> Option<Operator> {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual].get(usize::try_from(number).ok()?).copied()
}

fn reject_kind(number: u64) -> Option<RejectKind> {
    [RejectKind::Icmp, RejectKind::Reset, RejectKind::IcmpAny].get(usize::try_from(number).ok()?).copied()
}

fn first_byte(data: &[u8], kind: u16) -> u8 {
    attribute(data, kind).and_then(|payload| payload.first().copied()).unwrap_or_default()
}

fn bytes(data: &[u8], kind: u16) -> Option<Vec<u8>> {
    attribute(data, kind).and_then(value).map(<[u8]>::to_vec)
}

/// NFTA_DATA_VALUE.
pub(super) fn value(data: &[u8]) -> Option<&[u8]> {
    attribute(data, 1)
}

/// NFTA_DATA_VERDICT: a code and, for a jump, a chain.
pub(super) fn judgement(data: &[u8]) -> Option<Judgement> {
    let verdict = attribute(data, 2)?;
    let chain = || attribute(verdict, 2).map(text).unwrap_or_default();
    Some(match number(verdict, 1)? as u32 as i32 {
        1 => Judgement::Accept,
        0 => Judgement::Drop,
        -1 => Judgement::Continue,
        -3 => Judgement::Jump(chain()),
        -4 => Judgement::Goto(chain()),
        -5 => Judgement::Return,
        _ => Judgement::Other,
    })
}
