//! The routes that are offered at the other end of a tunnel.

use std::sync::Arc;

use super::{Plan, Route};
use crate::address::{ListenAddress, Run, TunnelName};

/// A route that is offered at the other end of a tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'p> {
    /// The route.
    pub route: &'p Arc<Route>,
    /// Where it wants to listen there: one free port of these. `None` offers it by its name alone.
    pub at: Option<&'p Run<ListenAddress>>,
}

/// The routes that listen in this tunnel, by their names, each as often as it lists the tunnel.
pub fn offered<'p>(plan: &'p Plan, tunnel: &TunnelName) -> Vec<Offered<'p>> {
    let mut found = Vec::new();
    for route in plan.routes.values() {
        for listen in &route.listen {
            if let ListenAddress::There(there) = listen
                && there.tunnel == *tunnel
            {
                found.push(Offered { route, at: there.at.as_deref() });
            }
        }
    }
    found
}
