//! Which UDP routes are declared, and the loop that each belongs to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::context::UdpRouteRuntime;
use crate::engine::api::Wanted;
use crate::plan::RouteId;

/// Each route by its id.
#[derive(Default)]
pub(super) struct Declared(Mutex<HashMap<RouteId, Known>>);

pub(super) struct Known {
    /// The loop that it belongs to.
    pub(super) home: usize,
    /// The route, once it is declared.
    pub(super) by: Option<Wanted>,
    /// Made for the first client of a tunnel.
    pub(super) runtime: Option<Arc<UdpRouteRuntime>>,
}

/// Why the flow of a client in a tunnel is not carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum FlowRefused {
    NoRoute,
    Full,
    Stopped,
}

impl Declared {
    pub(super) fn routes(&self) -> MutexGuard<'_, HashMap<RouteId, Known>> {
        // A panic cannot leave it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop of a route: all of its clients belong to one, so that they share one table of flows. `n` if it has none yet.
    pub(super) fn home(&self, id: &RouteId, n: usize) -> usize {
        let known = || Known { home: n, by: None, runtime: None };
        self.routes().entry(id.clone()).or_insert_with(known).home
    }
}
