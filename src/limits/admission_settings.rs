//! The entry limits of a route, as its configuration states them.

use std::time::Duration;

use serde::Deserialize;

use super::gcra::Allowance;

/// How many sessions a route may have, how fast new ones may come, and what happens to a client beyond that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryLimits {
    /// Sessions at one time, at least 1; `None` is unlimited.
    pub most: Option<usize>,
    /// Sessions of one client at one time, at least 1, waiting ones included.
    pub most_per_client: Option<usize>,
    /// New sessions.
    pub rate: Option<Allowance>,
    /// New sessions of one client.
    pub rate_per_client: Option<Allowance>,
    /// What happens to a new client while there are `most` sessions.
    pub full: WhenFull,
    /// How many clients may wait, at least 1.
    pub queue: usize,
    /// How long a client may wait; more than zero.
    pub queue_timeout: Duration,
    /// Whether clients over a limit are only noted, and enter all the same.
    pub dry_run: bool,
}

/// What happens to a new client of a full route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It is reset.
    #[default]
    Refuse,
    /// It waits for a place, first come, first served.
    Queue,
    /// It takes the place of the session that was idle longest.
    EvictIdle,
}

impl Default for EntryLimits {
    fn default() -> Self {
        EntryLimits {
            most: None,
            most_per_client: None,
            rate: None,
            rate_per_client: None,
            full: WhenFull::default(),
            queue: 100,
            queue_timeout: Duration::from_secs(5),
            dry_run: false,
        }
    }
}

impl EntryLimits {
    /// Whether there is no limit at all, so that nothing has to be counted.
    pub fn is_none(&self) -> bool {
        self.most.is_none()
            && self.most_per_client.is_none()
            && self.rate.is_none()
            && self.rate_per_client.is_none()
    }
}
