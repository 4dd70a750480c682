//! What every loop shares, and a route as its flows meet it.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::target::UdpTarget;
use crate::engine::admission::queue::{AdmissionControl, AdmissionControls};
use crate::engine::targets::pool::Pool;
use crate::ledger::Ledger;
use crate::plan::{Route, RouteId};

/// What every loop needs from outside.
pub(crate) struct Shared {
    pub(super) ledger: Arc<Ledger>,
    pub(super) admissions: Arc<AdmissionControls>,
    /// One permit per flow that may live at one time, over all loops. All of them back means that none is left.
    pub(super) slots: Semaphore,
    pub(super) most: usize,
    /// Where names are looked up and targets are watched.
    pub(super) beside: Handle,
}

impl Shared {
    /// For at most `most` flows; `beside` is a runtime for what may wait.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        admissions: Arc<AdmissionControls>,
        most: usize,
        beside: Handle,
    ) -> Shared {
        let most = most.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Shared { ledger, admissions, slots: Semaphore::new(most), most, beside }
    }
}

/// A UDP route at run time. Flows keep the one they were born with, and the target that was chosen then.
pub(super) struct UdpRouteRuntime {
    pub(super) id: RouteId,
    pub(super) route: Arc<Route>,
    pub(super) pool: Pool<UdpTarget>,
    pub(super) admission: Option<Arc<AdmissionControl>>,
    pub(super) name: Arc<str>,
}
