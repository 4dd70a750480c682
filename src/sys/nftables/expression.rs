//! One step of a rule: a load into a register, a test of it, a count, a verdict. Names are the kernel's.

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
