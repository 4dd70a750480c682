//! The arguments of a session's steps: the session itself, and the client on its way to a target.

use std::future::pending;
use std::sync::Arc;

use tokio::io::Interest;

use super::progress::{Finish, Progress, Rest};
use crate::engine::runtime::context::{RouteRuntime, SessionSlot};
use crate::ledger::Entry;
use crate::outcome::Side;
use crate::proxy_protocol::{Header, TlsFacts};
use crate::relay::{Ahead, CarrierHalf};
use crate::transport::tunnel::engaged::{Engaged, WayBack};
use crate::transport::{Custom, Link, Stream, Visitor};

/// What a session holds from its accept to its record.
pub(crate) struct Session {
    pub(crate) runtime: Arc<RouteRuntime>,
    pub(crate) entry: Entry,
    pub(crate) slot: SessionSlot,
}

impl Session {
    /// Writes its record, now that both of its connections are closed. Returns what is left to do, and its place, which is
    /// given back after that.
    ///
    /// It takes its arguments, as what is borrowed has space in a future for as long as that lives.
    pub(crate) fn close(self, progress: Progress, mut finish: Finish) -> (Option<Rest>, SessionSlot) {
        let rest = finish.take_rest();
        let Session { entry, slot, .. } = self;
        let outcome = progress.outcome(finish, &entry);
        if let Some(tunnel) = entry.live().came_by() {
            let line = slot.cx.targets.lines().get(tunnel);
            line.numbers().moved(outcome.traffic.down.delivered, outcome.traffic.up.read);
        }
        entry.close(outcome);
        (rest, slot)
    }
}

/// The connection by which a client came.
#[derive(Clone, Copy)]
pub(crate) enum ClientEnd<'c> {
    Socket(&'c Stream),
    /// A stream that an embedder provides.
    Custom,
    /// A carrier of a tunnel.
    Carrier {
        socket: &'c Stream,
        visitor: &'c Visitor,
    },
}

impl<'c> ClientEnd<'c> {
    /// The client's own socket, if it is one.
    pub(crate) fn socket(self) -> Option<&'c Stream> {
        match self {
            ClientEnd::Socket(socket) => Some(socket),
            ClientEnd::Custom | ClientEnd::Carrier { .. } => None,
        }
    }

    /// What the other end of the tunnel said of the client.
    pub(crate) fn visitor(self) -> Option<&'c Visitor> {
        match self {
            ClientEnd::Carrier { visitor, .. } => Some(visitor),
            ClientEnd::Socket(_) | ClientEnd::Custom => None,
        }
    }

    /// Resolves once the client is known to be gone, without reading from it. With a custom stream it never resolves, as
    /// only a read or a write can find out; with a carrier once that is cut, which follows a RESET that is not read.
    /// Cancel safe.
    pub(crate) async fn is_gone(self) {
        match self {
            // An error of the poller means the same.
            ClientEnd::Socket(socket) | ClientEnd::Carrier { socket, .. } => {
                drop(socket.ready(Interest::ERROR).await);
            }
            ClientEnd::Custom => pending().await,
        }
    }
}

/// The connection to a target, ready for the client's bytes.
pub(crate) enum TargetEnd {
    Socket(Stream),
    Custom(Box<Custom>),
    Carrier(Box<Carried>),
}

impl From<Link> for TargetEnd {
    fn from(link: Link) -> TargetEnd {
        match link {
            Link::Socket(socket) => TargetEnd::Socket(socket),
            Link::Custom(custom) => TargetEnd::Custom(custom),
            Link::Carrier(carrier) => TargetEnd::Carrier(Box::new(Carried::opened(*carrier))),
        }
    }
}

/// A carrier with a session on it, and the way back after that.
pub(crate) struct Carried {
    pub(crate) half: Ahead<CarrierHalf>,
    pub(crate) back: WayBack,
}

impl Carried {
    /// One on which we have opened a session.
    pub(crate) fn opened(Engaged { link, back }: Engaged) -> Carried {
        Carried { half: Ahead::new(CarrierHalf::new(link, Side::Target)), back }
    }
}

/// A client on its way to a target.
pub(crate) struct Caller<'s> {
    /// Its connection.
    pub(crate) client: ClientEnd<'s>,
    /// What is known of its TLS, if that ends here and the target is to be told.
    pub(crate) tls: Option<Box<TlsFacts>>,
    /// The PROXY header that announced it.
    pub(crate) header: Option<&'s Header>,
    pub(crate) session: &'s Session,
    /// The targets it may go to.
    pub(crate) runtime: &'s RouteRuntime,
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
