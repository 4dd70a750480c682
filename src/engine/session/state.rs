//! The arguments of a session's steps: the session itself, and the client on its way to a target.

use std::future::pending;
use std::sync::Arc;

use tokio::io::Interest;

use crate::engine::runtime::context::{RouteRuntime, SessionSlot};
use crate::ledger::Entry;
use crate::proxy_protocol::{Header, TlsFacts};
use crate::transport::Stream;

/// What a session holds from its accept to its record.
pub(crate) struct Session {
    pub(crate) runtime: Arc<RouteRuntime>,
    pub(crate) entry: Entry,
    pub(crate) slot: SessionSlot,
}

/// A client on its way to a target.
pub(crate) struct Caller<'s> {
    /// Its connection, if that is a socket.
    pub(crate) client: Option<&'s Stream>,
    /// What is known of its TLS, if that ends here and the target is to be told.
    pub(crate) tls: Option<Box<TlsFacts>>,
    /// The PROXY header that announced it.
    pub(crate) header: Option<&'s Header>,
    pub(crate) session: &'s Session,
    /// The targets it may go to.
    pub(crate) runtime: &'s RouteRuntime,
}

/// Resolves once a client is known to be gone, without reading from it. With a custom stream it never resolves, as only
/// a read or a write can find out. Cancel safe.
pub(crate) async fn is_gone(client: Option<&Stream>) {
    match client {
        // An error of the poller means the same.
        Some(socket) => drop(socket.ready(Interest::ERROR).await),
        None => pending().await,
    }
}

/// Makes the close of a connection a reset unless it is disarmed at the session's end. It also covers a panic: a cut
/// answer must never look complete.
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
