//! The step *admit*: whether a client may come in, and when.
//!
//! What its address alone decides is decided right after accept(2), before a worker is woken: who is denied costs an
//! accept, a look into two sets and a close.

use std::net::IpAddr;
use std::time::Instant;

use tokio::time::sleep_until;

use super::progress::Progress;
use super::state::{Session, is_gone};
use crate::engine::runtime::context::{PermitCell, RouteRuntime};
use crate::ledger::Entry;
use crate::outcome::{Client, Denial, End, Limit, Phase};
use crate::proxy_protocol::{Ends, Header};
use crate::transport::{Stream, Unopened};

/// Decides about a connection by the address of its socket: the place of its client, now or in its turn; an empty one
/// where a proxy before us has yet to say who it is, and `None` on a route that limits nothing.
pub(crate) fn on_accept(runtime: &RouteRuntime, client: &Client) -> Result<Option<Box<PermitCell>>, End> {
    let ip = address(client);
    if !runtime.route.proxy.accept.is_empty() {
        may_speak_for_others(runtime, client, ip)?;
        return Ok(runtime.admission.as_ref().map(|_| Box::new(PermitCell::new())));
    }
    may_connect(runtime, ip)?;
    let Some(admission) = &runtime.admission else { return Ok(None) };
    let permit = admission.ask(ip, Instant::now()).map_err(End::Limited)?;
    Ok(Some(Box::new(permit.into())))
}

/// Decides about the client that a proxy before us has named, as if it had come itself; a proxy that speaks for itself is
/// the client.
pub(crate) fn decide_again(session: &Session, header: &Header) -> Result<(), End> {
    let ip = match header.ends {
        Ends::Net { client, .. } => Some(client.ip()),
        Ends::Unix(_) => None,
        Ends::Own => address(&session.entry.client()),
    };
    may_connect(&session.runtime, ip)?;
    if let Some(admission) = &session.runtime.admission {
        session.slot.admit(admission.ask(ip, Instant::now()).map_err(End::Limited)?);
    }
    Ok(())
}

/// Whether a client with this address may connect at all. To a client of a Unix socket the lists say nothing, as it has
/// none; the socket's file decides about it.
fn may_connect(runtime: &RouteRuntime, ip: Option<IpAddr>) -> Result<(), End> {
    let denial = ip.and_then(|ip| runtime.route.access.denies(ip));
    denial.map_or(Ok(()), |denial| Err(End::Denied(denial)))
}

/// Whether this is a proxy that the route takes connections from. Nobody else may come there: whether a header is to be
/// expected must not be guessed, and whoever could come without one would share the port with those who cannot
/// (proxy-protocol.txt, section 2). `allow` is about the clients it speaks for, `deny` about it as well.
fn may_speak_for_others(runtime: &RouteRuntime, client: &Client, ip: Option<IpAddr>) -> Result<(), End> {
    if !runtime.route.proxy.accept.contains(client) {
        return Err(End::Denied(Denial::NoProxy));
    }
    let denial = ip.and_then(|ip| runtime.route.access.denies(ip));
    if denial == Some(Denial::Listed) { Err(End::Denied(Denial::Listed)) } else { Ok(()) }
}

/// Ends a connection that no worker has seen.
pub(crate) fn turn_away(client: Unopened, entry: Entry, end: End) {
    client.reset();
    let progress = Progress { phase: Phase::Admit, ..Progress::default() };
    let outcome = progress.outcome(end.into(), &entry);
    entry.close(outcome);
}

/// Waits until the client has its place, for at most `queue_timeout`; a client that goes first frees the place in
/// the queue. A FIN is no reason to go: it may have sent its whole request.
pub(crate) async fn admit(client: Option<&Stream>, session: &Session) -> Result<(), End> {
    let Some(permit) = session.slot.permit() else { return Ok(()) };
    let deadline = Instant::now() + session.runtime.route.entry.queue_timeout;
    tokio::select! {
        biased;
        // Whoever is ordered to end gives a place to the next. Where that is ordered as well, no target is dialled for it.
        turn = permit.turn() => match session.entry.live().ordered() {
            Some(order) => Err(order.end()),
            None => turn.map_err(End::Denied),
        },
        () = is_gone(client) => Err(End::ClientGone),
        () = sleep_until(deadline.into()) => Err(End::Limited(Limit::QueueTimeout)),
    }
}

fn address(client: &Client) -> Option<IpAddr> {
    match client {
        Client::Net(address) => Some(address.ip()),
        Client::Unix { .. } => None,
    }
}
