//! Carries connections that code hands over, rather than a listener, along a declared route.

use std::fmt;
use std::sync::{Arc, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use super::Handle;
use super::runtime::context::{Context, RouteRuntime};
use super::session::begin::begin;
use super::session::carry_custom::needs_socket;
use crate::plan::RouteId;
use crate::transport::{Incoming, Unopened};

/// Why a connection was not carried. The connection has been reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CarryRefused {
    /// No TCP route is declared under this id.
    NoRoute(RouteId),
    /// The route has this key, which needs a socket, because the first bytes are peeked before they are read. One end
    /// of a socket pair is a socket.
    NeedsSocket {
        /// The route.
        route: RouteId,
        /// The key.
        key: &'static str,
    },
    /// The limit of simultaneous sessions is reached.
    Full,
    /// The engine has stopped, or is stopping.
    Stopped,
}

impl fmt::Display for CarryRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CarryRefused::NoRoute(route) => write!(f, "there is no route {route} for connections"),
            CarryRefused::NeedsSocket { route, key } => {
                write!(f, "route {route} has {key}, which needs a socket: hand over one end of a socket pair")
            }
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
        match self.way(route, &incoming) {
            Ok(Way { cx, runtime, permit }) => {
                begin(incoming, runtime, &cx, 0, permit);
                Ok(())
            }
            Err(why) => {
                incoming.stream.reset();
                Err(why)
            }
        }
    }

    fn way(&self, route: &RouteId, incoming: &Incoming) -> Result<Way, CarryRefused> {
        let cx = self.cx.upgrade().filter(|cx| !cx.stopping.draining.is_cancelled());
        let cx = cx.ok_or(CarryRefused::Stopped)?;
        let runtime = cx.routes.lock().unwrap_or_else(PoisonError::into_inner).get(route).cloned();
        let runtime = runtime.ok_or_else(|| CarryRefused::NoRoute(route.clone()))?;
        if let (Unopened::Custom(_), Some(key)) = (&incoming.stream, needs_socket(&runtime)) {
            return Err(CarryRefused::NeedsSocket { route: route.clone(), key });
        }
        let permit = cx.slots.clone().try_acquire_owned().map_err(|_| CarryRefused::Full)?;
        Ok(Way { cx, runtime, permit })
    }
}

/// What a session needs to start.
struct Way {
    cx: Arc<Context>,
    runtime: Arc<RouteRuntime>,
    permit: OwnedSemaphorePermit,
}
