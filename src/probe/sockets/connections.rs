//! TCP connections of this machine, found by their addresses, whichever process holds them.

use std::io;
use std::net::SocketAddr;

use crate::sys::sock_diag::connection;

pub use crate::sys::sock_diag::connection::{Connection, Info, Timer};

/// The end at `local` of the connection whose other end is `remote`; `None` if there is none here. With the addresses
/// exchanged it is the other end, if that is on this machine too.
///
/// # Errors
/// This process may not query the kernel, or has no descriptor left.
pub fn between(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Connection>> {
    connection::connection(local, remote)
}

/// The connections to local port `port` that the client has closed and the server process has not (CLOSE_WAIT).
///
/// # Errors
/// As for [`between`].
pub fn left_open(port: u16) -> io::Result<Vec<Connection>> {
    connection::left_open(port)
}
