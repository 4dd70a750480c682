//! Listening sockets, and the connections they accept.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_oobinline, set_socket_reuseaddr, set_socket_reuseport, set_tcp_nodelay,
};
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketFlags, SocketType, acceptfrom, acceptfrom_with, socket_with,
};

use super::{Arrived, Incoming, OwnFile, SocketFile, Via, unix};
use crate::address::{Address, Families, ListenAddress, NetListen};
use crate::outcome::Client;
use crate::probe::network::scoped;
use crate::sys;

/// The kernel cuts this to net.core.somaxconn (listen(2)), the administrator's limit.
const LONGEST_BACKLOG: i32 = i32::MAX;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// A socket that is bound.
pub struct Bound {
    /// The file of a Unix socket. It is declared, and so dropped, before the socket, which it must not outlive.
    pub file: Option<OwnFile>,
    /// The socket.
    pub socket: OwnedFd,
}

/// Binds `address` without listening yet: clients are still refused. `file` has the attributes for the file of a Unix
/// socket.
///
/// `share` sets SO_REUSEPORT for the bind of a network address; [`share_port`] clears it again.
///
/// # Errors
/// The errno of socket(2) or bind(2); ENODEV if the interface of a zone does not exist; for a Unix socket also the
/// errors of its file.
pub fn bind(address: &ListenAddress, file: &SocketFile, share: bool) -> io::Result<Bound> {
    match address {
        ListenAddress::Net(net) => Ok(Bound { file: None, socket: bind_net(net, share)? }),
        // Only the other end of the tunnel can.
        ListenAddress::There(_) => Err(io::ErrorKind::Unsupported.into()),
        ListenAddress::Unix(name) => {
            let (file, socket) = unix::bind(name, file)?;
            Ok(Bound { file, socket })
        }
    }
}

/// An IPv6 socket accepts only IPv6 unless `families` is `Both`, so that `[::]` never includes 0.0.0.0 by surprise.
fn bind_net(net: &NetListen, share: bool) -> io::Result<OwnedFd> {
    let address = socket_address(net)?;
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, FLAGS, None)?;
    // Connections in TIME_WAIT from an earlier run must not prevent this bind.
    set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, net.families == Families::Own)?;
    }
    share_port(&socket, share)?;
    // Accepted sockets inherit both (net/ipv4/inet_connection_sock.c), which saves two calls per connection. Urgent data
    // stays in the stream: out of line, its byte would be lost.
    set_tcp_nodelay(&socket, true)?;
    set_socket_oobinline(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// The socket address, with the number that the interface of its zone has now.
///
/// # Errors
/// ENODEV if there is no such interface.
pub fn socket_address(net: &NetListen) -> io::Result<SocketAddr> {
    match (net.ip, &net.zone) {
        (IpAddr::V6(ip), Some(zone)) => scoped(ip, zone, net.port),
        (ip, _) => Ok(SocketAddr::new(ip, net.port)),
    }
}

/// Opens a bound socket to clients.
///
/// # Errors
/// The errno of listen(2): EADDRINUSE if another socket has begun to listen since the bind.
pub fn listen(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::listen(socket, LONGEST_BACKLOG)?)
}

/// Sets or clears SO_REUSEPORT. It is set only while two sockets of this process overlap on a port during a reload:
/// left on, it would let a second instance share the port unnoticed.
///
/// # Errors
/// The errno of setsockopt(2).
pub fn share_port(socket: impl AsFd, share: bool) -> io::Result<()> {
    Ok(set_socket_reuseport(socket, share)?)
}

/// The address that a network socket is bound to, with the port that the kernel chose in place of 0.
///
/// # Errors
/// The errno of getsockname(2).
pub fn local_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    Ok(rustix::net::getsockname(socket)?.try_into()?)
}

/// The address of the other end of an IP socket.
///
/// # Errors
/// The errno of getpeername(2); EAFNOSUPPORT of another family.
pub fn peer_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    let peer = rustix::net::getpeername(socket)?.ok_or(io::ErrorKind::NotConnected)?;
    Ok(peer.try_into()?)
}

/// The name of the Unix socket that `socket` is, or was accepted by, as it is in `sun_path`.
///
/// # Errors
/// The errno of getsockname(2); EAFNOSUPPORT of another family.
pub fn local_name(socket: impl AsFd) -> io::Result<Vec<u8>> {
    let name = rustix::net::SocketAddrUnix::try_from(rustix::net::getsockname(socket)?)?;
    let path = name.path().map(|path| path.to_bytes().to_vec());
    Ok(path.or(name.abstract_name().map(|name| [&[0], name].concat())).unwrap_or_default())
}

/// Takes one connection from the accept queue of the listener at `address`.
///
/// # Errors
/// `WouldBlock` if the queue is empty; otherwise the errno of accept4(2), which does not mean that the listener is
/// broken.
pub fn accept(listener: impl AsFd, address: &Address) -> io::Result<Incoming> {
    let (socket, client) =
        acceptfrom_with(&listener, FLAGS).or_else(|error| accept_plainly(&listener, error))?;
    let (stream, client) = match client {
        Some(any) if any.address_family() == AddressFamily::UNIX => {
            let client = unix_client(&socket)?;
            (Arrived::Unix(socket), client)
        }
        any => (Arrived::Tcp(socket), net_client(any)),
    };
    Ok(Incoming::new(stream, client, Via::Listener(address.clone())))
}

/// accept(2) for a process that a filter refuses accept4(2). If the error was that of one connection instead, it takes
/// the next one.
fn accept_plainly(listener: impl AsFd, error: Errno) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    if !matches!(error, Errno::PERM | Errno::ACCESS | Errno::NOSYS) {
        return Err(error);
    }
    let (socket, client) = acceptfrom(listener)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    fcntl_setfl(&socket, OFlags::NONBLOCK)?;
    Ok((socket, client))
}

fn net_client(any: Option<SocketAddrAny>) -> Client {
    // Some kernels give no address for a client that is already gone; its socket must still be closed properly.
    let client = any.and_then(|any: SocketAddrAny| SocketAddr::try_from(any).ok());
    let mut client = client.unwrap_or(([0, 0, 0, 0], 0).into());
    // A listener for both families sees IPv4 clients as ::ffff:a.b.c.d; everything else uses the IPv4 address.
    client.set_ip(client.ip().to_canonical());
    Client::Net(client)
}

fn unix_client(socket: &OwnedFd) -> io::Result<Client> {
    // Urgent data stays in the stream: out of line, its byte would be lost. (It is not inherited here.)
    set_socket_oobinline(socket, true)?;
    let (pid, uid) = sys::peer_credentials(socket)?;
    Ok(Client::Unix { pid, uid })
}
