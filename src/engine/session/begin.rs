//! How a session begins, whether its connection was accepted or handed over.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;

use super::admit;
use super::carry::carry;
use super::carry_custom::carry_custom;
use super::state::Session;
use crate::engine::runtime::context::{Context, RouteRuntime, SessionSlot};
use crate::transport::{Incoming, Unopened};

/// Starts the session of a connection along a route, on the worker `here` or one that has less to do. A client that is
/// not admitted is reset, and its record has the cause.
pub(crate) fn begin(
    incoming: Incoming,
    runtime: Arc<RouteRuntime>,
    cx: &Arc<Context>,
    here: usize,
    permit: OwnedSemaphorePermit,
) {
    let (route, targets) = (runtime.name.clone(), runtime.pool.names().clone());
    let entry = cx.ledger.open(route, targets, incoming.client, Instant::now());
    let place = match admit::on_accept(&runtime, &incoming) {
        Ok(place) => place,
        Err(end) => return admit::refuse(incoming.stream, entry, end),
    };
    if let Some(limit) = place.as_ref().and_then(|place| place.get()?.over()) {
        entry.dry_run(limit);
    }
    let worker = cx.workers.place(here);
    let slot = SessionSlot::take(cx, worker, permit, place);
    let session = Session { runtime, entry, slot };
    match incoming.stream {
        Unopened::Socket(socket) => cx.workers.spawn(worker, carry(socket, session)),
        Unopened::Custom(custom) => cx.workers.spawn(worker, carry_custom(custom, session)),
    };
}
