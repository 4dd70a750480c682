//! How many and how long: the limits of the whole process.

use std::time::Duration;

/// `[limits]`: bounds that hold for the whole process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at one time over all routes, at least 1; `None` takes what the descriptor limit allows.
    pub connections: Option<usize>,
    /// How long a stop waits for the sessions that are left before it resets them. Zero resets at once.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: None, drain_timeout: Duration::from_secs(30) }
    }
}
