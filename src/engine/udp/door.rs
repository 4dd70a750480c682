//! Where the clients of a listener come from.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Where clients come from.
pub(super) enum Door {
    /// A bound socket, and its address.
    Socket(Arc<OwnedFd>, SocketAddr),
    /// The other ends of tunnels; so many of their clients are known.
    Tunnels(usize),
}

impl Door {
    /// The socket, if it has one.
    pub(super) fn socket(&self) -> Option<&Arc<OwnedFd>> {
        match self {
            Door::Socket(socket, _) => Some(socket),
            Door::Tunnels(_) => None,
        }
    }
}

/// The address, or that there is none.
impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Door::Socket(_, address) => address.fmt(f),
            Door::Tunnels(_) => f.write_str("its tunnels"),
        }
    }
}
