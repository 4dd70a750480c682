//! The step *admit*: whether a client is admitted, and when.
//!
//! What depends on the client's address alone is decided right after accept(2), before a worker is woken: a denied
//! client costs an accept, a lookup in two sets and a close.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use tokio::time::sleep_until;

use super::progress::Progress;
use super::state::{ClientEnd, Session};
use super::turn_away::turn_away_at;
use crate::engine::admission::applicant::Applicant;
use crate::engine::runtime::context::{Context, PermitCell, RouteRuntime};
use crate::ledger::Entry;
use crate::outcome::{Client, Denial, End, Limit, Phase};
use crate::plan::Route;
use crate::proxy_protocol::{Ends, Header};
use crate::sys;
use crate::transport::{Incoming, Stream, Unopened};

/// Decides about a connection by the address of its socket. Returns its client's permit, granted or queued; an empty
/// cell if the client is known only after a PROXY header; `None` on a route without limits.
pub(crate) fn on_accept(runtime: &RouteRuntime, incoming: &Incoming) -> Result<Option<Box<PermitCell>>, End> {
    let (client, socket, tunnel) = (&incoming.client, incoming.stream.unix_socket(), incoming.tunnel());
    let denial = denial(runtime, Who::of(client, socket));
    if !runtime.route.proxy.accept.is_empty() {
        may_connect_as_proxy(runtime, client, denial)?;
        return Ok(runtime.admission.as_ref().map(|_| Box::new(PermitCell::new())));
    }
    may_connect(denial)?;
    let Some(admission) = &runtime.admission else { return Ok(None) };
    let permit = admission.ask(Applicant::of(client, tunnel), Instant::now()).map_err(End::Limited)?;
    Ok(Some(Box::new(permit.into())))
}

/// Decides about the client that a PROXY header names, as if it had connected itself; a proxy that connects on its own
/// behalf is the client. Through a tunnel both come by its other end.
pub(crate) fn decide_again(session: &Session, header: &Header, socket: Option<&Stream>) -> Result<(), End> {
    let (own, tunnel) = (session.entry.client(), session.entry.live().came_by());
    let (applicant, who) = match header.ends {
        Ends::Net { client, .. } => (Applicant::of(&Client::Net(client), tunnel), Who::Address(client.ip())),
        // The names of its socket say nothing about its user.
        Ends::Unix(_) | Ends::Unnamed => (Applicant::of(&Client::Unknown, tunnel), Who::Unknown),
        Ends::Own => (Applicant::of(&own, tunnel), Who::of(&own, socket.map(AsFd::as_fd))),
    };
    may_connect(denial(&session.runtime, who))?;
    if let Some(admission) = &session.runtime.admission {
        let permit = admission.ask(applicant, Instant::now()).map_err(End::Limited)?;
        permit.over().into_iter().for_each(|limit| session.entry.dry_run(limit));
        session.slot.admit(permit);
    }
    Ok(())
}

/// A client to the lists.
enum Who<'s> {
    Address(IpAddr),
    /// A process of this user, at the other end of this Unix socket, if it is at hand.
    Process(u32, Option<BorrowedFd<'s>>),
    /// A process behind a proxy.
    Unknown,
    /// Somebody behind the other end of a tunnel.
    Anywhere,
}

impl<'s> Who<'s> {
    fn of(client: &Client, socket: Option<BorrowedFd<'s>>) -> Who<'s> {
        match client {
            Client::Net(address) => Who::Address(address.ip()),
            Client::Unix { uid, .. } => Who::Process(*uid, socket),
            Client::Unknown => Who::Anywhere,
        }
    }
}

/// Why a client may not connect at all; `None` if it may. Networks do not apply to a client of a Unix socket, which has
/// no address; the permissions of the socket's file do, and the users and groups in the lists.
fn denial(runtime: &RouteRuntime, who: Who<'_>) -> Option<Denial> {
    let access = &runtime.route.access;
    match who {
        Who::Address(ip) => access.denies(ip),
        Who::Process(user, socket) => {
            let groups =
                socket.filter(|_| access.asks_groups()).and_then(|socket| sys::peer_groups(socket).ok());
            access.denies_process(user, groups.as_deref())
        }
        Who::Unknown => access.denies_unknown(),
        Who::Anywhere => access.denies_anywhere(),
    }
}

fn may_connect(denial: Option<Denial>) -> Result<(), End> {
    denial.map_or(Ok(()), |denial| Err(End::Denied(denial)))
}

/// Whether this is a proxy that the route accepts connections from. Other clients are denied: whether to expect a
/// header must not be guessed, so the port cannot be shared with clients that send none (proxy-protocol.txt, section
/// 2). The networks of `allow` are for the clients that the proxy forwards, its users and groups for the proxy, which alone
/// has a known user; `deny` applies to both.
fn may_connect_as_proxy(runtime: &RouteRuntime, client: &Client, denial: Option<Denial>) -> Result<(), End> {
    let Route { proxy, access, .. } = &*runtime.route;
    if !proxy.accept.contains(client) {
        return Err(End::Denied(Denial::NoProxy));
    }
    may_connect(denial.filter(|denial| match denial {
        Denial::Listed | Denial::UserListed => true,
        Denial::UserUnlisted => access.allow_members.as_ref().is_some_and(|users| !users.is_empty()),
        _ => false,
    }))
}

/// Resets a connection that has not reached a worker, and closes its record.
pub(crate) fn refuse(client: Unopened, entry: Entry, end: End, (cx, here): (&Context, usize)) {
    match client {
        Unopened::Carrier(carrier) => turn_away_at(here, cx, *carrier, end),
        client => client.reset(),
    }
    let progress = Progress { phase: Phase::Admit, ..Progress::default() };
    let outcome = progress.outcome(end.into(), &entry);
    entry.close(outcome);
}

/// Waits until the client has its place, for at most `queue_timeout`; a client that disconnects earlier frees its place
/// in the queue. A FIN does not count as disconnecting: the client may have sent its whole request.
pub(crate) async fn admit(client: ClientEnd<'_>, session: &Session) -> Result<(), End> {
    let Some(permit) = session.slot.permit() else { return Ok(()) };
    let deadline = Instant::now() + session.runtime.route.entry.queue_timeout;
    tokio::select! {
        biased;
        // A session that is ordered to end gives its place to the next. If that is ordered to end too, no target is
        // dialled for it.
        turn = permit.turn() => match session.entry.live().ordered() {
            Some(order) => Err(order.end()),
            None => turn.map_err(End::Denied),
        },
        () = client.is_gone() => Err(End::ClientGone),
        () = sleep_until(deadline.into()) => Err(End::Limited(Limit::QueueTimeout)),
    }
}
