//! Where something listens and where it is dialled, as a user writes it ⇄ as a type.
//!
//! No name is resolved here: that is `transport`'s, at the time of the dial. Port ranges, Unix sockets, UDP and IPv6
//! zones are not here yet and are answered as such.

mod listen;
mod part;
mod source;
mod spec;
mod target;

pub use listen::ListenAddress;
pub use source::SourceAddress;
pub use spec::Spec;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A host as the user wrote it: a literal address, or a name that is looked up at each dial that needs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv4 or IPv6 literal.
    Ip(IpAddr),
    /// A name, `localhost` among them.
    Name(Box<str>),
}

/// What a route dials: a host and a port from 1 to 65535. It prints as users write it, and that is its identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetAddress {
    /// The host to dial.
    pub host: Host,
    /// The port to dial, never 0.
    pub port: u16,
}

impl From<SocketAddr> for TargetAddress {
    fn from(address: SocketAddr) -> Self {
        TargetAddress { host: Host::Ip(address.ip()), port: address.port() }
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}
