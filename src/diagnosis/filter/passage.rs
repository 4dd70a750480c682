//! The way of a packet through this machine, and what becomes of it there.

use std::net::SocketAddr;

use super::answer::Answer;
use super::packet::{Device, Role};

/// The way of a packet through this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a socket here to a socket here, by the loopback interface: out, then in.
    Loopback(Device),
    /// From a socket here out by an interface.
    Out(Device),
    /// In by an interface to a socket here.
    In(Device),
}

/// What stops a packet, or sends it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is dropped without a word.
    Drop,
    /// The sender is told.
    Reject(Answer),
    /// It goes to another address.
    Redirect(SocketAddr),
    /// A program decides, by this queue; without such a program it is dropped, unless the queue is bypassed then.
    Queue {
        /// Its number.
        number: u64,
        /// Whether it passes where no program listens.
        bypass: bool,
    },
    /// Something else takes it, by the kernel's name.
    Taken(String),
}

/// A rule, or a chain's policy, that stops the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its place in the rule set; `None` is the policy.
    pub rule: Option<usize>,
    /// The chain it stands in, or whose policy it is.
    pub chain: usize,
    /// What it does.
    pub effect: Effect,
    /// Whether it takes this packet for certain, as far as the rules say.
    pub certain: bool,
    /// Whether that depends on how many or how often: its own limit, or that of a rule before it that lets so many pass.
    pub limited: bool,
    /// The rule that has the limit, where it is another one.
    pub limit: Option<usize>,
    /// Which packet it takes.
    pub role: Role,
}

/// What becomes of a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// What stops it or may stop it, in order; after one that is certain nothing more is asked.
    pub hits: Vec<Hit>,
    /// How many rules were asked that match or may match.
    pub matching: usize,
    /// Whether it was cut short: too many steps.
    pub cut: bool,
}
