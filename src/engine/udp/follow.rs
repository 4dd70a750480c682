//! Follows what a tunnel and its other end say of a target.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;

use super::target::UdpTarget;
use crate::address::{TargetThere, There};
use crate::outcome::Cause;
use crate::transport::tunnel::line::LineState;

/// How long a tunnel that has not been up yet is not called down: at a start, its targets would be told down and up again
/// within the time of a dial.
const GRACE: Duration = Duration::from_secs(2);

impl UdpTarget {
    /// Begins to follow what the tunnel and the other end say, if it is in a tunnel.
    pub(super) fn follow(self: &Arc<Self>, beside: &Handle) {
        if let Some(tunnel) = self.by_tunnel() {
            let task = beside.spawn(follow(Arc::downgrade(self), tunnel.line.watch(), tunnel.there.clone()));
            let _ = tunnel.follows.set(task.abort_handle());
        }
    }

    /// Records that the other end has ended a flow for this reason. Of a service that it offers it tells the state itself,
    /// by rules of its own.
    pub(super) fn note_refused_there(&self, cause: Cause) {
        let Some(tunnel) = self.by_tunnel() else { return };
        let is_service = matches!(tunnel.there.to, There::Service(_));
        if cause.blames_target() && !(is_service && cause != Cause::TunnelRefused) {
            self.set_down(cause, false);
        }
    }
}

async fn follow(target: Weak<UdpTarget>, mut state: watch::Receiver<LineState>, there: Arc<TargetThere>) {
    if !state.borrow().is_up() {
        tokio::select! {
            () = sleep(GRACE) => {}
            changed = state.changed() => if changed.is_err() { return },
        }
    }
    let mut told = None;
    loop {
        let fault = state.borrow_and_update().fault(&there.to);
        let Some(target) = target.upgrade() else { return };
        match fault {
            Some(fault) => drop(target.set_down(fault.cause, false)),
            None if told.is_some() => target.note_up(),
            None => {}
        }
        told = fault;
        drop(target);
        if state.changed().await.is_err() {
            return;
        }
    }
}
