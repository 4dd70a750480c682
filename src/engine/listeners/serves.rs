//! What a listener for connections serves, and what its socket has of it.

use std::sync::Arc;

use super::service::ServiceRuntime;
use crate::engine::runtime::context::RouteRuntime;
use crate::transport::{Congestion, SocketFile, Upkeep};

/// What a listener serves.
#[derive(Clone)]
pub(crate) enum Serves {
    /// The sessions of a route.
    Route(Arc<RouteRuntime>),
    /// A service.
    Service(Arc<ServiceRuntime>),
}

impl Serves {
    /// The mode and owner of the socket's file.
    pub(super) fn socket_file(&self) -> SocketFile {
        match self {
            Serves::Route(runtime) => runtime.route.socket_file.clone(),
            Serves::Service(runtime) => runtime.service.socket_file.clone(),
        }
    }

    /// The timers of its connections.
    pub(super) fn upkeep(&self) -> Upkeep {
        match self {
            Serves::Route(runtime) => runtime.route.upkeep,
            Serves::Service(_) => Upkeep::default(),
        }
    }

    /// The congestion control of its connections.
    pub(super) fn congestion(&self) -> &Congestion {
        match self {
            Serves::Route(runtime) => &runtime.route.dial.from.congestion,
            Serves::Service(runtime) => &runtime.service.congestion,
        }
    }
}
