//! Sockets for datagrams: the one clients send to, and one for each flow towards its target.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, socket_recv_buffer_size,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::{Origin, share_port};
use crate::address::Interface;
use crate::sys;
use crate::sys::datagrams::{join_trains, tell_local_address};

/// What a listening socket asks for: a burst of two thousand small datagrams overflows the usual 208 KiB.
const LISTENER_BUFFER: usize = 4 << 20;

/// What a flow's socket asks for. Nothing is held of it while nothing waits.
const FLOW_BUFFER: usize = 1 << 20;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

fn family(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// Binds the socket clients of a UDP route send to. An IPv6 socket takes IPv6 alone, as with TCP.
///
/// SO_REUSEADDR stays off: with UDP it lets a second socket take the port over. `share` sets SO_REUSEPORT for the bind;
/// [`share_port`] takes it away again.
///
/// # Errors
/// The errno of socket(2) or bind(2), as it came.
pub fn bind_datagrams(address: SocketAddr, share: bool) -> io::Result<OwnedFd> {
    let socket = socket_with(family(address), SocketType::DGRAM, FLAGS, None)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    share_port(&socket, share)?;
    enlarge(&socket, LISTENER_BUFFER)?;
    // Without it (before Linux 5.0) trains come as single datagrams, which costs time and nothing else.
    let _ = join_trains(&socket);
    if address.ip().is_unspecified() {
        tell_local_address(&socket, address.is_ipv4())?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// The receive buffer a socket was granted and the one that was asked for, in bytes of datagrams. The kernel books twice
/// as much, for its own overhead (socket(7), SO_RCVBUF).
pub fn receive_buffer(socket: impl AsFd) -> io::Result<(usize, usize)> {
    Ok((socket_recv_buffer_size(socket)? / 2, LISTENER_BUFFER))
}

/// A socket for one flow, connected to its target: the kernel gives it answers of that address alone, and tells it alone
/// when the target refuses. From each source of its family in turn while the one before has no port left; from
/// wherever the kernel chooses where there is none.
///
/// SO_REUSEADDR stays off, because with it the kernel gives one port to several flows, and each meets the others' answers.
///
/// # Errors
/// The errno of connect(2); EADDRNOTAVAIL once every source is used up; ECONNREFUSED where the socket met itself.
pub fn dial_datagrams(address: SocketAddr, from: &Origin) -> io::Result<OwnedFd> {
    let mut reaching = from.sources.iter().filter(|source| source.is_ipv4() == address.is_ipv4()).peekable();
    if reaching.peek().is_none() {
        return dial_from(address, None, from.interface.as_ref());
    }
    let mut last = Errno::ADDRNOTAVAIL.into();
    for &source in reaching {
        match dial_from(address, Some(source), from.interface.as_ref()) {
            Err(e) if e.raw_os_error() == Some(Errno::ADDRNOTAVAIL.raw_os_error()) => last = e,
            answer => return answer,
        }
    }
    Err(last)
}

fn dial_from(
    address: SocketAddr,
    source: Option<IpAddr>,
    interface: Option<&Interface>,
) -> io::Result<OwnedFd> {
    let socket = socket_with(family(address), SocketType::DGRAM, FLAGS, None)?;
    if let Some(interface) = interface {
        sys::bind_to_device(&socket, &interface.0)?;
    }
    enlarge(&socket, FLOW_BUFFER)?;
    let _ = join_trains(&socket);
    let connected = match source {
        Some(source) => rustix::net::bind(&socket, &SocketAddr::new(source, 0)),
        None => Ok(()),
    }
    .and_then(|()| rustix::net::connect(&socket, &address));
    match connected {
        // Both say that no port is free: bind(2) the one, connect(2), which binds by itself, the other.
        Err(Errno::ADDRINUSE | Errno::AGAIN) => return Err(Errno::ADDRNOTAVAIL.into()),
        answer => answer?,
    }
    refuse_itself(&socket, address)?;
    Ok(socket)
}

/// A port of the ephemeral range that nobody holds can be given to the very socket that dials it, which would then be its
/// own target. That is a refusal.
fn refuse_itself(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    if address.port() < 1024 || super::local_address(socket)? != address {
        return Ok(());
    }
    Err(Errno::CONNREFUSED.into())
}

/// SO_RCVBUFFORCE needs CAP_NET_ADMIN; without it net.core.rmem_max is the administrator's word on it.
fn enlarge(socket: &OwnedFd, bytes: usize) -> io::Result<()> {
    match set_socket_recv_buffer_size_force(socket, bytes) {
        Ok(()) => Ok(()),
        Err(_) => Ok(set_socket_recv_buffer_size(socket, bytes)?),
    }
}
