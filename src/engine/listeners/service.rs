//! A service on one of its listeners, and the life of each of its connections.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine::runtime::context::{Context, SessionSlot};
use crate::engine::service::{Service, ServiceId};
use crate::transport::Incoming;

/// A service as the clients of one listener meet it. When that is dropped, the service is retired there or replaced, and
/// the connections it still has are told to come to an end.
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

    /// Has a connection served on a worker, as one of those that may live at one time.
    pub(crate) fn take_in(
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
            // It comes before what may panic, and is given back after: who has all seats has all connections.
            let _slot = slot;
            let told = TellsOfPanic(&id);
            // Called here and not before: its connection goes into the poller of this worker.
            let served = async { service.serve.serve(incoming, draining).await };
            // None: the stop has waited long enough, and with the future goes its connection.
            let _ = cut.run_until_cancelled(served).await;
            drop(told);
        });
    }
}

/// Says which service broke: tokio takes a panic of a task as the end of that task, and tells no more than its words.
struct TellsOfPanic<'s>(&'s ServiceId);

impl Drop for TellsOfPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("service {}: a bug of its own has ended a connection", self.0);
        }
    }
}
