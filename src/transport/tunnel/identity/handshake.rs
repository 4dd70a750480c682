//! The handshake of a tunnel's connection over its socket.
//!
//! There is no deadline here: callers set one. What the other end can make us keep is bounded as in
//! [`crate::transport::tls`].

use std::fmt;
use std::net::Ipv4Addr;

use rustls::Error;
use rustls::pki_types::ServerName;

use super::config::{ANY_VERSION, JOIN, Verifier};
use super::{Accepting, Dialling, HandshakeFault, PublicKey};
use crate::client_hello::{Reader, Seen};
use crate::transport::Stream;
use crate::transport::tls::{
    CloseNotify, Failed, Hello, Sealed, Unsecured, hello, shake_as_client, shake_as_server,
};
use crate::transport::try_io::{self, Moved};
use crate::units::shown;

/// A connection whose two ends have proven their keys to each other.
pub struct Secured {
    /// Its records.
    pub records: Box<Sealed>,
    /// The key that the other end has proven.
    pub key: PublicKey,
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secured({})", self.key)
    }
}

/// The first byte of a record of a handshake, and of an alert (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;

/// Bytes that [`last_words`] reads and drops before it gives up: what a client may send behind its handshake at once.
const MAX_DROPPED: usize = 64 << 10;

/// Runs the handshake of the dialling end with `host`, which is sent as the name that is asked for (SNI, RFC 6066) unless it
/// is an address. Not cancel safe: given up, the connection is of no more use.
///
/// Success means that the other end has proven one of the keys expected there. Whether it knows ours shows with the first
/// read: see [`HandshakeFault::of_dialled`].
///
/// # Errors
/// Why it failed.
pub async fn dial_handshake(socket: &Stream, tls: &Dialling, host: &str) -> Result<Secured, HandshakeFault> {
    let (config, verifier) = tls.config().map_err(|error| HandshakeFault::of_dialled(&error))?;
    // An address is not sent, so this one stands for what is neither a name nor an address.
    let name =
        ServerName::try_from(host.to_owned()).unwrap_or(ServerName::IpAddress(Ipv4Addr::LOCALHOST.into()));
    let shaken = shake_as_client(socket, config, name, CloseNotify::Optional).await;
    let records = shaken.map_err(|failed| {
        told(failed, |error| match (is_refused(error), verifier.proven()) {
            (true, Some(key)) => HandshakeFault::WrongKey(key),
            _ => HandshakeFault::of_dialled(error),
        })
    })?;
    secured(records, &verifier, tls.protocols)
}

/// What a client has said first: a whole hello, or enough to show that it is none.
pub struct Heard(Hello);

/// Waits for what a client says first. Nothing is computed for it yet, so that callers may bound how many handshakes they
/// answer. Cancel safe in the sense that nothing but the connection is lost.
///
/// # Errors
/// The client closed first, or the socket broke.
pub async fn hear(socket: &Stream) -> Result<Heard, HandshakeFault> {
    hello(socket).await.map(Heard).map_err(|unsecured| match unsecured {
        Unsecured::Gone { said } => HandshakeFault::Gone { said },
        Unsecured::Broken(error) => HandshakeFault::Io(error),
        Unsecured::NoTls(words) => HandshakeFault::Tls(words.into()),
        Unsecured::Untrusted(words) | Unsecured::Refused(words) => HandshakeFault::Tls(words),
    })
}

/// Runs the handshake of the accepting end: [`hear`], then [`Heard::answer`]. Not cancel safe: given up, the connection is of
/// no more use.
///
/// # Errors
/// Why it failed. The other end is still to read the alert then: see [`last_words`].
pub async fn accept_handshake(socket: &Stream, tls: &Accepting) -> Result<Secured, HandshakeFault> {
    hear(socket).await?.answer(socket, tls).await
}

impl Heard {
    /// Whether the client wants to join: it offers the protocol for that.
    pub fn wants_to_join(&self) -> bool {
        offers(self.0.bytes(), |name| name == JOIN)
    }

    /// Computes the answer, which takes some hundred microseconds, and runs the rest of the handshake. Not cancel safe.
    ///
    /// # Errors
    /// As of [`accept_handshake`].
    pub async fn answer(self, socket: &Stream, tls: &Accepting) -> Result<Secured, HandshakeFault> {
        let speaks_another = offers(self.0.bytes(), |name| name.starts_with(ANY_VERSION));
        let (config, verifier) = tls.config().map_err(|error| HandshakeFault::of_accepted(&error))?;
        let shaken = shake_as_server(socket, config, self.0, CloseNotify::Optional).await;
        let records = shaken.map_err(|failed| {
            told(failed, |error| match (error, verifier.proven()) {
                (Error::NoApplicationProtocol, _) if speaks_another => HandshakeFault::Version,
                (error, Some(key)) if is_refused(error) => HandshakeFault::UnknownHere(key),
                _ => HandshakeFault::of_accepted(error),
            })
        })?;
        secured(records, &verifier, tls.protocols)
    }
}

/// Ends a refused connection so that the other end reads why: a close with bytes left unread is a reset, which throws away an
/// alert that is not sent or not acknowledged yet (tcp_close in net/ipv4/tcp.c). Returns once the other end has closed, or has sent too much; callers
/// set a deadline. Cancel safe.
pub async fn last_words(socket: &Stream) {
    socket.shut_write();
    let mut dropped = 0;
    while dropped < MAX_DROPPED {
        if std::future::poll_fn(|cx| socket.poll_read_ready(cx)).await.is_err() {
            return;
        }
        let mut room = [0; 4096];
        match try_io::read(socket, &mut room) {
            Ok(Moved::Bytes(0)) | Err(_) => return,
            Ok(Moved::Bytes(read)) => dropped += read,
            Ok(Moved::NotReady) => {}
        }
    }
}

/// Both ends must have agreed on the protocol: rustls goes on where the other end says nothing of one.
fn secured(records: Sealed, verifier: &Verifier, protocols: &[&[u8]]) -> Result<Secured, HandshakeFault> {
    let spoken = records.agreed().alpn;
    let is_ours = |alpn: &str| protocols.contains(&alpn.as_bytes());
    match (verifier.proven(), spoken.as_deref().is_some_and(is_ours)) {
        (Some(key), true) => Ok(Secured { records: Box::new(records), key }),
        _ => Err(HandshakeFault::NotLoopgate),
    }
}

/// Whether our own verifier has refused a key that was proven.
fn is_refused(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
}

fn told(failed: Failed, of_tls: impl FnOnce(&Error) -> HandshakeFault) -> HandshakeFault {
    match failed {
        Failed::Gone(said) => HandshakeFault::Gone { said },
        Failed::Broken(error) => HandshakeFault::Io(error),
        Failed::Tls(_, first) if first.first().is_some_and(|byte| !matches!(*byte, HANDSHAKE | ALERT)) => {
            HandshakeFault::NotTls(shown(&String::from_utf8_lossy(&first), first.len()))
        }
        Failed::Tls(error, _) => of_tls(&error),
    }
}

/// Whether the hello offers a protocol that `fits`.
fn offers(hello: &[u8], fits: impl FnMut(&[u8]) -> bool) -> bool {
    match Reader::default().read(hello) {
        Seen::Hello(hello) => hello.protocols().any(fits),
        _ => false,
    }
}
