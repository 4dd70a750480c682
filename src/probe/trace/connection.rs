//! The record of one traced connection: how far it got, which socket answered, what came back.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::recognise::{self, Recognised};
use super::request::Request;

/// The result of the dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dial {
    /// The kernel connected, after this time.
    Connected(Duration),
    /// It failed with this errno, after this time.
    Failed(i32, Duration),
    /// It was abandoned after this time.
    TimedOut(Duration),
}

/// The state of a connection when the trace ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Still open.
    Open,
    /// The service closed it, this long after the dial began.
    Closed(Duration),
    /// It was reset, this long after the dial began.
    Reset(Duration),
}

/// The service's end of a connection, as the kernel shows it to every user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ServerSide {
    /// Its inode; 0 while it waits to be accepted.
    pub inode: u32,
    /// Bytes that the service has not read.
    pub unread: u32,
    /// Whether the handshake is not complete on that side: SYN_RECV.
    pub half_open: bool,
}

/// One connection of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Our address; `None` for a Unix socket or if the dial failed.
    pub local: Option<SocketAddr>,
    /// The result of the dial.
    pub dial: Dial,
    /// When the service had accepted, counted from the start of the dial; exact to a few milliseconds.
    pub accepted: Option<Duration>,
    /// The service's end when it was last read; `None` if it cannot be read, for example on another machine.
    pub server: Option<ServerSide>,
    /// Whether that end was half open while ours was connected and had sent nothing.
    pub deferred: bool,
    /// The request that was sent.
    pub sent: Option<Request>,
    /// When the request was sent, counted from the start of the dial.
    pub said: Option<Duration>,
    /// The first bytes that came back.
    pub received: Vec<u8>,
    /// When the first of them arrived, counted from the start of the dial.
    pub first_byte: Option<Duration>,
    /// When a first byte arrived after the wish's time-out, counted from the start of the dial.
    pub late: Option<Duration>,
    /// Whether the service spoke before anything was sent.
    pub spoke_first: bool,
    /// Its state at the end.
    pub ending: Ending,
    /// How long it was watched altogether.
    pub watched: Duration,
    /// Smoothed round-trip time, in microseconds; 0 if unknown.
    pub round_trip_us: u32,
    /// Retransmitted segments.
    pub retransmits: u32,
}

impl Connection {
    /// A failed dial that was not made by a trace.
    pub fn failed(errno: i32) -> Connection {
        let dial = match errno {
            libc::ETIMEDOUT => Dial::TimedOut(Duration::ZERO),
            errno => Dial::Failed(errno, Duration::ZERO),
        };
        Connection::new(dial)
    }

    pub(super) fn new(dial: Dial) -> Connection {
        Connection {
            local: None,
            dial,
            accepted: None,
            server: None,
            deferred: false,
            sent: None,
            said: None,
            received: Vec::new(),
            first_byte: None,
            late: None,
            spoke_first: false,
            ending: Ending::Open,
            watched: Duration::ZERO,
            round_trip_us: 0,
            retransmits: 0,
        }
    }

    /// How long the service took for its first byte: from our request on, or from the dial on if it spoke first.
    pub fn answer_time(&self) -> Option<Duration> {
        Some(self.first_byte?.saturating_sub(self.said.unwrap_or_default()))
    }

    /// Whether the dial succeeded.
    pub fn connected(&self) -> bool {
        matches!(self.dial, Dial::Connected(_))
    }

    /// Whether it is known to be waiting for the service to accept it.
    pub fn is_waiting(&self) -> bool {
        self.is_silent() && self.server.is_some_and(|side| side.inode == 0)
    }

    /// Whether it is established and nothing has come back.
    pub fn is_silent(&self) -> bool {
        self.connected() && self.received.is_empty() && self.ending == Ending::Open
    }

    /// The service recognised from the received bytes.
    pub fn recognised(&self) -> Option<Recognised> {
        recognise::recognise(self.sent.as_ref(), &self.received)
    }
}

/// Called while an established connection without an answer is still open; returns how much longer to wait for an
/// answer.
pub type Silent<'a> = dyn FnMut(&Connection) -> Duration + 'a;
