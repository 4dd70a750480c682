//! What the other end of a tunnel asks of this one: to listen here, and to dial from here.
//!
//! One task for each tunnel carries it out ([`keeper`]): whatever was asked for is one declaration of one source, named like
//! the tunnel. What may be asked for stands in this end's own configuration alone.

mod answers;
mod dialled;
mod forward;
mod judge;
mod keeper;
mod lines;
mod ports;
mod spots;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::address::{ListenAddress, Protocol, TargetAddress};
use crate::outcome::Cause;
use crate::plan::RouteId;
use crate::transport::tunnel::message::{RouteIs, WantedRoute};

pub(crate) use forward::{route_for, would_reach};
pub(crate) use judge::would_be;
pub(crate) use keeper::{Times, keep, withdraw};

/// The orders that may wait. Each has somebody who waits for its answer.
const MAX_ORDERS: usize = 64;

/// The look-ups that may run at one time.
const MAX_LOOK_UPS: usize = 4;

/// What a tunnel's other end wants, as its keeper is told.
pub(crate) struct Asked {
    wants: watch::Sender<Wants>,
    fates: watch::Sender<Arc<[RouteIs]>>,
    orders: mpsc::Sender<Order>,
    /// Places for look-ups of names that the other end has us dial.
    look_ups: Arc<Semaphore>,
    /// What it may not have us dial, as far as that was told.
    refused: lines::RefusedDials,
}

/// What [`keep`] takes from an [`Asked`].
pub(crate) struct Inbox {
    wants: watch::Receiver<Wants>,
    orders: mpsc::Receiver<Order>,
}

/// The newest set of routes.
#[derive(Clone, Default)]
struct Wants {
    routes: Arc<[WantedRoute]>,
    /// Whether the control that asked for them is there.
    is_here: bool,
}

enum Order {
    /// An address that the other end may have us dial, as it wrote it, and what was found there.
    Dial {
        written: TargetAddress,
        protocol: Protocol,
        targets: Vec<TargetAddress>,
        reply: oneshot::Sender<Result<RouteId, Cause>>,
    },
    /// These addresses are needed by a source that goes before tunnels. The answer says whether any was given up.
    Yield { addresses: Vec<(Protocol, ListenAddress)>, reply: oneshot::Sender<bool> },
}

/// Both ends of what connects a tunnel with the keeper of what is asked for.
pub(super) fn channel() -> (Asked, Inbox) {
    let (wants, wanted) = watch::channel(Wants::default());
    let (orders, inbox) = mpsc::channel(MAX_ORDERS);
    let fates = watch::Sender::new(Arc::default());
    let look_ups = Arc::new(Semaphore::new(MAX_LOOK_UPS));
    let asked = Asked { wants, fates, orders, look_ups, refused: lines::RefusedDials::default() };
    (asked, Inbox { wants: wanted, orders: inbox })
}

impl Asked {
    /// The other end wants these routes, and no others. The answer comes by [`Asked::fates`].
    pub(crate) fn want(&self, routes: Vec<WantedRoute>) {
        self.wants.send_replace(Wants { routes: routes.into(), is_here: true });
    }

    /// The control that asked is gone. If none asks again within a minute, what it asked for is withdrawn: a port behind
    /// which nobody answers should refuse.
    pub(crate) fn lose(&self) {
        self.wants.send_modify(|wants| wants.is_here = false);
    }

    /// What became of the routes: told anew after each [`Asked::want`], and whenever it changes.
    pub(crate) fn fates(&self) -> watch::Receiver<Arc<[RouteIs]>> {
        self.fates.subscribe()
    }

    /// The route by which these targets are dialled.
    async fn dial(
        &self,
        written: TargetAddress,
        protocol: Protocol,
        targets: Vec<TargetAddress>,
    ) -> Result<RouteId, Cause> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Dial { written, protocol, targets, reply };
        // The keeper ends only with its tunnel.
        self.orders.send(order).await.map_err(|_| Cause::TunnelRefused)?;
        answer.await.unwrap_or(Err(Cause::TunnelRefused))
    }

    /// Gives these addresses up for a source that goes before tunnels. Returns whether any was held.
    pub(crate) async fn yield_to(&self, addresses: &[(Protocol, ListenAddress)]) -> bool {
        let (reply, answer) = oneshot::channel();
        let order = Order::Yield { addresses: addresses.to_vec(), reply };
        self.orders.send(order).await.is_ok() && answer.await.unwrap_or(false)
    }
}
