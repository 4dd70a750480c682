//! One traced connection: how far it came, which socket answered, what came back.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::recognise::{self, Recognised};
use super::request::Request;

/// What became of the dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dial {
    /// The kernel says connected, after this time.
    Connected(Duration),
    /// It failed with this errno, after this time.
    Failed(i32, Duration),
    /// It was given up after this time.
    TimedOut(Duration),
}

/// How a connection stood when the trace let go of it.
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

/// The service's end of a connection, as the kernel shows it to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ServerSide {
    /// 0 while it waits to be accepted.
    pub inode: u32,
    /// Bytes that the service has not read.
    pub unread: u32,
    /// Whether the handshake has not ended on that side: SYN_RECV.
    pub half_open: bool,
}

/// One connection of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Our address; `None` of a Unix socket or where the dial failed.
    pub local: Option<SocketAddr>,
    /// How the dial went.
    pub dial: Dial,
    /// When the service had accepted, after the dial began; exact to some milliseconds.
    pub accepted: Option<Duration>,
    /// The service's end when it was last seen; `None` where it cannot be seen, as on another machine.
    pub server: Option<ServerSide>,
    /// Whether that end was half open while ours was connected and had sent nothing.
    pub deferred: bool,
    /// What was sent.
    pub sent: Option<Request>,
    /// When it was sent, after the dial began.
    pub said: Option<Duration>,
    /// The first bytes that came back.
    pub received: Vec<u8>,
    /// When the first of them came, after the dial began.
    pub first_byte: Option<Duration>,
    /// When the first byte came that was waited for beyond the wish's time-out, after the dial began.
    pub late: Option<Duration>,
    /// Whether the service spoke before anything was sent.
    pub spoke_first: bool,
    /// How it stood at the end.
    pub ending: Ending,
    /// How long it was watched in all.
    pub watched: Duration,
    /// Smoothed round-trip time, in microseconds; 0 where unknown.
    pub round_trip_us: u32,
    /// Segments that were sent again.
    pub retransmits: u32,
}

impl Connection {
    /// A dial that somebody else made and that failed.
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

    /// How long the service took for its first byte: from our request on, or where it spoke first from the dial on.
    pub fn answer_time(&self) -> Option<Duration> {
        Some(self.first_byte?.saturating_sub(self.said.unwrap_or_default()))
    }

    /// Whether the dial succeeded.
    pub fn connected(&self) -> bool {
        matches!(self.dial, Dial::Connected(_))
    }

    /// Whether the service is seen not to have accepted it.
    pub fn is_waiting(&self) -> bool {
        self.is_silent() && self.server.is_some_and(|side| side.inode == 0)
    }

    /// Whether it stands and nothing has come back.
    pub fn is_silent(&self) -> bool {
        self.connected() && self.received.is_empty() && self.ending == Ending::Open
    }

    /// What the bytes that came say about the service.
    pub fn recognised(&self) -> Option<Recognised> {
        recognise::recognise(self.sent.as_ref(), &self.received)
    }
}

/// Called while a connection that stands and has got no answer is still open; says how much longer one is worth waiting for.
pub type Silent<'a> = dyn FnMut(&Connection) -> Duration + 'a;
