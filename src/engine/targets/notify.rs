//! What the monitor is asked about a target.

use std::net::SocketAddr;
use std::time::Duration;

use super::health::News;
use crate::outcome::{Cause, Side};

/// Why it is asked.
pub(crate) enum RequestKind {
    /// It is up, and nobody knows who holds it.
    Who,
    /// There is something to tell.
    News {
        news: News,
        /// Clients that were held at that moment.
        waiting: usize,
    },
    /// It stays down, and something may have come up nearby.
    Again(Cause),
    /// A session of it stands still with bytes under way.
    Session(StallReport),
    /// Whether it closes what its clients have closed.
    Leaks,
}

/// A session that stands still.
#[derive(Clone, Copy)]
pub(crate) struct StallReport {
    /// Its number in the ledger.
    pub(crate) id: u64,
    /// Where the bytes are under way to.
    pub(crate) side: Side,
    /// Our end of that connection.
    pub(crate) local: SocketAddr,
    /// The other end.
    pub(crate) remote: SocketAddr,
    /// For how long, and how long at most.
    pub(crate) still: Duration,
    /// See `still`.
    pub(crate) at_most: Duration,
}
