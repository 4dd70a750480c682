//! What a header says, whatever version wrote it.

use std::net::SocketAddr;

use super::tlv::Tlvs;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose connection it is.
    pub ends: Ends,
    /// What else the sender says of it.
    pub tlvs: Tlvs,
}

/// The two ends of the connection that a header announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Those of the very connection it came on: the sender connected for itself (LOCAL), does not know for whom (UNKNOWN,
    /// UNSPEC), or connected for a datagram socket, whose addresses mean nothing here.
    Own,
    /// A TCP connection. IPv4 addresses that came as IPv6 ones (`::ffff:a.b.c.d`) are what they carry, so that a list of
    /// networks holds for both.
    Net {
        /// Who connected.
        client: SocketAddr,
        /// What it connected to.
        destination: SocketAddr,
    },
    /// A connection to a Unix socket: both names as they came, 108 bytes each. They say nothing of who the client is.
    Unix(Box<[u8; UNIX_ENDS]>),
}

/// Bytes of two `sun_path`s.
pub const UNIX_ENDS: usize = 2 * 108;

/// An IPv4 address in an IPv6 one is what it carries.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}
