//! The requests that the monitor takes about a target.

use std::net::SocketAddr;
use std::time::Duration;

use super::health::News;
use crate::outcome::{Cause, Side};

/// The reason for a request.
pub(crate) enum RequestKind {
    /// The target is up, and its holder is not known.
    Who,
    /// There is a change to report.
    News {
        news: News,
        /// The number of clients waiting for the target at that moment.
        waiting: usize,
    },
    /// It is still down, and a nearby listener may have appeared.
    Again(Cause),
    /// One of its sessions is stalled with bytes in transit.
    Session(StallReport),
    /// Whether it closes connections that its clients have closed.
    Leaks,
}

/// A stalled session.
#[derive(Clone, Copy)]
pub(crate) struct StallReport {
    /// The session's number in the ledger.
    pub(crate) id: u64,
    /// The side that has not taken the bytes in transit.
    pub(crate) side: Side,
    /// Our end of that connection.
    pub(crate) local: SocketAddr,
    /// The other end.
    pub(crate) remote: SocketAddr,
    /// How long it has been stalled: at least this long, and at most `at_most`.
    pub(crate) still: Duration,
    /// See `still`.
    pub(crate) at_most: Duration,
}
