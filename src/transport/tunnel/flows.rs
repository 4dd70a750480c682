//! The flows of datagrams through a tunnel: what the loops of the engine ask of it, and what it gives them.
//!
//! No method waits. Datagrams may be lost, as everywhere: whoever drops one counts it, and nobody asks for it again.

use std::sync::Arc;

use bytes::Bytes;

use super::frame::Reason;
use super::open::Open;
use crate::address::TunnelName;
use crate::outcome::{Cause, Way};

/// The number of a flow in one tunnel while its control lives; never used again. Even ones are given by the dialling end,
/// odd ones by the accepting end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowNumber(pub u64);

/// What carries the flows of a tunnel. It lives as long as the tunnel's control: a flow that outlives it has ended, and its
/// sink was told.
pub trait FlowCarrier: Send + Sync {
    /// Begins a flow that this end opens. Its first datagrams may be sent at once; what comes back goes to `sink`.
    ///
    /// # Errors
    /// [`Cause::TunnelDown`] if the control has ended, [`Cause::TunnelBusy`] if no more flows are carried.
    fn open(&self, open: Open, sink: Arc<dyn FlowSink>) -> Result<FlowNumber, Cause>;

    /// Sends one datagram of a flow; false if it was dropped, as it is too long or too many wait.
    fn send(&self, flow: FlowNumber, datagram: Bytes) -> bool;

    /// Ends a flow: the other end is told why, and the sink is no longer called.
    fn end(&self, flow: FlowNumber, why: Reason);

    /// Ends a flow that the other end has opened, as its target was not reached: the other end is told the cause, and these
    /// words if there are some. The sink is no longer called.
    fn refuse(&self, flow: FlowNumber, why: Cause, words: Option<String>);

    /// How datagrams travel now: [`Way::Quic`] or [`Way::Tls`].
    fn way(&self) -> Way;
}

/// Who takes what comes through a tunnel for one flow. It is called from the thread of the tunnels, and may take datagrams
/// a little longer than the flow lives.
pub trait FlowSink: Send + Sync {
    /// A datagram of the other end.
    fn arrived(&self, datagram: Bytes);

    /// Datagrams that were taken by [`FlowCarrier::send`] and were dropped on the way, as too many waited; within
    /// [`FlowCarrier::end`] those that wait no longer. The count may be 0.
    fn dropped(&self, count: u64);

    /// The flow has ended, at the other end or with the tunnel.
    fn ended(&self, why: FlowEnded);
}

/// Why a flow has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowEnded {
    /// The other end has ended it.
    Ended(Reason),
    /// The other end could not or would not carry it, for this reason; in its words, escaped, if it has some.
    Refused(Cause, Option<String>),
    /// The tunnel is gone.
    Lost,
    /// The key of the other end was withdrawn.
    Revoked,
}

/// A flow that the other end of a tunnel has opened.
pub struct IncomingFlow {
    /// What the other end said of it.
    pub open: Open,
    /// The tunnel.
    pub tunnel: TunnelName,
    /// Whether what it says of the visitor counts; see [`crate::transport::Incoming::carried`].
    pub trust_client: bool,
    /// Its number.
    pub number: FlowNumber,
    /// What carries it.
    pub carrier: Arc<dyn FlowCarrier>,
}
