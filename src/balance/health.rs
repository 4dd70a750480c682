//! `[routes.NAME.health]`: how Loopgate determines whether a target accepts connections.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

/// How a target's health is checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthRules {
    /// What is checked beside the sessions, whose own dials always count.
    pub check: Check,
    /// What an active check sends and expects; `None` if connecting is enough.
    pub talk: Option<Talk>,
    /// The time between two checks that the target notices; more than zero.
    pub interval: Duration,
    /// How long such a check may take; more than zero.
    pub timeout: Duration,
    /// Consecutive successes after which a target that is down is up; at least 1.
    pub rise: u32,
    /// Consecutive failures after which a target that is up is down; at least 1.
    pub fall: u32,
    /// The time in which the share of a returned target grows to its full size; zero gives it all at once.
    pub slow_start: Duration,
}

impl Default for HealthRules {
    fn default() -> Self {
        HealthRules {
            check: Check::default(),
            talk: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: 1,
            fall: 1,
            slow_start: Duration::ZERO,
        }
    }
}

/// How a target is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Not at all. A target that is down is tried with a client each `interval`.
    None,
    /// By a connection each `interval`, as a client would make it.
    Connect,
    /// By asking the kernel whether a process listens, which no target notices. Where the kernel does not know (another
    /// machine, a firewall in between), a target that is down is dialled each `interval`.
    #[default]
    Listen,
}

/// What a check sends and expects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Talk {
    /// Sent first; may be empty, for a service that sends first.
    pub send: Arc<str>,
    /// Must occur in the first [`Talk::MOST`] bytes of the answer; not empty.
    pub expect: Arc<str>,
}

impl Talk {
    /// The largest number of bytes of an answer that are searched, and of a request.
    pub const MOST: usize = 4096;
}
