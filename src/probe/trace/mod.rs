//! Traces connections to a service: how far they got, which socket answered, what came back.
//!
//! Nothing is sent until the service has spoken or a short wait is over; then one harmless request per connection, on
//! at most [`MAX_CONNECTIONS`] connections, all of which the trace contains. Both ends of a local connection are on
//! this machine, so the kernel shows its state: in the accept queue (no inode), accepted and unread, or read.

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

/// The most connections of one trace.
pub const MAX_CONNECTIONS: usize = 3;

/// The task of a trace.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The time-out of one connection.
    pub timeout: Duration,
    /// The protocol to try first, as the port or the program's name suggests.
    pub first: Protocol,
    /// The host name that a browser would send.
    pub host: String,
    /// Other hosts the service may answer to, the likeliest first.
    pub other_hosts: Vec<String>,
}

/// The connections that were made, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// At least one, unless no descriptor was free.
    pub connections: Vec<Connection>,
}

/// Traces a TCP service. It takes at most twice the wish's time-out plus the time that `silent` requests, and one
/// descriptor beside those of the requests to the kernel.
pub fn tcp(address: SocketAddr, wish: &Wish, silent: &mut Silent<'_>) -> Trace {
    traced(wish, |request, patience| connect::tcp(address, request, patience, silent))
}

/// The same for a service on a Unix socket.
pub fn unix(path: &Path, wish: &Wish, silent: &mut Silent<'_>) -> Trace {
    traced(wish, |request, patience| connect::unix(path, request, patience, silent))
}

/// Makes the connections one after another; each request depends on what the last connection left open.
fn traced(wish: &Wish, mut dial: impl FnMut(&Request, Patience) -> Connection) -> Trace {
    let mut trace = Trace::default();
    let mut request = Some(request::of(wish.first, &wish.host));
    let mut patience = Patience::new(wish.timeout);
    while let Some(next) = request.take() {
        trace.connections.push(dial(&next, patience));
        if trace.connections.len() == MAX_CONNECTIONS {
            break;
        }
        // One waiting connection is enough evidence; whether the next is accepted shows soon.
        let waiting = trace.connections.iter().any(Connection::is_waiting);
        patience = if waiting { Patience::knock() } else { patience.shorter() };
        request = next_request(&trace, wish);
    }
    trace
}

/// The request of the next connection; `None` if the last answer is sufficient.
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
        // The service announced TLS in plain text or by an alert: a ClientHello confirms it and shows the certificate.
        Some(found) if found.protocol == Protocol::Tls && !tried(Protocol::Tls) => {
            Some(request::of(Protocol::Tls, &wish.host))
        }
        Some(_) => None,
        None if !last.received.is_empty() => None,
        // The service closed the connection without an answer: perhaps it speaks another protocol.
        None if last.ending != Ending::Open && last.sent.is_some() => {
            let order = [Protocol::Tls, Protocol::Http, Protocol::Postgres];
            order.into_iter().find(|protocol| !tried(*protocol)).map(|next| request::of(next, &wish.host))
        }
        None => None,
    }
}

/// A request with another host name, for a service that rejected ours: a name from its answer, one of the wish's, or
/// `localhost`.
fn other_host(trace: &Trace, found: &Recognised, wish: &Wish) -> Option<Request> {
    let tried = |host: &str| {
        trace
            .connections
            .iter()
            .any(|c| c.sent.as_ref().is_some_and(|sent| sent.host.as_deref() == Some(host)))
    };
    let others = wish.other_hosts.iter().map(String::as_str);
    let names = found.names.iter().map(String::as_str).chain(others).chain(["localhost"]);
    let untried = names.into_iter().find(|name| !tried(name) && *name != wish.host)?;
    Some(request::http(untried))
}
