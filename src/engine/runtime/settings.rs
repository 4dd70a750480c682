//! The settings of an engine: its threads and its share of the descriptors.

use crate::address::Protocol;
use crate::limits::{self, Budget, Limits, Wanted};
use crate::plan::Plan;
use crate::probe;

/// The settings of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Threads that carry sessions, at least 1.
    pub workers: usize,
    /// How many sessions and pipes the descriptors allow.
    pub budget: Budget,
}

/// Descriptors opened after the count: a reload's file and what its check of /proc opens, a query of the kernel.
const OWN: usize = 5;

/// Per worker's runtime: its poller twice, its wake-up, its end of the signals.
const OWN_PER_WORKER: usize = 4;

/// Per worker's loop for datagrams, if a route carries UDP: its poller and its wake-up.
const OWN_PER_LOOP: usize = 2;

impl Settings {
    /// One worker for each core this process may use, and as many sessions as the free descriptors allow, at most
    /// `limits.connections` of `plan`. It changes no limit of the process.
    pub fn fitting(plan: &Plan) -> Settings {
        let workers = workers();
        let descriptors = probe::system::limits::descriptors();
        // With no limit set, a quarter of the largest number leaves room for every sum.
        let limit = descriptors.soft.and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX / 4);
        let used = descriptors.used.unwrap_or(0) as usize + OWN + of_engine(plan, workers);
        let Limits { connections, flows, .. } = plan.limits;
        let wanted = Wanted { connections, flows, udp: has_udp(plan) };
        Settings { workers, budget: limits::budget(limit, used, wanted) }
    }

    /// The smallest number of descriptors with which an engine made by [`Settings::fitting`] can carry one session.
    pub fn least_descriptors(plan: &Plan) -> usize {
        of_engine(plan, workers()) + 2
    }
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn of_engine(plan: &Plan, workers: usize) -> usize {
    let listeners: usize = plan.routes.values().map(|route| route.listen.len()).sum();
    let per_loop = if has_udp(plan) { OWN_PER_LOOP } else { 0 };
    listeners + (OWN_PER_WORKER + per_loop) * workers
}

fn has_udp(plan: &Plan) -> bool {
    plan.routes.values().any(|route| route.carries.protocol() == Protocol::Udp)
}
