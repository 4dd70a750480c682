//! One traced connection to a service: how far it came, which socket answered, what came back.
//!
//! Nothing is sent until the service has spoken or a short wait is over; then one harmless request per connection, and
//! at most [`MAX_CONNECTIONS`] connections, all of them in the trace. Both ends of a local connection are on this
//! machine, so the kernel tells where it stands: in the accept queue (no inode), accepted and unread, or read.

pub mod certificate;
mod connect;
pub mod protocol;
pub mod recognise;
pub mod request;
mod talk;
pub mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

pub use connect::Patience;
use protocol::Protocol;
use recognise::Recognised;
use request::Request;

/// How many connections one trace makes at most.
pub const MAX_CONNECTIONS: usize = 3;

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

/// What a trace shall find out.
#[derive(Clone, Debug)]
pub struct Wish {
    /// How long one connection may take.
    pub timeout: Duration,
    /// The protocol to speak first; what the port or the program's name suggests.
    pub first: Protocol,
    /// The host a browser would name.
    pub host: String,
    /// Other hosts the service may answer to, the likeliest first.
    pub other_hosts: Vec<String>,
}

/// The connections that were made, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// At least one, unless there was not a single descriptor for it.
    pub connections: Vec<Connection>,
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

    fn new(dial: Dial) -> Connection {
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

/// Traces a TCP service. It takes at most twice the wish's time-out and what `silent` asks for, and one descriptor beside
/// the kernel's answers.
pub fn tcp(address: SocketAddr, wish: &Wish, silent: &mut Silent<'_>) -> Trace {
    traced(wish, |request, patience| connect::tcp(address, request, patience, silent))
}

/// The same of a service on a Unix socket.
pub fn unix(path: &Path, wish: &Wish, silent: &mut Silent<'_>) -> Trace {
    traced(wish, |request, patience| connect::unix(path, request, patience, silent))
}

/// The connections one after another, each asking what the last one left open.
fn traced(wish: &Wish, mut dial: impl FnMut(&Request, Patience) -> Connection) -> Trace {
    let mut trace = Trace::default();
    let mut request = Some(request::of(wish.first, &wish.host));
    let mut patience = Patience::new(wish.timeout);
    while let Some(next) = request.take() {
        trace.connections.push(dial(&next, patience));
        if trace.connections.len() == MAX_CONNECTIONS {
            break;
        }
        // One that waits says all; whether the next is accepted either is soon known.
        let waiting = trace.connections.iter().any(Connection::is_waiting);
        patience = if waiting { Patience::knock() } else { patience.shorter() };
        request = next_request(&trace, wish);
    }
    trace
}

/// What the next connection should ask; `None` where the last answer will do.
fn next_request(trace: &Trace, wish: &Wish) -> Option<Request> {
    let last = trace.connections.last()?;
    if !last.connected() {
        return None;
    }
    if last.is_waiting() {
        return Some(request::of(wish.first, &wish.host));
    }
    let tried = |protocol: Protocol| {
        trace.connections.iter().any(|c| c.sent.as_ref().is_some_and(|sent| sent.protocol == protocol))
    };
    match last.recognised() {
        Some(found) if found.protocol == Protocol::Http && found.turns_host_away() => {
            other_host(trace, &found, wish)
        }
        // Said in plain text, or by an alert: a hello proves it and shows the certificate.
        Some(found) if found.protocol == Protocol::Tls && !tried(Protocol::Tls) => {
            Some(request::of(Protocol::Tls, &wish.host))
        }
        Some(_) => None,
        None if !last.received.is_empty() => None,
        // The service ended it without a word: perhaps it was spoken to in the wrong way.
        None if last.ending != Ending::Open && last.sent.is_some() => {
            let order = [Protocol::Tls, Protocol::Http, Protocol::Postgres];
            order.into_iter().find(|protocol| !tried(*protocol)).map(|next| request::of(next, &wish.host))
        }
        None => None,
    }
}

/// The names a service that turned ours away might answer to: `localhost`, then one that its answer names.
fn other_host(trace: &Trace, found: &Recognised, wish: &Wish) -> Option<Request> {
    let asked = |host: &str| {
        trace
            .connections
            .iter()
            .any(|c| c.sent.as_ref().is_some_and(|sent| sent.host.as_deref() == Some(host)))
    };
    let others = wish.other_hosts.iter().map(String::as_str);
    let names = found.names.iter().map(String::as_str).chain(others).chain(["localhost"]);
    let untried = names.into_iter().find(|name| !asked(name) && *name != wish.host)?;
    Some(request::http(untried))
}
