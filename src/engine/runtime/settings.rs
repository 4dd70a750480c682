//! The settings of an engine: its threads and its share of the descriptors.

use crate::address::Protocol;
use crate::limits::{Budget, Limits, Needs, Wanted};
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

impl Settings {
    /// One worker for each core this process may use, and as many sessions as the free descriptors allow, at most
    /// `limits.connections` of `plan`. It changes no limit of the process.
    pub fn fitting(plan: &Plan) -> Settings {
        let needs = needs(plan);
        let descriptors = probe::system::limits::descriptors();
        // With no limit set, a quarter of the largest number leaves room for every sum.
        let limit = descriptors.soft.and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX / 4);
        let used = descriptors.used.unwrap_or(0) as usize;
        let Limits { connections, flows, .. } = plan.limits;
        let wanted = Wanted { connections, flows, udp: needs.udp };
        Settings { workers: needs.workers, budget: needs.budget(limit, used, wanted) }
    }

    /// The smallest number of descriptors with which an engine made by [`Settings::fitting`] can carry one session.
    pub fn least_descriptors(plan: &Plan) -> usize {
        needs(plan).least()
    }
}

/// What an engine for this plan consists of.
pub(crate) fn needs(plan: &Plan) -> Needs {
    Needs {
        listeners: plan.routes.values().map(|route| route.listen.len()).sum(),
        workers: probe::system::limits::processors(),
        udp: plan.routes.values().any(|route| route.carries.protocol() == Protocol::Udp),
    }
}
