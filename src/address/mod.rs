//! Where something listens and where it is dialled, as a user writes it ⇄ as a type.
//!
//! No name is resolved here: that is `transport`'s, at the time of the dial. Port ranges, Unix sockets and IPv6
//! zones are not here yet and are answered as such.

mod listen;
mod part;
mod source;
mod spec;
mod target;
mod unix;

pub use listen::ListenAddress;
pub use source::SourceAddress;
pub use spec::Spec;
pub use unix::UnixName;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

/// What a route carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections, each a stream of bytes both ways.
    #[default]
    Tcp,
    /// Datagrams, each whole and alone.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// A host as the user wrote it: a literal address, or a name that is looked up at each dial that needs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv4 or IPv6 literal.
    Ip(IpAddr),
    /// A name, `localhost` among them.
    Name(Box<str>),
}

/// What a route dials, as the user wrote it. It prints as users write it, and that is its identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetAddress {
    /// A host, and a port from 1 to 65535.
    Net(Host, u16),
    /// A Unix socket.
    Unix(UnixName),
}

impl From<SocketAddr> for TargetAddress {
    fn from(address: SocketAddr) -> Self {
        TargetAddress::Net(Host::Ip(address.ip()), address.port())
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetAddress::Net(Host::Ip(ip), port) => SocketAddr::new(*ip, *port).fmt(f),
            TargetAddress::Net(Host::Name(name), port) => write!(f, "{name}:{port}"),
            TargetAddress::Unix(name) => name.fmt(f),
        }
    }
}

/// One place the kernel knows, nothing left to look up: what a dial goes to, where a listener really is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IP address and a port.
    Net(SocketAddr),
    /// A Unix socket.
    Unix(UnixName),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Net(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Net(address) => address.fmt(f),
            Address::Unix(name) => name.fmt(f),
        }
    }
}
