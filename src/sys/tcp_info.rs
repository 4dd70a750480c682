//! What the kernel knows about a TCP connection (tcp(7), TCP_INFO; include/uapi/linux/tcp.h).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpInfo {
    /// As include/net/tcp_states.h counts it.
    pub(super) state: u8,
    /// Smoothed round-trip time, in microseconds.
    pub(crate) round_trip_us: u32,
    /// Segments sent again over the connection's life.
    pub(crate) retransmits: u32,
    /// Segments that are under way.
    pub(super) unacked: u32,
    /// Probes in a row of a closed window that were not answered.
    pub(super) probes: u8,
    /// Whether the connection has ever been made: the other end has acknowledged our SYN (tcp_ack in
    /// net/ipv4/tcp_input.c counts it as a byte). Before Linux 4.1 it cannot be told, and is never so.
    pub(crate) was_made: bool,
    /// Of a listening socket: connections that nobody has accepted yet (tcp_get_info in net/ipv4/tcp.c).
    pub(crate) waiting: u32,
}

/// Reads TCP_INFO.
pub(crate) fn tcp_info(socket: impl AsFd) -> io::Result<TcpInfo> {
    tcp_info_of(socket.as_fd().as_raw_fd())
}

/// The same of a descriptor that may be closed, or another's, by now.
pub(super) fn tcp_info_of(descriptor: RawFd) -> io::Result<TcpInfo> {
    // An older kernel writes a shorter structure: what it does not write stays zero.
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the buffer is live and of the length given; the kernel writes at most that much. The
    // descriptor is only a number to the call: one that is closed answers EBADF.
    let answer = unsafe {
        libc::getsockopt(
            descriptor,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed above, and every field is a plain integer, so any content is a valid tcp_info.
    let info = unsafe { info.assume_init() };
    Ok(TcpInfo {
        state: info.tcpi_state,
        unacked: info.tcpi_unacked,
        probes: info.tcpi_probes,
        round_trip_us: info.tcpi_rtt,
        retransmits: info.tcpi_total_retrans,
        was_made: info.tcpi_bytes_acked > 0,
        waiting: if info.tcpi_state == LISTEN { info.tcpi_unacked } else { 0 },
    })
}

/// TCP_LISTEN of include/net/tcp_states.h.
const LISTEN: u8 = 10;
