//! Who connected, as reported by the kernel.

use std::fmt;
use std::net::SocketAddr;

use serde::{Serialize, Serializer};

use crate::units::digits::write_address;

/// The client of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// The address it connected from.
    Net(SocketAddr),
    /// The process that connected to a Unix socket, at the time it did (unix(7), SO_PEERCRED).
    Unix {
        /// Its process id; 0 if it has none in our PID namespace.
        pid: u32,
        /// Its effective user.
        uid: u32,
    },
    /// A client without an address, behind the other end of a tunnel; or one whose address that end is not trusted with.
    Unknown,
}

impl From<SocketAddr> for Client {
    fn from(address: SocketAddr) -> Self {
        Client::Net(address)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // With a width or an alignment, as in a table.
            Client::Net(address) if f.width().is_some() => address.fmt(f),
            _ => self.write_to(f),
        }
    }
}

impl Client {
    /// Writes the text as in the record.
    ///
    /// # Errors
    /// As of the writer.
    pub(crate) fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Client::Net(address) => write_address(out, address),
            Client::Unix { pid, uid } => write!(out, "unix:pid={pid},uid={uid}"),
            Client::Unknown => out.write_str("unknown"),
        }
    }
}

/// The text as in the record.
impl Serialize for Client {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
