//! How a connection of a tunnel breaks.

use std::fmt;
use std::io;

use rustls::Error;

use crate::transport::tunnel::frame::Malformed;
use crate::units::shown;

/// The longest description, in characters.
const LONGEST: usize = 200;

/// Why a connection of a tunnel is of no more use.
#[derive(Debug)]
pub enum Broken {
    /// Its other end has closed it: a FIN, or close_notify.
    Closed,
    /// An error of the kernel.
    Io(io::Error),
    /// An error of TLS, or an alert of the other end.
    Tls(String),
    /// The other end broke the rules of frames and messages.
    Protocol(String),
}

impl Broken {
    /// An error of TLS behind the handshake.
    pub(super) fn of_tls(error: &Error) -> Broken {
        Broken::Tls(shown(&error.to_string(), LONGEST))
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

impl From<Malformed> for Broken {
    fn from(fault: Malformed) -> Broken {
        Broken::Protocol(fault.to_string())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Closed => f.write_str("the other end closed the connection"),
            Broken::Io(error) => write!(f, "the connection broke: {error}"),
            Broken::Tls(words) => write!(f, "TLS: {words}"),
            Broken::Protocol(words) => write!(f, "the other end broke the rules of the tunnel: {words}"),
        }
    }
}

impl std::error::Error for Broken {}
