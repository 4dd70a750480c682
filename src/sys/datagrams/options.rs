//! Options of UDP sockets that `rustix` 1.1 lacks.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::sys::sockopt::set_number;

/// Lets the socket receive a train of datagrams from one sender as one buffer (udp(7), UDP_GRO, Linux 5.0).
///
/// # Errors
/// ENOPROTOOPT if the kernel lacks the option.
pub(crate) fn join_trains(socket: impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::SOL_UDP, libc::UDP_GRO)
}

/// Makes the kernel report the local address that each datagram was sent to (ip(7), IP_PKTINFO; ipv6(7),
/// IPV6_RECVPKTINFO).
///
/// # Errors
/// The errno of setsockopt(2).
pub(crate) fn report_local_address(socket: impl AsFd, is_ipv4: bool) -> io::Result<()> {
    match is_ipv4 {
        true => switch_on(socket, libc::SOL_IP, libc::IP_PKTINFO),
        false => switch_on(socket, libc::SOL_IPV6, libc::IPV6_RECVPKTINFO),
    }
}

/// Whether the kernel sends trains (udp(7), UDP_SEGMENT, Linux 4.18).
pub(super) fn sends_trains() -> bool {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    // Zero switches off what is off already, and fails where the option is unknown.
    socket.is_ok_and(|socket| set_number(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok())
}

fn switch_on(socket: impl AsFd, level: c_int, option: c_int) -> io::Result<()> {
    set_number(socket.as_fd().as_raw_fd(), level, option, 1)
}

/// The state of a socket's receive buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Memory in use and its limit, in bytes as the kernel counts them.
    pub(crate) used: u32,
    pub(crate) most: u32,
    /// Datagrams dropped since the socket was created, for lack of memory or because of a wrong checksum.
    pub(crate) dropped: u32,
}

/// Reads SO_MEMINFO (Linux 4.12; include/uapi/linux/sock_diag.h gives the order of its numbers).
///
/// # Errors
/// ENOPROTOOPT if the kernel lacks the option.
pub(crate) fn backlog(socket: impl AsFd) -> io::Result<Backlog> {
    let mut numbers = [0_u32; 9];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the buffer is live and has the given length; the kernel writes at most that much.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Backlog { used: numbers[0], most: numbers[1], dropped: numbers[8] })
}
