//! Reads the kernel's socket tables over NETLINK_SOCK_DIAG, the interface that `ss` uses (sock_diag(7)).
//!
//! It changes nothing, needs no privilege and finds no process: `probe/process/holders.rs` finds a socket's holders. It
//! needs no `unsafe` either, but it parses kernel layouts and so lives here. Offsets follow
//! include/uapi/linux/inet_diag.h. Each request opens one descriptor and closes it.
//!
//! It is written by hand: `netstat2` needs bindgen and drops the kernel's errors, and `listeners` has named a wrong
//! process. Here the number of rows is bounded, and a truncated row is an error.

pub(crate) mod buffer;
pub(crate) mod connection;
mod question;
mod row;
pub(crate) mod unix;

use std::io;
use std::net::SocketAddr;

use question::{
    ALL_STATES, ANY, INET_DIAG_SKMEMINFO, LOOPBACK_INDEX, Protocol, Question, as_dialled, canonical,
};
pub use row::{Socket, TcpState};

/// The sockets of a dump.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dump {
    /// The sockets, IPv4 first.
    pub(crate) sockets: Vec<Socket>,
    /// Whether there were more than [`MAX_SOCKETS`].
    pub(crate) truncated: bool,
}

/// The most sockets kept. A port can have tens of thousands of connections; a diagnosis is as good with this many.
const MAX_SOCKETS: usize = 4096;

/// The bit of TCP_LISTEN.
const LISTENING: u32 = 1 << 10;
/// The bits of TCP_SYN_RECV and TCP_NEW_SYN_RECV: from a SYN to the place in a listener's queue.
const HANDSHAKE: u32 = 1 << 3 | 1 << 12;

/// The listener that a connection from this machine to `address` would reach, without connecting. The kernel does the
/// look-up, with wildcards, dual stack, devices and SO_REUSEPORT.
pub(crate) fn listener(address: SocketAddr) -> io::Result<Option<Socket>> {
    let address = as_dialled(address);
    // No live connection has a peer with port 1, so the answer is the listener (inet_diag_find_one_icsk).
    let peer = SocketAddr::new(address.ip(), 1);
    Ok(one(address, peer)?.filter(|found| found.state == TcpState::Listen))
}

/// Whether a connection to `address` would reach a listener.
pub(crate) fn listens(address: SocketAddr) -> io::Result<bool> {
    Ok(listener(address)?.is_some())
}

/// The socket at `local` of a connection whose other end is `remote`. With a client's two addresses exchanged it is the
/// server's end, which no process holds (inode 0) until it is accepted.
pub(crate) fn connection(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
    let found = one(canonical(local), canonical(remote))?;
    Ok(found.filter(|found| found.state != TcpState::Listen))
}

/// The UDP socket that a datagram from this machine to `address` would reach.
pub(crate) fn receiver(address: SocketAddr) -> io::Result<Option<Socket>> {
    buffer::question(address, 0).one(row::read_socket)
}

fn one(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
    Question { interface: LOOPBACK_INDEX, ..tcp(ALL_STATES, local, remote) }.one(row::read_socket)
}

fn tcp(states: u32, local: SocketAddr, remote: SocketAddr) -> Question {
    Question { protocol: Protocol::Tcp, attribute: 0, states, local, remote, interface: 0 }
}

/// Every TCP socket whose local port is `port`, in any state, of both families.
pub(crate) fn on_port(port: u16) -> io::Result<Dump> {
    dump(ALL_STATES, port, 0)
}

/// Every TCP listener on `port`, of both families; fast, because the kernel does not walk the connections.
pub(crate) fn listeners_on_port(port: u16) -> io::Result<Dump> {
    dump(LISTENING, port, 0)
}

/// Every TCP connection and attempt whose other end has port `port`.
pub(crate) fn towards_port(port: u16) -> io::Result<Dump> {
    dump(ALL_STATES, 0, port)
}

/// Every TCP listener.
pub(crate) fn listeners() -> io::Result<Dump> {
    dump(LISTENING, 0, 0)
}

/// Every handshake that a client has begun and not finished, and every connection that is about to be queued.
pub(crate) fn handshakes() -> io::Result<Dump> {
    dump(HANDSHAKE, 0, 0)
}

/// Every established TCP connection, and those whose other end has closed.
pub(crate) fn connections() -> io::Result<Dump> {
    dump(1 << 1 | 1 << 8, 0, 0)
}

/// Every UDP socket whose local port is `port`, with the number of datagrams it has dropped.
pub(crate) fn udp_on_port(port: u16) -> io::Result<Vec<(Socket, Option<u32>)>> {
    let mut found = Vec::new();
    for any in ANY {
        let (local, remote) = (SocketAddr::new(any, port), SocketAddr::new(any, 0));
        let all = tcp(ALL_STATES, local, remote);
        let question = Question { protocol: Protocol::Udp, attribute: INET_DIAG_SKMEMINFO, ..all };
        for message in question.all()?.messages.iter().take(MAX_SOCKETS) {
            found.extend(row::read_socket(&message.body)?.map(|socket| (socket, row::drops(&message.body))));
        }
    }
    Ok(found)
}

/// Parses a row as a row of each table.
#[cfg(fuzzing)]
pub(super) fn read_any(body: &[u8]) {
    let _ = (row::read_socket(body), row::drops(body), connection::read(body));
    let _ = (buffer::read(body), unix::read_socket(body));
}

fn dump(states: u32, local_port: u16, remote_port: u16) -> io::Result<Dump> {
    let mut dump = Dump::default();
    for any in ANY {
        let answer =
            tcp(states, SocketAddr::new(any, local_port), SocketAddr::new(any, remote_port)).all()?;
        dump.truncated |= answer.truncated;
        for message in &answer.messages {
            // The kernel lists sockets that are only bound whatever port was requested (Linux 6.8,
            // inet_diag_dump_icsk).
            let is_requested = |socket: &Socket| {
                (local_port == 0 || socket.local.port() == local_port)
                    && (remote_port == 0 || socket.remote.port() == remote_port)
            };
            dump.sockets.extend(row::read_socket(&message.body)?.filter(is_requested));
        }
    }
    dump.truncated |= dump.sockets.len() > MAX_SOCKETS;
    dump.sockets.truncate(MAX_SOCKETS);
    Ok(dump)
}

#[cfg(test)]
mod tests;
