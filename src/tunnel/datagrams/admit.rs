//! Whether a flow that the other end opens is carried, and along which route: by the same rules as a session.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::hub::Hub;
use crate::address::Protocol;
use crate::engine::CarryRefused;
use crate::outcome::Cause;
use crate::plan::RouteId;
use crate::transport::tunnel::flows::{FlowEnded, FlowNumber, IncomingFlow};
use crate::transport::tunnel::frame::Reason;
use crate::transport::tunnel::open::Open;
use crate::tunnel::asked;

/// The flows that are looked at in one time: the name of an address may have to be looked up for one.
const MAX_AT_ONCE: usize = 64;

impl Hub {
    /// Admits the flows of the other end, for as long as it is polled.
    pub(super) async fn admit(self: Arc<Self>, mut asked: mpsc::Receiver<FlowNumber>) {
        let mut looked_at = JoinSet::new();
        loop {
            tokio::select! {
                Some(flow) = asked.recv(), if looked_at.len() < MAX_AT_ONCE => {
                    looked_at.spawn(self.clone().admit_one(flow));
                }
                Some(_) = looked_at.join_next() => {}
                else => return,
            }
        }
    }

    async fn admit_one(self: Arc<Self>, flow: FlowNumber) {
        let Some(open) = self.asked_with(flow) else { return };
        let route = match self.route(&open).await {
            Ok(route) => route,
            Err(why) => return drop(self.finish(flow, &why)),
        };
        let incoming = IncomingFlow {
            open: (*open).clone(),
            tunnel: self.link.name.clone(),
            trust_client: self.link.terms().tunnel.trust_client,
            number: flow,
            carrier: self.clone(),
        };
        match self.link.engine.carry_flow(&route, incoming) {
            Ok(sink) => self.admitted(flow, sink),
            Err(why) => drop(self.finish(flow, &refused(&why))),
        }
        // The key may have been withdrawn since it was looked up; the sweep that followed has not met this flow, then.
        if self.is_revoked() {
            self.link.engine.revoke(&self.link.name);
        }
    }

    /// The route of a flow, if the other end may have it.
    async fn route(&self, open: &Open) -> Result<RouteId, FlowEnded> {
        // Sessions have carriers of their own.
        if open.protocol != Protocol::Udp {
            return Err(FlowEnded::Refused(Cause::TunnelRefused, None));
        }
        let route = asked::route_for(&self.link, &open.to, open.protocol).await;
        let route = route.map_err(|cause| FlowEnded::Refused(cause, None))?;
        if self.is_revoked() { Err(FlowEnded::Revoked) } else { Ok(route) }
    }

    /// The key is looked up at each flow, as it may have been withdrawn since.
    fn is_revoked(&self) -> bool {
        self.pass.revoked.is_cancelled() || self.link.pass(&self.pass.key).is_none()
    }
}

/// What the other end is told where the engine does not carry a flow.
fn refused(why: &CarryRefused) -> FlowEnded {
    match why {
        // The same answer whether there is no such route or it is not for this tunnel.
        CarryRefused::NoRoute(_) => FlowEnded::Refused(Cause::TunnelRefused, None),
        CarryRefused::Full => FlowEnded::Ended(Reason::Limited),
        CarryRefused::Stopped => FlowEnded::Ended(Reason::Drained),
    }
}
