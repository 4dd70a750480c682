//! Dials with a time-out and hands the connection to `talk`.

use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, connect, getsockname, sockopt,
};

use super::connection::{Connection, Dial, ServerSide, Silent};
use super::patience::{Patience, wait};
use super::request::Request;
use super::talk::talk;
use crate::sys::sock_diag::{self, TcpState};
use crate::sys::{self};

/// Traces one TCP connection.
pub(super) fn tcp(
    address: SocketAddr,
    request: &Request,
    patience: Patience,
    silent: &mut Silent<'_>,
) -> Connection {
    let begun = Instant::now();
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (socket, dial) = match dial(family, begun, patience, |socket| connect(socket, &address)) {
        Ok(connected) => connected,
        Err(errno) => return Connection::new(Dial::Failed(errno.raw_os_error(), begun.elapsed())),
    };
    let mut connection = Connection::new(dial);
    connection.local = getsockname(&socket).ok().and_then(|ours| ours.try_into().ok());
    if connection.connected() {
        let local = connection.local;
        talk(&mut connection, &socket, begun, request, patience, || server_side(address, local?));
    }
    if let Ok(info) = sys::tcp_info(&socket) {
        connection.round_trip_us = info.round_trip_us;
        connection.retransmits = info.retransmits;
    }
    finish(connection, &socket, begun, silent)
}

/// Traces one connection to a Unix socket; a path that begins with `@` is an abstract name.
pub(super) fn unix(
    path: &Path,
    request: &Request,
    patience: Patience,
    silent: &mut Silent<'_>,
) -> Connection {
    let begun = Instant::now();
    let address = match path.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name),
        None => SocketAddrUnix::new(path),
    };
    let dialled = address
        .and_then(|address| dial(AddressFamily::UNIX, begun, patience, |socket| connect(socket, &address)));
    let (socket, dial) = match dialled {
        Ok(connected) => connected,
        Err(errno) => return Connection::new(Dial::Failed(errno.raw_os_error(), begun.elapsed())),
    };
    let mut connection = Connection::new(dial);
    if connection.connected() {
        talk(&mut connection, &socket, begun, request, patience, || unix_server_side(&socket));
    }
    finish(connection, &socket, begun, silent)
}

/// Completes the trace before the socket is closed: lets `silent` examine an unanswered connection while it is open,
/// and waits for a late answer.
fn finish(
    mut connection: Connection,
    socket: &OwnedFd,
    begun: Instant,
    silent: &mut Silent<'_>,
) -> Connection {
    connection.watched = begun.elapsed();
    if connection.is_silent() {
        let more = silent(&connection);
        let came = !more.is_zero() && wait(socket, PollFlags::IN, more).unwrap_or(false);
        let bytes = came.then(|| net::recv(socket, &mut [0; 1][..], RecvFlags::PEEK));
        if matches!(bytes, Some(Ok((1.., _)))) {
            connection.late = Some(begun.elapsed());
        }
    }
    connection
}

/// Dials; returns the socket and the result, or the errno of a failed dial.
fn dial(
    family: AddressFamily,
    begun: Instant,
    patience: Patience,
    mut connect: impl FnMut(&OwnedFd) -> rustix::io::Result<()>,
) -> rustix::io::Result<(OwnedFd, Dial)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket) {
        Ok(()) => return Ok((socket, Dial::Connected(begun.elapsed()))),
        Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(errno),
    }
    let left = patience.whole.saturating_sub(begun.elapsed());
    if !wait(&socket, PollFlags::OUT, left)? {
        return Ok((socket, Dial::TimedOut(begun.elapsed())));
    }
    sockopt::socket_error(&socket)??;
    Ok((socket, Dial::Connected(begun.elapsed())))
}

/// The service's end of our connection, from the kernel's tables.
fn server_side(server: SocketAddr, ours: SocketAddr) -> Option<ServerSide> {
    let row = sock_diag::connection(server, ours).ok()??;
    let half_open = matches!(row.state, TcpState::SynReceived | TcpState::NewSynReceived);
    // A socket in a closing state has no inode either, but it does not wait to be accepted.
    let alive = matches!(row.state, TcpState::Established | TcpState::CloseWait) || half_open;
    alive.then_some(ServerSide { inode: row.inode, unread: row.receive_queue, half_open })
}

/// The service's end of a connection to a Unix socket: the kernel reports its inode, and how much of the sent data is
/// unread.
fn unix_server_side(ours: &OwnedFd) -> Option<ServerSide> {
    let inode = u32::try_from(rustix::fs::fstat(ours).ok()?.st_ino).ok()?;
    let peer = sock_diag::unix::of_inode(inode).ok()?.peer?;
    Some(ServerSide { inode: peer, unread: unread(ours).unwrap_or(0), half_open: false })
}

/// Bytes that the other end has not read, including the kernel's overhead: unix(7), SIOCOUTQ.
fn unread(ours: &OwnedFd) -> io::Result<u32> {
    sys::unsent(ours)
}
