//! The end that lets in, for the life of one control.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::carry::{Carry, Ended};
use super::course::By;
use super::desk::Entered;
use super::dialling::{Used, tell, why};
use super::means::QuicMeans;
use super::{Flows, Quic};
use crate::address::TunnelName;

/// What takes the connections that have shown a token of a control.
pub(crate) struct Accepting {
    pub(crate) quic: Arc<Quic>,
    pub(crate) name: TunnelName,
    pub(crate) flows: Flows,
    /// What was told last; it outlives the control.
    pub(crate) by: Arc<Mutex<By>>,
}

/// A connection that carries flows, or will once its other end has answered.
struct Present {
    means: Arc<QuicMeans>,
    up: oneshot::Receiver<()>,
    carried: JoinSet<Ended>,
}

impl Accepting {
    /// Carries flows by the newest connection, for as long as it is polled.
    ///
    /// Dropped, it closes the connection; the flows are told.
    pub(crate) async fn keep(&self, mut inbox: mpsc::Receiver<Entered>) {
        let mut next = inbox.recv().await;
        // It has a thread, since the connection runs there.
        while let Some(present) = next.and_then(|entered| self.begin(entered)) {
            next = tokio::select! {
                newer = inbox.recv() => newer,
                () = self.carry(present) => inbox.recv().await,
            };
        }
        // Whoever sends is there for as long as the control.
        std::future::pending().await
    }

    fn begin(&self, entered: Entered) -> Option<Present> {
        let Entered { connection, send, recv } = entered;
        let means = Arc::new(QuicMeans::new());
        let (up, is_up) = oneshot::channel();
        let arrivals = self.flows.arrivals.clone();
        let carry = Carry { connection, send, recv, arrivals, means: means.clone() };
        let mut carried = JoinSet::new();
        carried.spawn_on(carry.run(up), &self.quic.thread.get().ok()?.handle);
        Some(Present { means, up: is_up, carried })
    }

    /// Has the flows use the connection from the first answer of its other end until it ends.
    async fn carry(&self, present: Present) {
        let Present { means, up, mut carried } = present;
        // An error means that it has ended before.
        if up.await.is_err() {
            return;
        }
        tell(&self.name, &self.by, By::Quic);
        let used = Used::new(&self.flows, means);
        let ended = carried.join_next().await;
        drop(used);
        tell(&self.name, &self.by, By::Tls(why(ended)));
    }
}
