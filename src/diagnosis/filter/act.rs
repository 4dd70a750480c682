//! The result of a rule, or of one of its tests, for a packet.

use crate::probe::firewall::{Judgement, RejectKind};

/// Whether a packet meets a rule's tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    No,
    Maybe,
    Yes,
}

/// What a rule does with a packet it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing final: the next rule follows.
    Continue,
    Judge(Judgement),
    Reject {
        kind: RejectKind,
        code: u8,
    },
    /// The iptables target REJECT, with its own code.
    RejectTarget(u32),
    /// The new address and port, each if known.
    Redirect {
        address: Option<Vec<u8>>,
        port: Option<u16>,
    },
    Queue {
        number: u64,
        bypass: bool,
    },
    /// Something else takes the packet over, such as a proxy.
    Taken(String),
}
