//! How a session begins, whether its connection was accepted or handed over.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;

use super::admit;
use super::carry::carry;
use super::carry_carrier::carry_carrier;
use super::carry_custom::carry_custom;
use super::state::Session;
use crate::engine::runtime::context::{Context, RouteRuntime, SessionSlot};
use crate::transport::{Incoming, Unopened};

/// Starts the session of a connection along a route, on the worker `here` or one that has less to do. A client that is
/// not admitted is reset, and its record has the cause.
pub(crate) fn begin(
    mut incoming: Incoming,
    runtime: Arc<RouteRuntime>,
    cx: &Arc<Context>,
    here: usize,
    permit: OwnedSemaphorePermit,
) {
    let (route, targets) = (runtime.name.clone(), runtime.pool.names().clone());
    let through = incoming.through().map(Box::new);
    let entry = cx.ledger.open_through(route, targets, incoming.client, Instant::now(), through);
    let place = match admit::on_accept(&runtime, &incoming) {
        Ok(place) => place,
        Err(end) => return admit::refuse(incoming.stream, entry, end, (cx, here)),
    };
    if let Some(limit) = place.as_ref().and_then(|place| place.get()?.over()) {
        entry.dry_run(limit);
    }
    let worker = cx.workers.place(here);
    let slot = SessionSlot::take(cx, worker, permit, place);
    let session = Session { runtime, entry, slot };
    let visitor = incoming.take_visitor();
    match (incoming.stream, visitor) {
        (Unopened::Socket(socket), _) => drop(cx.workers.spawn(worker, carry(socket, session))),
        (Unopened::Custom(custom), _) => drop(cx.workers.spawn(worker, carry_custom(custom, session))),
        (Unopened::Carrier(carrier), Some(visitor)) => {
            drop(cx.workers.spawn(worker, carry_carrier(carrier, visitor, session)));
        }
        // Without a session on it: nobody made it by `Incoming::carried`.
        (carrier, None) => carrier.reset(),
    }
}
