//! `[routes.NAME.health]`: how it is found out whether a target takes connections.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

/// How a target's health is found out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthRules {
    /// What is done beside the sessions, whose own dials always count.
    pub check: Check,
    /// What a check that connects says and wants to hear; `None` where connecting is enough.
    pub talk: Option<Talk>,
    /// How long lies between two checks that the target sees; more than zero.
    pub interval: Duration,
    /// How long such a check may take; more than zero.
    pub timeout: Duration,
    /// Good signs in a row after which a target that is down is up; at least 1.
    pub rise: u32,
    /// Bad signs in a row after which one that is up is down; at least 1.
    pub fall: u32,
    /// How long the share of a target that is back takes to grow to its whole; zero gives it all at once.
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

/// What is done to find out how a target is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Nothing. One that is down is tried with a client each `interval`.
    None,
    /// A connection each `interval`, as a client would make it.
    Connect,
    /// The kernel is asked whether anybody listens, which no target notices. Where it cannot tell (another machine, a
    /// firewall between), one that is down is dialled each `interval`.
    #[default]
    Listen,
}

/// What a check says and wants to hear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Talk {
    /// Said first; may be empty, for a service that speaks first.
    pub send: Arc<str>,
    /// What must stand in the first [`Talk::MOST`] bytes of the answer; not empty.
    pub expect: Arc<str>,
}

impl Talk {
    /// The most bytes of an answer that are looked at, and of what is sent.
    pub const MOST: usize = 4096;
}
