//! A connection of a tunnel, after its handshake: frames in, frames out.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::frame::{Decoder, Frame};
use crate::transport::Stream;
use crate::transport::tls::Sealed;

/// A secured connection in the poller of the current runtime.
pub struct FrameLink {
    stream: Stream,
    records: Box<Sealed>,
    decoder: Decoder,
    /// Plain bytes that came behind what was taken.
    unread: Vec<u8>,
    /// Records that the socket has not taken yet.
    unsent: Vec<u8>,
}

/// The same in no runtime's poller, between frames.
pub struct Parked {
    socket: OwnedFd,
    records: Box<Sealed>,
    decoder: Decoder,
    unread: Vec<u8>,
}

/// What has arrived on a connection without a session.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// A whole body.
    Message(Vec<u8>),
    /// A frame without a body.
    Frame(Frame),
}

/// A connection for sessions, idle, on its way to a session or back.
pub struct Carrier {
    /// The connection.
    pub link: Parked,
    /// The address of the other machine.
    pub peer: SocketAddr,
    /// How many sessions it has carried.
    pub carried: u32,
    /// Where it goes after a clean end.
    pub home: Arc<dyn Home>,
}

/// Where a carrier goes once its session has ended.
pub trait Home: Send + Sync {
    /// It carried a session to a clean end, and may carry another.
    fn free(&self, carrier: Carrier);

    /// It is gone: broken, or cut with its session.
    fn lost(&self);
}
