//! The content of a header, whichever version wrote it.

use std::net::SocketAddr;

use super::tlv::Tlvs;

/// The content of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The ends of the announced connection.
    pub ends: Ends,
    /// Further values from the sender.
    pub tlvs: Tlvs,
}

/// The two ends of the connection that a header announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Those of the connection the header came on: the sender connected for itself (LOCAL), does not know the client
    /// (UNKNOWN, UNSPEC), or connected for a datagram socket, whose addresses mean nothing here.
    Own,
    /// Those of a client that the sender connected for and cannot name, as one of a Unix socket. Only a header on a carrier of
    /// a tunnel says so ([`super::read_carried`]): there the connection's own ends are never the client's.
    Unnamed,
    /// A TCP connection, or a flow of datagrams. IPv4-mapped IPv6 addresses (`::ffff:a.b.c.d`) are converted to IPv4, so that a list of
    /// networks covers both.
    Net {
        /// The client's address.
        client: SocketAddr,
        /// The address it connected to.
        destination: SocketAddr,
    },
    /// A connection to a Unix socket: both names as received, 108 bytes each. They do not identify the client.
    Unix(Box<[u8; UNIX_ENDS]>),
}

impl Ends {
    /// A connection to the Unix socket of this name, as it is in `sun_path`: an abstract one begins with a zero. Its
    /// client has no name (unix(7)).
    pub fn at_unix(name: &[u8]) -> Ends {
        let mut names = Box::new([0; UNIX_ENDS]);
        let destination = &mut names[UNIX_ENDS / 2..];
        let length = name.len().min(destination.len());
        destination[..length].copy_from_slice(&name[..length]);
        Ends::Unix(names)
    }
}

/// Bytes of two `sun_path`s.
pub const UNIX_ENDS: usize = 2 * 108;

/// Converts an IPv4-mapped IPv6 address to IPv4.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}
