//! Asks the kernel about its sockets over NETLINK_SOCK_DIAG, the road `ss` takes (sock_diag(7)).
//!
//! It changes nothing, needs no right and finds no process: a socket's owner is `probe/holders.rs`'s. It needs no
//! `unsafe` either, but the layout it reads is the kernel's, so it lives here. Offsets are those of
//! include/uapi/linux/inet_diag.h. Each question opens one descriptor and closes it.

mod row;
pub(crate) mod unix;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use row::{Socket, TcpState};
use rustix::net::netlink::SOCK_DIAG;

use super::netlink::{Request, ask, sixteen};

/// What a dump gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dump {
    /// The sockets, IPv4 first.
    pub(crate) sockets: Vec<Socket>,
    /// Whether there were more than [`MAX_SOCKETS`].
    pub(crate) truncated: bool,
}

/// A port can have tens of thousands of connections; a diagnosis is as good with this many.
const MAX_SOCKETS: usize = 4096;

/// What arrives for an address of this machine arrives by `lo`, whose index is 1 in every network namespace
/// (LOOPBACK_IFINDEX); a listener bound to another device is not met there.
const LOOPBACK_INDEX: u32 = 1;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const ALL_STATES: u32 = u32::MAX;
/// The bit of TCP_LISTEN.
const LISTENING: u32 = 1 << 10;
/// The extension that carries a UDP socket's drops: bit INET_DIAG_SKMEMINFO - 1.
const WITH_MEMORY: u8 = 1 << 6;

/// The protocol of the sockets asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tcp = libc::IPPROTO_TCP as isize,
    Udp = libc::IPPROTO_UDP as isize,
}

/// The listener a connection from this machine to `address` would meet: the kernel's own look-up, wildcard, dual-stack,
/// device and SO_REUSEPORT included, without connecting.
pub(crate) fn listener(address: SocketAddr) -> io::Result<Option<Socket>> {
    let address = as_dialled(address);
    // A peer with port 1 cannot be a live connection's, so the answer is the listener (inet_diag_find_one_icsk).
    let peer = SocketAddr::new(address.ip(), 1);
    Ok(one(Protocol::Tcp, address, peer)?.filter(|found| found.state == TcpState::Listen))
}

/// Whether a connection to `address` would meet a listener.
pub(crate) fn listens(address: SocketAddr) -> io::Result<bool> {
    Ok(listener(address)?.is_some())
}

/// The socket at `local` of a connection whose other end is `remote`. Asked with a client's two addresses exchanged it
/// is the server's side, which nobody holds (inode 0) until it is accepted.
pub(crate) fn connection(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
    let found = one(Protocol::Tcp, canonical(local), canonical(remote))?;
    Ok(found.filter(|found| found.state != TcpState::Listen))
}

/// The UDP socket a datagram from this machine to `address` would reach.
pub(crate) fn receiver(address: SocketAddr) -> io::Result<Option<Socket>> {
    let address = as_dialled(address);
    // udp_dump_one takes the two ends the other way round.
    one(Protocol::Udp, SocketAddr::new(address.ip(), 1), address)
}

fn one(protocol: Protocol, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
    let wanted = Request::one(SOCK_DIAG_BY_FAMILY, &request(protocol, ALL_STATES, local, Some(remote)));
    match ask(Some(SOCK_DIAG), &wanted) {
        Ok(answer) => answer.messages.first().map_or(Ok(None), |message| row::read_socket(&message.body)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every TCP socket whose local port is `port`, in any state, of both families.
pub(crate) fn on_port(port: u16) -> io::Result<Dump> {
    dump(Protocol::Tcp, ALL_STATES, port, 0)
}

/// Every TCP listener on `port`, of both families; quick, because connections are not looked through.
pub(crate) fn listeners_on_port(port: u16) -> io::Result<Dump> {
    dump(Protocol::Tcp, LISTENING, port, 0)
}

/// Every TCP connection and attempt whose other end has port `port`.
pub(crate) fn towards_port(port: u16) -> io::Result<Dump> {
    dump(Protocol::Tcp, ALL_STATES, 0, port)
}

/// Every TCP listener.
pub(crate) fn listeners() -> io::Result<Dump> {
    dump(Protocol::Tcp, LISTENING, 0, 0)
}

/// Every established TCP connection, and those whose other end has closed.
pub(crate) fn connections() -> io::Result<Dump> {
    dump(Protocol::Tcp, 1 << 1 | 1 << 8, 0, 0)
}

/// Every UDP socket whose local port is `port`, with the datagrams it has dropped.
pub(crate) fn udp_on_port(port: u16) -> io::Result<Vec<(Socket, Option<u32>)>> {
    let mut found = Vec::new();
    for any in ANY {
        let wanted = request(Protocol::Udp, ALL_STATES, SocketAddr::new(any, port), None);
        let answer = ask(Some(SOCK_DIAG), &Request::dump(SOCK_DIAG_BY_FAMILY, &wanted))?;
        for message in answer.messages.iter().take(MAX_SOCKETS) {
            found.extend(row::read_socket(&message.body)?.map(|socket| (socket, row::drops(&message.body))));
        }
    }
    Ok(found)
}

const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

fn dump(protocol: Protocol, states: u32, local_port: u16, remote_port: u16) -> io::Result<Dump> {
    let mut dump = Dump::default();
    for any in ANY {
        let remote = (remote_port != 0).then(|| SocketAddr::new(any, remote_port));
        let wanted = request(protocol, states, SocketAddr::new(any, local_port), remote);
        let answer = ask(Some(SOCK_DIAG), &Request::dump(SOCK_DIAG_BY_FAMILY, &wanted))?;
        dump.truncated |= answer.truncated;
        for message in &answer.messages {
            // Sockets that are bound and no more are shown whatever ports were asked for (Linux 6.8,
            // inet_diag_dump_icsk).
            let is_asked_for = |socket: &Socket| {
                (local_port == 0 || socket.local.port() == local_port)
                    && (remote_port == 0 || socket.remote.port() == remote_port)
            };
            dump.sockets.extend(row::read_socket(&message.body)?.filter(is_asked_for));
        }
    }
    dump.truncated |= dump.sockets.len() > MAX_SOCKETS;
    dump.sockets.truncate(MAX_SOCKETS);
    Ok(dump)
}

/// The address a dial really meets: 0.0.0.0 and [::] are this host, and ::ffff:a.b.c.d is IPv4.
fn as_dialled(address: SocketAddr) -> SocketAddr {
    let mut dialled = canonical(address);
    match dialled.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => dialled.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => dialled.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    dialled
}

fn canonical(mut address: SocketAddr) -> SocketAddr {
    let ip = address.ip().to_canonical();
    if ip != address.ip() {
        address.set_ip(ip);
    }
    address
}

/// inet_diag_req_v2. Without a peer it is a dump over the port alone.
fn request(protocol: Protocol, states: u32, local: SocketAddr, peer: Option<SocketAddr>) -> Vec<u8> {
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let extensions = if protocol == Protocol::Udp { WITH_MEMORY } else { 0 };
    let mut bytes = Vec::with_capacity(56);
    // sdiag_family, protocol, ext, pad, states; a later kernel may have more states.
    bytes.extend([family as u8, protocol as u8, extensions, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(peer.map_or(0, |peer| peer.port()).to_be_bytes());
    bytes.extend(sixteen(local.ip()));
    bytes.extend(peer.map_or([0; 16], |peer| sixteen(peer.ip())));
    let scope = if let SocketAddr::V6(v6) = local { v6.scope_id() } else { 0 };
    let interface = if scope == 0 && peer.is_some() { LOOPBACK_INDEX } else { scope };
    bytes.extend(interface.to_ne_bytes());
    bytes.extend([0xff; 8]); // INET_DIAG_NOCOOKIE twice
    bytes
}

#[cfg(test)]
mod tests;
