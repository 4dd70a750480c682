//! What all loops share, and a route as its flows use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::hops::OwnFlows;
use super::target::UdpTarget;
use crate::engine::admission::bandwidth::Bandwidths;
use crate::engine::admission::queue::{AdmissionControl, AdmissionControls};
use crate::engine::names::{Kept, Names};
use crate::engine::targets::pool::Pool;
use crate::ledger::Ledger;
use crate::limits::{Bandwidth, FlowLimits};
use crate::plan::{Carries, Route, RouteId};
use crate::transport::tunnel::line::Lines;

/// What every loop needs from outside.
pub(crate) struct Shared {
    pub(super) ledger: Arc<Ledger>,
    pub(super) admissions: Arc<AdmissionControls>,
    pub(super) bandwidths: Arc<Bandwidths>,
    pub(super) names: Arc<Names>,
    /// One permit per live flow, over all loops. When all are back, no flow is left.
    pub(super) slots: Semaphore,
    pub(super) most: usize,
    /// The flows that send to this machine.
    pub(super) own_flows: Arc<OwnFlows>,
    /// The tunnels.
    pub(super) lines: Arc<Lines>,
    pub(super) next_listener: AtomicU32,
    next_mark: AtomicU32,
    /// The runtime for name lookups and watches on targets.
    pub(super) beside: Handle,
}

impl Shared {
    /// For at most `most` flows; `beside` is a runtime for what must not block a loop.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        admissions: Arc<AdmissionControls>,
        bandwidths: Arc<Bandwidths>,
        (names, lines): (Arc<Names>, Arc<Lines>),
        most: usize,
        beside: Handle,
    ) -> Shared {
        let most = most.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let (slots, own_flows) = (Semaphore::new(most), Arc::default());
        let (next_listener, next_mark) = Default::default();
        Shared {
            ledger,
            admissions,
            bandwidths,
            names,
            slots,
            most,
            own_flows,
            lines,
            next_listener,
            next_mark,
            beside,
        }
    }

    /// The next number of an end of a tunnel's flow; never 0. They begin anew after 2^32.
    pub(super) fn next_mark(&self) -> u32 {
        loop {
            let number = self.next_mark.fetch_add(1, Relaxed);
            if number != 0 {
                return number;
            }
        }
    }
}

/// A UDP route at run time. A flow keeps the one it began with, and the target chosen then.
pub(super) struct UdpRouteRuntime {
    pub(super) id: RouteId,
    pub(super) route: Arc<Route>,
    pub(super) pool: Pool<UdpTarget>,
    pub(super) admission: Option<Arc<AdmissionControl>>,
    /// The shared `bandwidth` of its flows.
    pub(super) bandwidth: Option<Arc<Bandwidth>>,
    pub(super) name: Arc<str>,
    /// The rules of the route for the names of its targets.
    pub(super) _names: Vec<Kept>,
    /// Whether the route is no longer wanted as it is here. Only where clients of tunnels are carried along it.
    pub(super) withdrawn: AtomicBool,
}

impl UdpRouteRuntime {
    /// Whether clients of tunnels are carried along another route by now, or along none.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Acquire)
    }

    /// The route is no longer wanted as it is here.
    pub(super) fn withdraw(&self) {
        self.withdrawn.store(true, Release);
    }

    /// The limits of its flows.
    pub(super) fn limits(&self) -> &FlowLimits {
        flow_limits(&self.route)
    }
}

/// The limits of the flows of a route.
pub(super) fn flow_limits(route: &Route) -> &FlowLimits {
    let Carries::Udp(limits) = &route.carries else {
        unreachable!("only routes that carry UDP are given to a loop")
    };
    limits
}
