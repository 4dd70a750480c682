//! The way of a flow's datagrams: a socket, or a tunnel.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;

use super::mark::Mark;
use crate::outcome::{Cause, End, Side, Way};
use crate::relay::{end_of, reason_of};
use crate::transport::tunnel::flows::{FlowCarrier, FlowEnded, FlowNumber};
use crate::transport::tunnel::frame::Reason;

/// How a flow reaches its target.
pub(super) enum Path {
    /// Connected to the target.
    Socket(OwnedFd),
    /// The target is at the other end of a tunnel.
    Tunnel(Box<TunnelFlow>),
}

/// One flow of a tunnel. The other end is told why it ends; of one that is dropped in a panic, that a bug has ended it.
pub(super) struct TunnelFlow {
    carrier: Arc<dyn FlowCarrier>,
    number: FlowNumber,
    pub(super) mark: Arc<Mark>,
    /// Whether this end has opened it.
    is_own: bool,
    /// Whether the other end knows that it has ended.
    is_over: bool,
}

impl TunnelFlow {
    /// One that this end has opened.
    pub(super) fn opened(carrier: Arc<dyn FlowCarrier>, number: FlowNumber, mark: Arc<Mark>) -> TunnelFlow {
        TunnelFlow { carrier, number, mark, is_own: true, is_over: false }
    }

    /// One that the other end has opened.
    pub(super) fn incoming(carrier: Arc<dyn FlowCarrier>, number: FlowNumber, mark: Arc<Mark>) -> TunnelFlow {
        TunnelFlow { carrier, number, mark, is_own: false, is_over: false }
    }

    /// Sends one datagram; false if it was dropped.
    pub(super) fn send(&self, datagram: Bytes) -> bool {
        self.carrier.send(self.number, datagram)
    }

    /// Sends each datagram of a train, which is copied once; returns how many were taken, and their bytes.
    pub(super) fn send_each(&self, bytes: &[u8], lengths: impl Iterator<Item = usize>) -> (u64, usize) {
        let mut rest = Bytes::copy_from_slice(bytes);
        let (mut taken, mut taken_bytes) = (0, 0);
        for length in lengths {
            if self.send(rest.split_to(length)) {
                (taken, taken_bytes) = (taken + 1, taken_bytes + length);
            }
        }
        (taken, taken_bytes)
    }

    /// How its datagrams travel.
    pub(super) fn way(&self) -> Way {
        self.carrier.way()
    }

    /// Tells the other end why it ends, if that does not know.
    pub(super) fn end(&mut self, end: End, words: Option<&str>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        match end {
            End::NoTarget(cause) if !self.is_own => {
                self.carrier.refuse(self.number, cause, words.map(str::to_owned));
            }
            end => self.carrier.end(self.number, reason_of(end)),
        }
    }

    /// The other end has ended it, or the tunnel has.
    pub(super) fn is_over(&mut self) {
        self.is_over = true;
    }
}

impl Drop for TunnelFlow {
    fn drop(&mut self) {
        self.end(End::Internal, None);
    }
}

/// How a flow ends that its tunnel has ended; `side` is what it was here.
pub(super) struct EndedThere {
    pub(super) end: End,
    /// The text for the record.
    pub(super) words: Option<Arc<str>>,
    /// Whether the other end has not reached the target.
    pub(super) far: bool,
}

impl EndedThere {
    pub(super) fn of(why: FlowEnded, side: Side) -> EndedThere {
        let (end, words) = match why {
            // Of a flow nothing resets: it is over.
            FlowEnded::Ended(Reason::Reset) => (End::Done, None),
            FlowEnded::Ended(reason) => end_of(reason, side),
            FlowEnded::Refused(cause, words) => (End::NoTarget(cause), words.map(Into::into)),
            FlowEnded::Lost => (End::TunnelLost, None),
            FlowEnded::Revoked => (End::Revoked, None),
        };
        EndedThere { end, words, far: matches!(end, End::NoTarget(_)) }
    }

    /// The cause, if the target was not reached.
    pub(super) fn cause(&self) -> Option<Cause> {
        if let End::NoTarget(cause) = self.end { Some(cause) } else { None }
    }
}
