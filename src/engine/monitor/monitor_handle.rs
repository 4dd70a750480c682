//! How targets reach the monitor: a request for the diagnosis worker, a wake-up for the health checker.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::diagnosis_worker::DiagnosisQueue;
use crate::engine::targets::notify::RequestKind;
use crate::engine::targets::target::{Monitor, Target};

/// A target's handle to the monitor.
pub(crate) struct MonitorHandle {
    pub(crate) queue: DiagnosisQueue,
    /// Wakes the health checker.
    pub(crate) wake: Arc<Notify>,
}

impl Monitor for MonitorHandle {
    fn ask(&self, target: &Arc<Target>, kind: RequestKind, at: Instant) -> bool {
        self.queue.ask(target, kind, at)
    }

    fn wake(&self) {
        self.wake.notify_one();
    }
}
