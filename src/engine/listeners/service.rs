//! A service on one of its listeners, and each of its connections.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine::runtime::context::{Context, SessionSlot};
use crate::engine::service::{Service, ServiceId};
use crate::transport::Incoming;

/// A service on one listener. When it is dropped, the service is retired there or replaced, and its remaining
/// connections are asked to end.
pub(crate) struct ServiceRuntime {
    id: Arc<ServiceId>,
    pub(crate) service: Arc<Service>,
    draining: CancellationToken,
    _drains: DropGuard,
}

impl ServiceRuntime {
    pub(crate) fn new(id: &ServiceId, service: &Arc<Service>, cx: &Context) -> Arc<ServiceRuntime> {
        let draining = cx.stopping.draining.child_token();
        Arc::new(ServiceRuntime {
            id: Arc::new(id.clone()),
            service: service.clone(),
            _drains: draining.clone().drop_guard(),
            draining,
        })
    }

    /// Serves a connection on a worker; it counts towards the limit of simultaneous sessions.
    pub(crate) fn serve(
        &self,
        incoming: Incoming,
        cx: &Arc<Context>,
        worker: usize,
        permit: OwnedSemaphorePermit,
    ) {
        let slot = SessionSlot::take(cx, worker, permit, None);
        let (id, service, draining) = (self.id.clone(), self.service.clone(), self.draining.clone());
        let cut = cx.stopping.cut.clone();
        let incoming = incoming.reset_after(cut.clone());
        cx.workers.spawn(worker, async move {
            // Declared before anything that may panic, and so released after it: once all slots are free, all
            // connections are closed.
            let _slot = slot;
            let panic_log = PanicLog(&id);
            // Called in this task, because its connection is added to the poller of this worker.
            let served = async { service.serve.serve(incoming, draining).await };
            // `None` means that the patience of a stop has ended; the connection is dropped with the future.
            let _ = cut.run_until_cancelled(served).await;
            drop(panic_log);
        });
    }
}

/// Logs which service panicked: tokio ends the task, and prints no more than the panic's message.
struct PanicLog<'s>(&'s ServiceId);

impl Drop for PanicLog<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("service {}: a panic in it has ended a connection", self.0);
        }
    }
}
