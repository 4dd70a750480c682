//! What carries the datagrams of a tunnel between the two machines: a QUIC connection, or a TLS connection.

use bytes::Bytes;

use crate::transport::tunnel::flows::{FlowEnded, FlowNumber};
use crate::transport::tunnel::open::Open;

/// A connection that carries flows. No method waits, and none calls its [`Arrivals`]: whoever calls may hold a lock of theirs.
pub(crate) trait Means: Send + Sync {
    /// The other end learns that this flow begins. Its datagrams may be sent at once; they may arrive before.
    fn begin(&self, flow: FlowNumber, open: &Open);

    /// Sends one datagram; false if it was dropped.
    fn send(&self, flow: FlowNumber, datagram: Bytes) -> bool;

    /// The other end learns that this flow has ended.
    fn end(&self, flow: FlowNumber, why: &FlowEnded);
}

/// Who takes what a connection brings.
pub(crate) trait Arrivals: Send + Sync {
    /// A flow begins.
    fn began(&self, flow: FlowNumber, open: Open);

    /// A datagram of a flow, which may be one that has not begun, or has ended.
    fn arrived(&self, flow: FlowNumber, datagram: Bytes);

    /// Datagrams of this flow that were taken and then dropped, as too many waited.
    fn dropped(&self, flow: FlowNumber, count: u64);

    /// A flow has ended, or was refused.
    fn ended(&self, flow: FlowNumber, why: FlowEnded);
}
