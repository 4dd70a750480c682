//! What a rule or one of its tests says of a packet.

use crate::probe::firewall::{Judgement, RejectKind};

/// Whether a rule's tests are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    No,
    Maybe,
    Yes,
}

/// What a rule does with what it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing that ends the way.
    Continue,
    Judge(Judgement),
    Reject {
        kind: RejectKind,
        code: u8,
    },
    /// A target REJECT of iptables: its own number.
    RejectTarget(u32),
    /// An address and a port, each where it is known.
    Redirect {
        address: Option<Vec<u8>>,
        port: Option<u16>,
    },
    Queue {
        number: u64,
        bypass: bool,
    },
    /// It is taken out of its way: by a proxy, a copy to elsewhere.
    Taken(String),
}
