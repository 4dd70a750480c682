//! One expression of a rule: a load into a register, a test of a register, a counter, a verdict. The names are the
//! kernel's.

/// An expression of a rule. Registers have the kernel's numbers: 0 is the verdict, 1 to 4 hold 16 bytes each, 8 and
/// above 4 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are named as in nf_tables.h.
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
    /// For a map, `into` is the register that receives the value; 0 is the verdict.
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
    /// `rate` per `unit` seconds; inverted, it matches what exceeds the rate.
    Limit {
        rate: u64,
        unit: u64,
        bytes: bool,
        inverted: bool,
    },
    /// The number of connections; inverted, it matches what exceeds it.
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
    /// An iptables match inside nf_tables.
    Match {
        name: String,
        revision: u32,
        info: Vec<u8>,
    },
    /// An iptables target inside nf_tables.
    Target {
        name: String,
        revision: u32,
        info: Vec<u8>,
    },
    /// Sets something (a mark, a header field) from a register.
    Store {
        what: String,
        key: u32,
        register: u32,
    },
    /// Never stops a packet: log, notrack, masquerade …
    Passes(String),
    /// May stop or change the packet in a way unknown to this parser.
    Other(String),
}

/// The source of a load.
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
    /// `fib`, `rt`, `socket`, `numgen` …, by the kernel's name.
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

/// An operation on the bits of a register.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BitOperation {
    MaskXor { mask: Vec<u8>, xor: Vec<u8> },
    Other,
}

/// The answer of a reject expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectKind {
    /// An ICMP message of the packet's family, with that family's code.
    Icmp,
    /// A TCP reset.
    Reset,
    /// An ICMP message whose code is nf_tables' own, for both families.
    IcmpAny,
}
