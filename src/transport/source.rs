//! What an errno of a dial means that has several reasons. First EADDRNOTAVAIL. The kernel says it where no source port is left, where the source address is not of
//! this machine, and where the machine has none of the target's family. (From loopback to another machine it says EINVAL.)

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use crate::address::Interface;
use crate::sys;

/// The error of a connect(2) over TCP: one without an errno, of the kind `AddrNotAvailable`, where it is the address that
/// is missing.
///
/// A datagram socket is asked: to connect one sends nothing, chooses the source address in the same way, and takes a port
/// of another space.
pub(super) fn of_connect(
    error: Errno,
    address: SocketAddr,
    source: Option<IpAddr>,
    interface: Option<&Interface>,
) -> io::Error {
    let may_be_missing = error == Errno::ADDRNOTAVAIL || error == Errno::INVAL && source.is_some();
    if may_be_missing && is_missing(address, source, interface) { missing() } else { error.into() }
}

/// The error of a bind(2) to a source address, with the port left to the kernel.
pub(super) fn of_bind(error: Errno) -> io::Error {
    if error == Errno::ADDRNOTAVAIL { missing() } else { error.into() }
}

/// An error that a packet brought back. EACCES is "prohibited" of ICMPv6 (RFC 4443, 3.1) there, of a firewall or a router
/// on the way; returned by the call itself it is a policy of this machine.
pub(crate) fn of_network(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(libc::EACCES) { Errno::HOSTUNREACH.into() } else { error }
}

/// Whether another source may do better: no port is left at this one, or it is none.
pub(super) fn may_try_another(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
}

pub(super) fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::AddrNotAvailable, "no address of this machine can be dialled from")
}

fn is_missing(address: SocketAddr, source: Option<IpAddr>, interface: Option<&Interface>) -> bool {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let Ok(socket) = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None) else { return false };
    if interface.is_some_and(|interface| sys::bind_to_device(&socket, &interface.0).is_err()) {
        return false;
    }
    let connected = match source {
        Some(source) => bind(&socket, &SocketAddr::new(source, 0)),
        None => Ok(()),
    };
    let answer = connected.and_then(|()| connect(&socket, &address));
    matches!(answer, Err(Errno::ADDRNOTAVAIL | Errno::INVAL))
}
