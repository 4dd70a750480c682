//! What the steps of a session are given: the session itself, and the client on its way to a target.

use std::future::pending;
use std::sync::Arc;

use tokio::io::Interest;

use crate::engine::runtime::context::{RouteRuntime, SessionSlot};
use crate::ledger::Entry;
use crate::proxy_protocol::Header;
use crate::transport::Stream;

/// What a session holds from its accept to its record.
pub(crate) struct Session {
    pub(crate) runtime: Arc<RouteRuntime>,
    pub(crate) entry: Entry,
    pub(crate) slot: SessionSlot,
}

/// A client on its way to a target.
pub(crate) struct Caller<'s> {
    /// Its connection, where that is a socket.
    pub(crate) client: Option<&'s Stream>,
    /// What a proxy said of it.
    pub(crate) header: Option<&'s Header>,
    pub(crate) session: &'s Session,
    /// The targets it may go to.
    pub(crate) runtime: &'s RouteRuntime,
}

/// Resolves once a client is known to be gone though nobody reads from it. With a stream that is no socket, only a read
/// or a write learns it. Cancel safe.
pub(crate) async fn is_gone(client: Option<&Stream>) {
    match client {
        // An error means the same.
        Some(socket) => drop(socket.ready(Interest::ERROR).await),
        None => pending().await,
    }
}

/// Makes the close of a connection a reset unless its session has come to its end, whatever keeps it from that: where a
/// bug unwinds, too, a cut answer must not look whole.
pub(crate) struct Unfinished<'s>(pub(crate) &'s Stream);

impl Unfinished<'_> {
    pub(crate) fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.reset_on_close();
    }
}
