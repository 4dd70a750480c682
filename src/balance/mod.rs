//! Which target a client is carried to: who may be chosen, and by which rule.
//!
//! It decides and asks nobody: no clock, no randomness and no socket. What is known of the targets, who the client is
//! and a seed are arguments; who looks, dials and carries is `engine`. A session never moves to another target: its bytes
//! belong to the one that has seen those before. Nor is a target chosen by how fast it answered (EWMA, least time): on
//! this machine connect(2) takes some microseconds whatever the service does, and one that fails fast would draw everybody.

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

pub use candidates::{Candidate, Facts, Fitness, Part, Role, candidates};
pub use hash::Key;
pub use health::{Check, HealthRules, Talk};
pub use pick::Pick;

/// `balance`: the rule by which a route with several targets chooses one for each client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Each in turn, by weight, and spread out evenly.
    #[default]
    RoundRobin,
    /// The one with the fewest sessions for its weight.
    LeastConnections,
    /// Of two drawn by weight, the one with fewer sessions.
    Random,
    /// The same one for every connection of a client's address, while it may be chosen.
    SourceHash,
    /// The first that is well, in the order written.
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
