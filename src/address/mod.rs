//! Where Loopgate listens and what it dials, as a user writes it ⇄ as a type.
//!
//! Nothing is resolved here, neither host names nor interface names: `transport` does that at the dial or the bind.

mod interface;
mod listen;
mod part;
mod run;
mod slips;
mod source;
mod spec;
mod target;
mod through;
mod tunnel;
mod unix;

pub use interface::Interface;
pub use listen::{Families, ListenAddress, ListenThere, NetListen};
pub use run::{Numbered, Run};
pub use source::SourceAddress;
pub use spec::Spec;
pub use tunnel::TunnelName;
pub use unix::UnixName;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::units::digits::write_address;

/// What a route carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections, each a byte stream in both directions.
    #[default]
    Tcp,
    /// Datagrams, each passed on as a whole.
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

/// A host as the user wrote it: a literal address, or a name that is looked up when a dial needs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv4 or IPv6 literal.
    Ip(IpAddr),
    /// A link-local IPv6 literal and the interface it is reached through.
    Zoned(Ipv6Addr, Interface),
    /// A name, including `localhost`.
    Name(Box<str>),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Host::Zoned(ip, zone) => write!(f, "[{ip}%{zone}]"),
            Host::Name(name) => name.fmt(f),
        }
    }
}

/// What a route dials, as the user wrote it. Its printed form is its identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetAddress {
    /// A host, and a port from 1 to 65535.
    Net(Host, u16),
    /// A Unix socket.
    Unix(UnixName),
    /// At the other end of a tunnel.
    There(TargetThere),
}

/// A target at the other end of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetThere {
    /// The tunnel.
    pub tunnel: TunnelName,
    /// What is meant there.
    pub to: There,
}

/// What a target at the other end of a tunnel is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum There {
    /// A route of the other end that listens in the tunnel, by its name.
    Service(Arc<str>),
    /// An address, dialled from there.
    Address(Box<TargetAddress>),
}

impl There {
    /// A service of this name: that of a route, 1 to 64 bytes of letters, digits, `-`, `_` or `.`. Digits alone are a name
    /// here, where nothing else is meant; `None` for any other text.
    pub fn service(name: &str) -> Option<There> {
        tunnel::is_route_name(name).then(|| There::Service(name.into()))
    }
}

impl TargetAddress {
    /// Its host and port, where it is of the network.
    pub fn net(&self) -> Option<(&Host, u16)> {
        match self {
            TargetAddress::Net(host, port) => Some((host, *port)),
            TargetAddress::Unix(_) | TargetAddress::There(_) => None,
        }
    }

    /// The Unix socket, where it is one.
    pub fn unix(&self) -> Option<&UnixName> {
        match self {
            TargetAddress::Net(..) | TargetAddress::There(_) => None,
            TargetAddress::Unix(name) => Some(name),
        }
    }

    /// The place at the other end of a tunnel, where it is one.
    pub fn there(&self) -> Option<&TargetThere> {
        match self {
            TargetAddress::There(there) => Some(there),
            TargetAddress::Net(..) | TargetAddress::Unix(_) => None,
        }
    }

    /// The one place that it means without a look-up; `None` for a name, for an interface by its name, and for what is at the
    /// other end of a tunnel.
    pub fn place(&self) -> Option<Address> {
        match self {
            TargetAddress::Net(Host::Ip(ip), port) => Some(SocketAddr::new(*ip, *port).into()),
            TargetAddress::Net(Host::Zoned(..) | Host::Name(_), _) | TargetAddress::There(_) => None,
            TargetAddress::Unix(name) => Some(Address::Unix(name.clone())),
        }
    }
}

impl Host {
    /// The address, where it is a literal.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Ip(ip) => Some(*ip),
            Host::Zoned(ip, _) => Some((*ip).into()),
            Host::Name(_) => None,
        }
    }
}

impl Numbered for TargetAddress {
    fn nth(&self, n: u16) -> Self {
        match self {
            TargetAddress::Net(host, port) => TargetAddress::Net(host.clone(), port + n),
            TargetAddress::Unix(_) | TargetAddress::There(_) => self.clone(),
        }
    }

    fn port(&self) -> Option<u16> {
        match self {
            TargetAddress::Net(_, port) => Some(*port),
            TargetAddress::Unix(_) | TargetAddress::There(_) => None,
        }
    }
}

impl From<SocketAddr> for TargetAddress {
    fn from(address: SocketAddr) -> Self {
        TargetAddress::Net(Host::Ip(address.ip()), address.port())
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetAddress::Net(host, port) => write!(f, "{host}:{port}"),
            TargetAddress::Unix(name) => name.fmt(f),
            TargetAddress::There(there) => there.fmt(f),
        }
    }
}

impl fmt::Display for TargetThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", tunnel::PREFIX, self.tunnel, self.to)
    }
}

impl fmt::Display for There {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            There::Service(name) => f.write_str(name),
            There::Address(address) => address.fmt(f),
        }
    }
}

/// One resolved address: where a dial goes, or where a listener is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IP address and a port.
    Net(SocketAddr),
    /// A Unix socket.
    Unix(UnixName),
    /// Somewhere that the kernel does not know, by the name of what reaches it.
    Named(Arc<str>),
}

impl Address {
    /// The IP address and port, if it is one.
    pub fn net(&self) -> Option<SocketAddr> {
        match self {
            Address::Net(address) => Some(*address),
            Address::Unix(_) | Address::Named(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Net(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // With a width or an alignment, as in a table.
            Address::Net(address) if f.width().is_some() => address.fmt(f),
            _ => self.write_to(f),
        }
    }
}

impl Address {
    /// Writes the text of its `Display`, at a lower cost for a network address.
    ///
    /// # Errors
    /// As of the writer.
    pub(crate) fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Address::Net(address) => write_address(out, address),
            Address::Unix(name) => write!(out, "{name}"),
            Address::Named(name) => write!(out, "{}", name.escape_debug()),
        }
    }
}

/// Whether a name is loopback, whatever a resolver answers: the name and every name under it (RFC 6761, section 6.3).
pub fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}
