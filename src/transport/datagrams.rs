//! Sockets for datagrams: the one that clients send to, and one for each flow to its target.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, socket_recv_buffer_size,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::{Origin, share_port, source};
use crate::address::Interface;
use crate::sys;
use crate::sys::datagrams::{join_trains, report_local_address};

/// The receive buffer requested for a listening socket, in bytes: a burst of two thousand small datagrams overflows the
/// usual 208 KiB.
const LISTENER_BUFFER: usize = 4 << 20;

/// The receive buffer requested for a flow's socket, in bytes. It takes no memory while no datagram waits.
const FLOW_BUFFER: usize = 1 << 20;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

fn family(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// Binds the socket that clients of a UDP route send to. An IPv6 socket accepts only IPv6.
///
/// SO_REUSEADDR stays off: with UDP it lets a second socket take over the port. `share` sets SO_REUSEPORT for the bind;
/// [`share_port`] clears it again.
///
/// # Errors
/// The errno of socket(2) or bind(2).
pub fn bind_datagrams(address: SocketAddr, share: bool) -> io::Result<OwnedFd> {
    let socket = socket_with(family(address), SocketType::DGRAM, FLAGS, None)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    share_port(&socket, share)?;
    enlarge(&socket, LISTENER_BUFFER)?;
    // Without this option (before Linux 5.0) trains arrive as single datagrams, which only costs time.
    let _ = join_trains(&socket);
    if address.ip().is_unspecified() {
        report_local_address(&socket, address.is_ipv4())?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// The receive buffer that the kernel granted a socket, and the one that was requested, in bytes of datagrams. The
/// kernel accounts twice as much, for its own overhead (socket(7), SO_RCVBUF).
///
/// # Errors
/// The errno of getsockopt(2).
pub fn receive_buffer(socket: impl AsFd) -> io::Result<(usize, usize)> {
    Ok((socket_recv_buffer_size(socket)? / 2, LISTENER_BUFFER))
}

/// A socket for one flow, connected to its target: the kernel delivers to it only answers from that address, and
/// reports to it alone that the target refuses. The sources of the target's family are tried in order until one has a
/// free port; without sources, the kernel chooses.
///
/// SO_REUSEADDR stays off: with it the kernel gives one port to several flows, which then receive each other's answers.
///
/// # Errors
/// The errno of connect(2); EADDRNOTAVAIL if no source has a free port; ECONNREFUSED if the socket connected to itself.
pub fn dial_datagrams(address: SocketAddr, from: &Origin) -> io::Result<OwnedFd> {
    let mut reaching = from.sources.iter().filter(|source| source.is_ipv4() == address.is_ipv4()).peekable();
    if reaching.peek().is_none() {
        return dial_from(address, None, from.interface.as_ref());
    }
    let mut last = Errno::ADDRNOTAVAIL.into();
    for &ip in reaching {
        match dial_from(address, Some(ip), from.interface.as_ref()) {
            Err(e) if source::may_try_another(&e) => last = e,
            answer => return answer,
        }
    }
    Err(last)
}

fn dial_from(address: SocketAddr, ip: Option<IpAddr>, interface: Option<&Interface>) -> io::Result<OwnedFd> {
    let socket = socket_with(family(address), SocketType::DGRAM, FLAGS, None)?;
    if let Some(interface) = interface {
        sys::bind_to_device(&socket, &interface.0)?;
    }
    enlarge(&socket, FLOW_BUFFER)?;
    let _ = join_trains(&socket);
    let connected = match ip {
        Some(ip) => rustix::net::bind(&socket, &SocketAddr::new(ip, 0)),
        None => Ok(()),
    }
    .and_then(|()| rustix::net::connect(&socket, &address));
    match connected {
        // Both mean that no port is free: EADDRINUSE from bind(2), EAGAIN from connect(2), which binds by itself.
        Err(Errno::ADDRINUSE | Errno::AGAIN) => return Err(Errno::ADDRNOTAVAIL.into()),
        Err(Errno::ADDRNOTAVAIL) => return Err(source::missing()),
        Err(Errno::INVAL) if ip.is_some() => return Err(source::missing()),
        answer => answer?,
    }
    refuse_itself(&socket, address)?;
    Ok(socket)
}

/// The kernel can give a free port of the ephemeral range to the very socket that dials this port, which would then be
/// its own target. That counts as a refusal.
fn refuse_itself(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    if address.port() < 1024 || super::local_address(socket)? != address {
        return Ok(());
    }
    Err(Errno::CONNREFUSED.into())
}

/// SO_RCVBUFFORCE needs CAP_NET_ADMIN; without it, net.core.rmem_max is the administrator's limit.
fn enlarge(socket: &OwnedFd, bytes: usize) -> io::Result<()> {
    match set_socket_recv_buffer_size_force(socket, bytes) {
        Ok(()) => Ok(()),
        Err(_) => Ok(set_socket_recv_buffer_size(socket, bytes)?),
    }
}
