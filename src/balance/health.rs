//! `[routes.NAME.health]`: how it is found out whether a target takes connections.

use std::time::Duration;

/// How a target's health is found out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthRules {
    /// How long lies between two checks that the target sees; more than zero.
    pub interval: Duration,
    /// How long a check may take; more than zero.
    pub timeout: Duration,
}

impl Default for HealthRules {
    fn default() -> Self {
        HealthRules { interval: Duration::from_secs(1), timeout: Duration::from_secs(1) }
    }
}
