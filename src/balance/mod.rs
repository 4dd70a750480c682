//! Which target a client goes to: which may be chosen, and by which rule.
//!
//! Only decides: no clock, no randomness and no socket. Facts about the targets, the client and a seed are arguments;
//! `engine` checks, dials and relays. A session never moves to another target, because its bytes belong to the target
//! that received the earlier ones. Targets are not chosen by response time (EWMA, least time) either: on this machine
//! connect(2) takes some microseconds whatever the service does, and a target that fails fast would attract every
//! client.

mod candidates;
mod first;
mod hash;
mod health;
mod least_connections;
mod pick;
mod random;
mod round_robin;
mod source_hash;

use serde::Deserialize;

pub use candidates::{Candidate, Facts, Fitness, Part, Role, Room, candidates};
pub use hash::Key;
pub use health::{Check, HealthRules, Talk};
pub use pick::Pick;

/// `balance`: the rule by which a route with several targets chooses one for each client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Each in turn, by weight, evenly spread.
    #[default]
    RoundRobin,
    /// The target with the fewest sessions for its weight.
    LeastConnections,
    /// Of two drawn by weight, the one with fewer sessions.
    Random,
    /// The same target for every connection of a client's address, while it may be chosen.
    SourceHash,
    /// The first target that is well, in the order written.
    First,
}

impl Balance {
    /// The rule for targets with these names, in the order written.
    pub fn rule(self, targets: &[Key]) -> Box<dyn Pick> {
        match self {
            Balance::RoundRobin => Box::new(round_robin::RoundRobin::new(targets.len())),
            Balance::LeastConnections => Box::new(least_connections::LeastConnections::new(targets.len())),
            Balance::Random => Box::new(random::Random),
            Balance::SourceHash => Box::new(source_hash::SourceHash::new(targets)),
            Balance::First => Box::new(first::First),
        }
    }
}

#[cfg(test)]
mod tests;
