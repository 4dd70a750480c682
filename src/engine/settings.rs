//! How an engine is made: its threads and its share of the descriptors.

use crate::limits::{self, Budget};
use crate::plan::Plan;
use crate::probe;

/// How an engine is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Threads that carry sessions, at least 1.
    pub workers: usize,
    /// What the descriptors allow.
    pub budget: Budget,
}

/// Descriptors of our own that come after the count: pollers and wake-ups of the runtimes, signals, files.
const OWN: usize = 4;
const OWN_PER_WORKER: usize = 3;

impl Settings {
    /// One worker for each core this process may use, and as many sessions as the descriptors allow that are free now,
    /// at most `limits.connections` of `plan`. It changes no limit of the process.
    pub fn fitting(plan: &Plan) -> Settings {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let descriptors = probe::limits::descriptors();
        // Without a limit, a quarter of what can be counted leaves room for every sum.
        let limit = descriptors.soft.and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX / 4);
        let listeners: usize = plan.routes.values().map(|route| route.listen.len()).sum();
        let used = descriptors.used.unwrap_or(0) as usize + listeners + OWN + OWN_PER_WORKER * workers;
        Settings { workers, budget: limits::budget(limit, used, plan.limits.connections) }
    }
}
