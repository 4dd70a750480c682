//! Carries connections that code hands over, rather than a listener, along a declared route.

use std::fmt;
use std::sync::{Arc, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use super::Handle;
use super::runtime::context::{Context, RouteRuntime};
use super::session::begin::begin;
use super::session::turn_away::turn_away_at;
use super::targets::health::Stage;
use super::udp::declared::FlowRefused;
use crate::outcome::{Cause, End, Limit};
use crate::plan::RouteId;
use crate::transport::tunnel::flows::{FlowSink, IncomingFlow};
use crate::transport::{Incoming, Unopened};

/// Why a connection was not carried. The connection has been reset; the other end of a tunnel has been told why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CarryRefused {
    /// No route is declared under this id, or not for this protocol.
    NoRoute(RouteId),
    /// The limit of simultaneous sessions is reached.
    Full,
    /// The engine has stopped, or is stopping.
    Stopped,
}

impl fmt::Display for CarryRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CarryRefused::NoRoute(route) => write!(f, "there is no route {route} for this protocol"),
            CarryRefused::Full => f.write_str("the limit of simultaneous sessions is reached"),
            CarryRefused::Stopped => f.write_str("the engine has stopped"),
        }
    }
}

impl std::error::Error for CarryRefused {}

impl Handle {
    /// Carries a connection that the caller provides along a route, as if its client had connected to the route's first
    /// address: admission and limits, balance, record, drain and kill are those of any other session. The connection
    /// may be a socket, or a [`crate::transport::Custom`] stream of the caller. If its client is denied, its record
    /// shows it, not the result of this call. It never waits.
    ///
    /// # Errors
    /// [`CarryRefused`], if no session was started.
    pub fn carry(&self, route: &RouteId, incoming: Incoming) -> Result<(), CarryRefused> {
        let Some(cx) = self.cx.upgrade().filter(|cx| !cx.stopping.draining.is_cancelled()) else {
            incoming.stream.reset();
            return Err(CarryRefused::Stopped);
        };
        match way(&cx, route) {
            Ok((runtime, permit)) => {
                begin(incoming, runtime, &cx, cx.workers.here(), permit);
                Ok(())
            }
            Err(why) => {
                refuse(incoming.stream, &why, &cx);
                Err(why)
            }
        }
    }

    /// Carries a flow of datagrams that the other end of a tunnel has opened along a UDP route, as if its client had sent to
    /// the route's first address: access and limits, balance, record, drain and kill are those of any other flow. Its
    /// datagrams are given to what this returns. Whether the client gets in is decided with its first datagram; if not, its
    /// record says why, and the flow's carrier is told. It never waits.
    ///
    /// # Errors
    /// [`CarryRefused`], if the flow is not carried; then nobody has told the other end.
    pub fn carry_flow(&self, route: &RouteId, flow: IncomingFlow) -> Result<Arc<dyn FlowSink>, CarryRefused> {
        let cx = self.cx.upgrade().filter(|cx| !cx.stopping.draining.is_cancelled());
        let carried = cx.ok_or(CarryRefused::Stopped)?.udp.carry(route, flow);
        carried.map_err(|why| match why {
            FlowRefused::NoRoute => CarryRefused::NoRoute(route.clone()),
            FlowRefused::Full => CarryRefused::Full,
            FlowRefused::Stopped => CarryRefused::Stopped,
        })
    }

    /// Why new sessions of a route have no target, as far as is known: the cause of the first that is down, if all are that
    /// clients may be sent to. `None` also of a route that is not declared.
    pub(crate) fn down(&self, route: &RouteId) -> Option<Cause> {
        let cx = self.cx.upgrade()?;
        let runtime = cx.routes.lock().unwrap_or_else(PoisonError::into_inner).get(route).cloned();
        let Some(runtime) = runtime else { return cx.udp.down(route) };
        let mut causes = runtime.pool.open().map(|target| match target.stage() {
            Stage::Down(cause) => Some(cause),
            Stage::Unknown | Stage::Up | Stage::Stalled => None,
        });
        let first = causes.next()??;
        causes.all(|cause| cause.is_some()).then_some(first)
    }
}

/// What a session needs to start.
fn way(cx: &Context, route: &RouteId) -> Result<(Arc<RouteRuntime>, OwnedSemaphorePermit), CarryRefused> {
    let runtime = cx.routes.lock().unwrap_or_else(PoisonError::into_inner).get(route).cloned();
    let runtime = runtime.ok_or_else(|| CarryRefused::NoRoute(route.clone()))?;
    let permit = cx.slots.clone().try_acquire_owned().map_err(|_| CarryRefused::Full)?;
    Ok((runtime, permit))
}

/// Resets a connection for which no session was started.
fn refuse(client: Unopened, why: &CarryRefused, cx: &Context) {
    let Unopened::Carrier(carrier) = client else { return client.reset() };
    let end = match why {
        // The same answer whether there is no such route or it is not for this tunnel.
        CarryRefused::NoRoute(_) => End::NoTarget(Cause::TunnelRefused),
        CarryRefused::Full => End::Limited(Limit::Connections),
        CarryRefused::Stopped => End::Drained,
    };
    turn_away_at(0, cx, *carrier, end);
}
