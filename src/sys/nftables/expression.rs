//! One step of a rule: a load into a register, a test of it, a count, a verdict. Names are the kernel's.

use super::super::netlink::{attribute, text};
use super::number;

/// A step of a rule. Registers are numbered as the kernel does: 0 is the verdict, 1 to 4 have 16 bytes, from 8 on 4.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Fields are those of nf_tables.h, in its words.
pub enum Expression {
    Load {
        load: Load,
        register: u32,
    },
    Immediate {
        register: u32,
        bytes: Vec<u8>,
    },
    Judge(Judgement),
    Compare {
        register: u32,
        operator: Operator,
        bytes: Vec<u8>,
    },
    Range {
        register: u32,
        inside: bool,
        from: Vec<u8>,
        to: Vec<u8>,
    },
    Bits {
        from: u32,
        to: u32,
        length: u32,
        operation: BitOperation,
    },
    ByteOrder {
        from: u32,
        to: u32,
        length: u32,
        size: u32,
    },
    /// In a map, `into` is the register of the value, 0 the verdict.
    Lookup {
        set: String,
        register: u32,
        inverted: bool,
        into: Option<u32>,
    },
    Counter {
        packets: u64,
    },
    Reject {
        kind: RejectKind,
        code: u8,
    },
    /// `rate` per `unit` seconds; inverted it matches what is over.
    Limit {
        rate: u64,
        unit: u64,
        bytes: bool,
        inverted: bool,
    },
    /// How many connections; inverted it matches what is over.
    ConnectionLimit {
        count: u64,
        inverted: bool,
    },
    Quota {
        bytes: u64,
        used: u64,
        inverted: bool,
    },
    Nat {
        destination: bool,
        family: u32,
        address: Option<u32>,
        port: Option<u32>,
    },
    Redirect {
        port: Option<u32>,
    },
    Queue {
        first: u64,
        bypass: bool,
    },
    /// A match of iptables inside nf_tables.
    Match {
        name: String,
        revision: u32,
        info: Vec<u8>,
    },
    /// A target of iptables inside nf_tables.
    Target {
        name: String,
        revision: u32,
        info: Vec<u8>,
    },
    /// It sets something (a mark, a header) from a register.
    Store {
        what: String,
        key: u32,
        register: u32,
    },
    /// It lets pass whatever comes: log, notrack, masquerade …
    Passes(String),
    /// It may stop or change the packet in a way not known here.
    Other(String),
}

/// Where a load takes its bytes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Load {
    Meta(u32),
    /// Base 0 link, 1 network, 2 transport header; offset and length in bytes.
    Payload {
        base: u32,
        offset: u32,
        length: u32,
    },
    Connection {
        key: u32,
        reply: Option<bool>,
    },
    /// `fib`, `rt`, `socket`, `numgen` … by the kernel's name.
    Other(String),
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Judgement {
    Accept,
    Drop,
    Jump(String),
    Goto(String),
    Return,
    Continue,
    Other,
}

/// How a register is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is done with the bits of a register.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BitOperation {
    MaskXor { mask: Vec<u8>, xor: Vec<u8> },
    Other,
}

/// How a rejection answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectKind {
    /// With an ICMP message of the packet's family; the code is that family's.
    Icmp,
    /// With a TCP reset.
    Reset,
    /// With an ICMP message, the code being nf_tables' own for both families.
    IcmpAny,
}

/// NFTA_LIST_ELEM: a name and the attributes of that kind of expression.
pub(super) fn read(element: &[u8]) -> Expression {
    const NFTA_EXPR_NAME: u16 = 1;
    const NFTA_EXPR_DATA: u16 = 2;
    let name = attribute(element, NFTA_EXPR_NAME).map(text).unwrap_or_default();
    let data = attribute(element, NFTA_EXPR_DATA).unwrap_or_default();
    known(&name, data).unwrap_or(Expression::Other(name))
}

/// An expression that is known and whole.
fn known(name: &str, data: &[u8]) -> Option<Expression> {
    let n = |kind| number(data, kind);
    let register = |kind| n(kind).map(|register| register as u32);
    let flag = |kind, bit: u64| n(kind).unwrap_or_default() & bit != 0;
    Some(match name {
        "meta" | "ct" | "payload" => load_or_store(name, data)?,
        "immediate" => immediate(data)?,
        "cmp" => {
            Expression::Compare { register: register(1)?, operator: operator(n(2)?)?, bytes: bytes(data, 3)? }
        }
        "range" => Expression::Range {
            register: register(1)?,
            inside: n(2)? == 0,
            from: bytes(data, 3)?,
            to: bytes(data, 4)?,
        },
        "bitwise" => bitwise(data)?,
        "byteorder" => Expression::ByteOrder {
            from: register(1)?,
            to: register(2)?,
            length: register(4)?,
            size: register(5)?,
        },
        "lookup" => Expression::Lookup {
            set: text(attribute(data, 1)?),
            register: register(2)?,
            inverted: flag(5, 1),
            into: register(3),
        },
        "counter" => Expression::Counter { packets: n(2)? },
        "reject" => Expression::Reject { kind: reject_kind(n(1)?)?, code: first_byte(data, 2) },
        "limit" => {
            Expression::Limit { rate: n(1)?, unit: n(2)?, bytes: n(4) == Some(1), inverted: flag(5, 1) }
        }
        "connlimit" => Expression::ConnectionLimit { count: n(1)?, inverted: flag(2, 1) },
        "quota" => Expression::Quota { bytes: n(1)?, used: n(4).unwrap_or_default(), inverted: flag(2, 1) },
        "nat" => Expression::Nat {
            destination: n(1)? == 1,
            family: register(2)?,
            address: register(3),
            port: register(5),
        },
        "redir" => Expression::Redirect { port: register(1) },
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
        "fib" | "rt" | "socket" | "numgen" | "hash" | "osf" | "exthdr" | "xfrm" | "tunnel" => {
            let destination = match name {
                "numgen" | "fib" | "rt" | "osf" | "exthdr" => 1,
                "socket" => 2,
                _ => return None,
            };
            Expression::Load { load: Load::Other(name.to_owned()), register: register(destination)? }
        }
        _ => return None,
    })
}

/// These three load where they have a destination register and store where they have a source.
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

/// It adds to a set and goes on, unless an expression of the element (a limit per address) stops it.
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

/// A named object by its NFT_OBJECT_ number: a quota or a limit may stop the rule, a counter does not.
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

/// Matches and targets of iptables: name, revision, a structure of theirs.
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

/// NFTA_DATA_VERDICT: a code and, of a jump, a chain.
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
