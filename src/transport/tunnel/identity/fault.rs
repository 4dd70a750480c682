//! Why a handshake between two ends of a tunnel failed, worded for the person who has to fix it.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::PublicKey;
use crate::units::shown;

/// Why a handshake failed. In brackets: the end that learns it, where it is one of them.
#[derive(Debug)]
pub enum HandshakeFault {
    /// (accepting) The other end has proven this key, and it is not known here.
    UnknownHere(PublicKey),
    /// (dialling) The other end does not know our key. It says so only after our own handshake is done: see
    /// [`HandshakeFault::of_dialled`].
    UnknownThere,
    /// (dialling) The other end has proven this key, which is not the one expected there: it was set up anew, or somebody
    /// is between.
    WrongKey(PublicKey),
    /// (accepting) The other end expects another key than ours.
    WrongKeyThere,
    /// (accepting) The other end shows no key.
    NoKey,
    /// The other end speaks TLS, but is no Loopgate: a web server, a browser, or a proxy that reads TLS.
    NotLoopgate,
    /// The other end does not speak TLS: its first bytes, escaped.
    NotTls(String),
    /// No version of the protocol in common. The dialling end may also have met a server of something else that knows
    /// ALPN (RFC 7301): only a second look with other protocols tells them apart.
    Version,
    /// The other end closed; the bytes it had sent, or more.
    Gone {
        /// None, or up to some that show what it is.
        said: usize,
    },
    /// (accepting) As many join as may, or they come too fast: nothing was answered.
    Busy,
    /// The socket broke.
    Io(io::Error),
    /// Any other fault of TLS, in words.
    Tls(String),
}

/// The most characters that are shown of what a library says.
const MAX_WORDS: usize = 200;

impl HandshakeFault {
    /// The meaning of an error that ends a dialled connection at its first read, before anything has come from the other
    /// end. In TLS 1.3 the dialling end has finished by the time its key is looked up (RFC 8446, section 2: the client's
    /// Certificate comes with its Finished), so an unknown key is refused by an alert to that read.
    ///
    /// The caller has the error from [`Sealed::broken`](crate::transport::tls::Sealed::broken) after an `open` that failed.
    /// Whoever also writes must read on although a write has failed: the accepting end closes behind its alert, and the
    /// kernel tells of that (ECONNRESET, EPIPE) before the alert was read.
    pub fn of_dialled(error: &Error) -> HandshakeFault {
        match error {
            Error::AlertReceived(AlertDescription::AccessDenied) => HandshakeFault::UnknownThere,
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) => HandshakeFault::Version,
            Error::AlertReceived(
                AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::InsufficientSecurity
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRequired
                | AlertDescription::UnrecognisedName,
            )
            | Error::PeerIncompatible(_)
            | Error::InvalidCertificate(CertificateError::BadEncoding) => HandshakeFault::NotLoopgate,
            other => HandshakeFault::Tls(words(other)),
        }
    }

    /// The same for an accepted connection.
    pub(super) fn of_accepted(error: &Error) -> HandshakeFault {
        match error {
            Error::AlertReceived(AlertDescription::AccessDenied) => HandshakeFault::WrongKeyThere,
            Error::NoCertificatesPresented => HandshakeFault::NoKey,
            Error::NoApplicationProtocol
            | Error::PeerIncompatible(_)
            | Error::InvalidCertificate(CertificateError::BadEncoding) => HandshakeFault::NotLoopgate,
            other => HandshakeFault::Tls(words(other)),
        }
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => format!("it ended the handshake with the alert {alert:?}"),
        Error::DecryptError => {
            "what it sent does not decrypt: it was changed on the way, or is damaged".into()
        }
        other => shown(&other.to_string(), MAX_WORDS),
    }
}

impl fmt::Display for HandshakeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeFault::UnknownHere(key) => write!(f, "its key {key} is not known here"),
            HandshakeFault::UnknownThere => f.write_str("it does not know this machine's key"),
            HandshakeFault::WrongKey(key) => {
                write!(
                    f,
                    "it has another key than `public_key` here, {key}: it was set up anew, or somebody is between. Compare \
                     with `loopgate tunnel key --public` there"
                )
            }
            HandshakeFault::WrongKeyThere => f.write_str("it expects another key than this machine has"),
            HandshakeFault::NoKey => f.write_str("it shows no key"),
            HandshakeFault::NotLoopgate => {
                f.write_str("it speaks TLS, and is no Loopgate: see the port in `connect`")
            }
            HandshakeFault::NotTls(first) => {
                write!(f, "it is no Loopgate, as it began with \"{first}\": see the port in `connect`")
            }
            HandshakeFault::Version => f.write_str(
                "it speaks no version of the tunnel protocol that is spoken here, or another protocol",
            ),
            HandshakeFault::Gone { said: 0 } => f.write_str("it closed the connection without a word"),
            HandshakeFault::Gone { .. } => {
                f.write_str("it closed the connection in the middle of the handshake")
            }
            HandshakeFault::Busy => f.write_str("too many want to join"),
            HandshakeFault::Io(error) => write!(f, "the connection broke: {error}"),
            HandshakeFault::Tls(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for HandshakeFault {}
