//! The end of a tunnel that others connect to.
//!
//! A connection is a stranger until its key is proven: [`strangers`] has a place for it or not. Then it says in one message
//! what it is for ([`hello`]): a control goes to the [`seat`] of its tunnel, which decides which one stays; a carrier names
//! its control. One that joins with an invite ([`join`]) is no tunnel's, and says nothing else.

mod answers;
mod by_quic;
mod hello;
mod invites;
mod join;
mod live;
mod probe;
mod seat;
mod session;
pub(super) mod strangers;
mod takeover;
#[cfg(test)]
mod tests;
mod unknown;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use answers::{LAST_WORDS, STEP};
use hello::Desk;
use invites::Invites;
use join::{Host, Joining};
pub(super) use seat::{MAX_NEWCOMERS, keep as keep_seat};
use session::lock;
pub(super) use session::{Book, Door, Newcomer};
use strangers::Strangers;
use unknown::UnknownKeys;

use crate::engine::{Serve, Served};
use crate::limits::ClientKey;
use crate::outcome::Client;
use crate::plan;
use crate::proxy_protocol::{self, Ends, LONGEST, Senders};
use crate::transport::tunnel::carrier::FrameLink;
use crate::transport::tunnel::identity::{Accepting, HandshakeFault, PublicKey, Secured, hear, last_words};
use crate::transport::tunnel::line::{HandshakeFailed, Handshakes};
use crate::transport::{Incoming, Link, Stream, peek, take_seen};

/// What answers the connections of `[tunnel] listen`. One for the whole life of the program: a reload changes what is in it.
pub(super) struct Accept(Arc<Inner>);

struct Inner {
    desk: Desk,
    rules: Mutex<Option<Rules>>,
    strangers: Mutex<Strangers>,
    unknown: Mutex<UnknownKeys>,
    invites: Mutex<Invites>,
    handshakes: Handshakes,
}

/// What a plan says of those that connect.
#[derive(Clone)]
struct Rules {
    own: PublicKey,
    tls: Accepting,
    senders: Senders,
}

impl Accept {
    /// Nobody is let in before [`Accept::follow`].
    pub(super) fn new(book: Arc<Book>) -> Accept {
        Accept(Arc::new(Inner {
            desk: Desk { book, probes: probe::Probes::default() },
            rules: Mutex::default(),
            strangers: Mutex::default(),
            unknown: Mutex::default(),
            invites: Mutex::default(),
            handshakes: Handshakes::default(),
        }))
    }

    /// Takes over what a plan says.
    pub(super) fn follow(&self, tunnels: &plan::Tunnels) {
        let rules = tunnels.private_key.as_ref().map(|own| Rules {
            own: own.public(),
            tls: Accepting::new(own, self.0.desk.book.clone()),
            senders: tunnels.accept_proxy.clone(),
        });
        *lock(&self.0.rules) = rules;
        let invited = |tunnel: &plan::Tunnel| Some((tunnel.name.clone(), tunnel.invited.clone()?));
        let invited = tunnels.links.values().filter_map(|tunnel| invited(tunnel)).collect();
        let lines = lock(&self.0.invites).follow(invited, join::now());
        lines.iter().for_each(|line| tracing::info!("{line}"));
    }

    /// The handshakes of others that failed. Whose they were is not known.
    pub(super) fn handshakes(&self) -> &Handshakes {
        &self.0.handshakes
    }

    /// Logs what was refused since the last time, at most once a minute.
    pub(super) fn tell(&self) {
        self.0.tell();
    }
}

impl Serve for Accept {
    fn serve(&self, incoming: Incoming, draining: CancellationToken) -> Served {
        let inner = self.0.clone();
        Box::pin(async move {
            let served = inner.serve(incoming);
            // What is let in has left for the thread of the tunnels by then.
            draining.run_until_cancelled(served).await;
        })
    }
}

impl Inner {
    async fn serve(self: Arc<Inner>, incoming: Incoming) {
        let Some(rules) = lock(&self.rules).clone() else { return incoming.stream.reset() };
        let client = incoming.client;
        // Whoever names others in a header has no place of its own: each of those has.
        let is_sender = rules.senders.contains(&client);
        let place = if is_sender { None } else { self.place(address(client)) };
        if !is_sender && place.is_none() {
            return incoming.stream.reset();
        }
        // The poller could not add it: the connection is closed.
        let Ok(Link::Socket(stream)) = incoming.stream.open() else { return };
        let entered = timeout(STEP, self.secure(&stream, client, place, &rules)).await;
        let Ok(entered) = entered else { return self.handshakes.failed(HandshakeFailed::TimedOut).add(1) };
        let Some(Entered { from, place, secured, joining }) = entered else { return };
        let link = FrameLink::new(stream, secured.records);
        if let Some(_joining) = joining {
            let host = Host { invites: &self.invites, book: &self.desk.book, own: rules.own };
            return join::take(&host, link, secured.key, from).await;
        }
        lock(&self.strangers).prove(place.client.clone(), Instant::now());
        hello::take(&self.desk, link, secured.key, from).await;
    }

    /// Reads the PROXY header of a sender, and runs the handshake. What failed was told and logged.
    async fn secure<'i>(
        &'i self,
        stream: &Stream,
        client: Client,
        place: Option<Place<'i>>,
        rules: &Rules,
    ) -> Option<Entered<'i>> {
        let (from, place) = match place {
            Some(place) => (address(client), place),
            None => {
                let from = header(stream).await?.unwrap_or(address(client));
                (from, self.place(from)?)
            }
        };
        match self.shake(stream, &rules.tls).await {
            Ok((secured, joining)) => Some(Entered { from, place, secured, joining }),
            Err(fault) => {
                self.failed(&fault, from);
                // The alert is to be read, not lost in a reset.
                let _ = timeout(LAST_WORDS, last_words(stream)).await;
                None
            }
        }
    }

    /// Runs the handshake: that of a connection that joins if it wants to, and an invite is open.
    async fn shake(
        &self,
        stream: &Stream,
        tls: &Accepting,
    ) -> Result<(Secured, Option<Joining<'_>>), HandshakeFault> {
        let heard = hear(stream).await?;
        let joins = heard.wants_to_join() && lock(&self.invites).is_any_open(join::now());
        if !joins {
            return Ok((heard.answer(stream, tls).await?, None));
        }
        // Nothing is computed for one too many.
        let joining = Joining::enter(&self.invites).ok_or(HandshakeFault::Busy)?;
        Ok((heard.answer(stream, &tls.joining()).await?, Some(joining)))
    }

    fn failed(&self, fault: &HandshakeFault, from: SocketAddr) {
        self.handshakes.failed(reason(fault)).add(1);
        match fault {
            HandshakeFault::UnknownHere(key) => {
                let line = lock(&self.unknown).line(key, from.ip(), Instant::now());
                if let Some(line) = line {
                    tracing::warn!("{line}");
                }
            }
            fault => tracing::debug!("tunnel listener: {from}: {fault}"),
        }
    }

    /// A place for a connection of this address.
    fn place(&self, from: SocketAddr) -> Option<Place<'_>> {
        let client = ClientKey::from(from.ip());
        let entered = lock(&self.strangers).enter(client.clone(), Instant::now());
        if let Err(full) = entered {
            tracing::debug!("tunnel listener: {from} is refused: {full}");
            self.tell();
            return None;
        }
        Some(Place { strangers: &self.strangers, client })
    }

    fn tell(&self) {
        let line = lock(&self.strangers).told(Instant::now());
        if let Some(line) = line {
            tracing::warn!("{line}");
        }
    }
}

/// Why a handshake of another machine failed, as it is counted.
fn reason(fault: &HandshakeFault) -> HandshakeFailed {
    match fault {
        HandshakeFault::UnknownHere(_) => HandshakeFailed::UnknownHere,
        HandshakeFault::WrongKeyThere => HandshakeFailed::WrongKey,
        HandshakeFault::NoKey | HandshakeFault::NotLoopgate | HandshakeFault::NotTls(_) => {
            HandshakeFailed::NotLoopgate
        }
        HandshakeFault::Version => HandshakeFailed::Version,
        _ => HandshakeFailed::Other,
    }
}

/// The address of a client as limits and lines know it; those of a Unix socket share one.
fn address(client: Client) -> SocketAddr {
    match client {
        Client::Net(address) => address,
        _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
    }
}

/// The address that a PROXY header names: nobody's if it names none (`LOCAL`, `UNKNOWN`), which is the sender itself.
/// `None` if there is no header.
async fn header(stream: &Stream) -> Option<Option<SocketAddr>> {
    let mut seen = Vec::new();
    let read = peek(stream, &mut seen, LONGEST, proxy_protocol::read).await.ok()?;
    let (header, length) = read.ok()?;
    take_seen(stream, length).ok()?;
    Some(match header.ends {
        Ends::Net { client, .. } => Some(SocketAddr::new(shortest(client.ip()), client.port())),
        _ => None,
    })
}

fn shortest(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// A connection whose key is proven.
struct Entered<'i> {
    /// Where it comes from.
    from: SocketAddr,
    place: Place<'i>,
    secured: Secured,
    /// It joins, and no tunnel has its key.
    joining: Option<Joining<'i>>,
}

/// A place among the strangers, given back when it is dropped.
struct Place<'i> {
    strangers: &'i Mutex<Strangers>,
    client: ClientKey,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(self.strangers).leave(&self.client);
    }
}
