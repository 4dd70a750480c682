//! What a QUIC connection that comes is looked up in: who may come, how many at a time, and which control a token names.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quinn::{RecvStream, SendStream};
use tokio::sync::{mpsc, watch};

use super::tokens::{Seat, Tokens};
use crate::limits::{Allowance, ClientKey, Pace};
use crate::transport::tunnel::identity::{Accepting, PublicKey};
use crate::transport::tunnel::message::{Datagrams, Token};
use crate::tunnel::accept::strangers::{Full, Strangers};
use crate::units::{Frequency, Unit};

/// The addresses of others that are asked to prove themselves each second. Beyond it they are not answered.
const RETRIES: Allowance = Allowance { frequency: Frequency { count: 1000, per: Unit::Second }, burst: 100 };

/// The connections with a good token that may wait for their control.
const MAX_ENTERED: usize = 2;

/// A connection whose token names a control, and its stream for news.
pub(crate) struct Entered {
    pub(super) connection: quinn::Connection,
    pub(super) send: SendStream,
    pub(super) recv: RecvStream,
}

/// The accepting end of QUIC.
pub(crate) struct Desk {
    /// Who may come; nobody while there is no key of this machine.
    tls: watch::Sender<Option<Accepting>>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    tokens: Tokens<mpsc::Sender<Entered>>,
    strangers: Strangers,
    /// Those of strangers, and those of addresses where a known key was proven.
    retries: [Pace; 2],
    /// Where this end is reached by QUIC.
    listens: Vec<SocketAddr>,
}

impl Desk {
    pub(super) fn new() -> Desk {
        Desk { tls: watch::Sender::new(None), inner: Mutex::default() }
    }

    /// Who may come from now on.
    pub(crate) fn follow(&self, tls: Option<Accepting>) {
        self.tls.send_replace(tls);
    }

    /// Who may come, now and after each change.
    pub(super) fn tls(&self) -> watch::Receiver<Option<Accepting>> {
        self.tls.subscribe()
    }

    /// Whether an address may be asked now to prove that it is its sender's. Those of known machines are asked apart, so that
    /// nobody else's flood takes their turn.
    pub(super) fn may_retry(&self, from: IpAddr, now: Instant) -> bool {
        let mut inner = self.inner();
        let is_known = inner.strangers.is_proven(&ClientKey::from(from), now);
        let retries = &mut inner.retries[usize::from(is_known)];
        let may = retries.admits(now, RETRIES);
        if may {
            retries.take(now, RETRIES);
        }
        may
    }

    /// A place for a connection of this address, which is proven to be its own, until it has shown a token.
    pub(super) fn place(self: &Arc<Self>, from: IpAddr, now: Instant) -> Result<Place, Full> {
        let client = ClientKey::from(from);
        self.inner().strangers.enter(client.clone(), now)?;
        Ok(Place { desk: self.clone(), client })
    }

    /// The control that a token names, if this is its key.
    pub(super) fn take(&self, token: &Token, key: &PublicKey, now: Instant) -> Option<mpsc::Sender<Entered>> {
        self.inner().tokens.take(token, key, now)
    }

    /// A place for the connections of a control of this key, whose other end comes from this address; and those connections.
    pub(crate) fn seat(self: &Arc<Self>, key: PublicKey, from: IpAddr) -> (Seated, mpsc::Receiver<Entered>) {
        let (to, inbox) = mpsc::channel(MAX_ENTERED);
        let mut inner = self.inner();
        inner.strangers.prove(ClientKey::from(from), Instant::now());
        let seat = inner.tokens.seat();
        drop(inner);
        (Seated { desk: self.clone(), seat, key, to }, inbox)
    }

    /// How many have a place now.
    #[cfg(test)]
    pub(super) fn strangers_here(&self) -> usize {
        self.inner().strangers.places()
    }

    /// The line about those that were refused since the last one, if it is time for one.
    pub(super) fn told(&self) -> Option<String> {
        self.inner().strangers.told(Instant::now())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This end is reached there by QUIC.
    pub(super) fn opens(&self, at: SocketAddr) {
        self.inner().listens.push(at);
    }

    /// It no longer is.
    pub(super) fn closes(&self, at: SocketAddr) {
        self.inner().listens.retain(|it| *it != at);
    }
}

/// A place among those that have not shown a token, given back when it is dropped.
pub(super) struct Place {
    desk: Arc<Desk>,
    client: ClientKey,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.desk.inner().strangers.leave(&self.client);
    }
}

/// The place of a control, with whose end its tokens die.
pub(crate) struct Seated {
    desk: Arc<Desk>,
    seat: Seat,
    key: PublicKey,
    to: mpsc::Sender<Entered>,
}

impl Seated {
    /// Where QUIC is reached, by whoever has reached this port of ours by TCP, and a fresh token, which takes the place of the one
    /// before; `None` while there is no QUIC here.
    pub(crate) fn offer(&self, port: u16) -> Option<Datagrams> {
        let mut inner = self.desk.inner();
        let listens = &inner.listens;
        let same = listens.iter().find(|at| at.port() == port);
        let port = same.or(listens.first())?.port();
        let token = Token::random()?;
        inner.tokens.give(self.seat, self.key, token, self.to.clone(), Instant::now());
        Some(Datagrams { port, token })
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.desk.inner().tokens.forget(self.seat);
    }
}
