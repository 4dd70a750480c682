//! TCP connections of this machine, asked for by their addresses, whoever holds them.

use std::io;
use std::net::SocketAddr;

use crate::sys::sock_diag::connection;

pub use crate::sys::sock_diag::connection::{Connection, Info, Timer};

/// The end at `local` of the connection whose other end is `remote`; `None` where there is none here. With the addresses
/// exchanged it is the other end, where that is on this machine too.
///
/// # Errors
/// Where the kernel may not be asked, or no descriptor is left.
pub fn between(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Connection>> {
    connection::connection(local, remote)
}

/// The connections to local port `port` whose client has closed and whose holder has not (CLOSE_WAIT).
///
/// # Errors
/// As [`between`].
pub fn left_open(port: u16) -> io::Result<Vec<Connection>> {
    connection::left_open(port)
}
