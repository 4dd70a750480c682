//! The dial to a Unix socket.

use std::io;

use rustix::net::sockopt::set_socket_oobinline;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokio::net::UnixStream;

use crate::address::UnixName;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// Connects to a Unix socket; it never waits.
///
/// # Errors
/// The errno of connect(2). EAGAIN means that the accept queue over there is full: the kernel tells nobody when it no
/// longer is (unix(7)).
pub(super) fn dial(name: &UnixName) -> io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
    // Urgent data stays in the stream: out of line, its byte would be lost.
    set_socket_oobinline(&socket, true)?;
    connect(&socket, &sockaddr(name)?)?;
    UnixStream::from_std(socket.into())
}

fn sockaddr(name: &UnixName) -> io::Result<SocketAddrUnix> {
    Ok(match name {
        UnixName::Path(path) => SocketAddrUnix::new(&**path)?,
        UnixName::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
    })
}
