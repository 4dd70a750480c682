//! The path of a packet through this machine, and what happens to it there.

use std::net::SocketAddr;

use super::answer::Answer;
use super::packet::{Device, Role};

/// The path of a packet through this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a local socket to a local socket over the loopback interface: out, then in.
    Loopback(Device),
    /// From a local socket out through an interface.
    Out(Device),
    /// In through an interface to a local socket.
    In(Device),
}

/// What stops or redirects a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is dropped silently.
    Drop,
    /// It is rejected with an answer to the sender.
    Reject(Answer),
    /// It is redirected to another address.
    Redirect(SocketAddr),
    /// A program decides, through this queue. Without such a program it is dropped, unless `bypass` is set.
    Queue {
        /// Its number.
        number: u64,
        /// Whether it passes if no program reads the queue.
        bypass: bool,
    },
    /// Something else takes it over; the kernel's name for it.
    Taken(String),
}

/// A rule, or a chain's policy, that stops the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its index in the rule set; `None` for the policy.
    pub rule: Option<usize>,
    /// The chain that contains it, or whose policy it is.
    pub chain: usize,
    /// What it does.
    pub effect: Effect,
    /// Whether, according to the rules, it certainly takes this packet.
    pub certain: bool,
    /// Whether that depends on a count or rate: its own limit, or that of an earlier rule that lets a number of packets
    /// pass.
    pub limited: bool,
    /// The rule that has the limit, if it is another one.
    pub limit: Option<usize>,
    /// Which packet it takes.
    pub role: Role,
}

/// What happens to a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// What stops it or may stop it, in order; a certain hit ends the evaluation.
    pub hits: Vec<Hit>,
    /// How many of the evaluated rules match or may match.
    pub matching: usize,
    /// Whether the evaluation was cut short by `MAX_STEPS`.
    pub cut: bool,
}
