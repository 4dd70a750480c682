//! One traced connection to a service: how far it came, which socket answered, what came back.
//!
//! Nothing is sent until the service has spoken or a short wait is over; then one harmless request per connection, and
//! at most [`MAX_CONNECTIONS`] connections, all of them in the trace. Both ends of a local connection are on this
//! machine, so the kernel tells where it stands: in the accept queue (no inode), accepted and unread, or read.

mod connect;
mod connection;
mod patience;
pub mod protocol;
pub mod recognise;
pub mod request;
mod talk;
pub mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

pub use connection::{Connection, Dial, Ending, ServerSide, Silent};
pub use patience::Patience;
use protocol::Protocol;
use recognise::Recognised;
use request::Request;

/// How many connections one trace makes at most.
pub const MAX_CONNECTIONS: usize = 3;

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
