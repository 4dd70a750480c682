//! The kernel's data on a TCP connection (tcp(7), TCP_INFO; include/uapi/linux/tcp.h).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// The fields in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpInfo {
    /// The state, numbered as in include/net/tcp_states.h.
    pub(super) state: u8,
    /// Smoothed round-trip time, in microseconds.
    pub(crate) round_trip_us: u32,
    /// Segments retransmitted over the life of the connection.
    pub(crate) retransmits: u32,
    /// Milliseconds since data was sent last.
    pub(crate) since_sent_ms: u32,
    /// Segments sent and not yet acknowledged.
    pub(super) unacked: u32,
    /// Consecutive unanswered probes of a closed window.
    pub(super) probes: u8,
    /// Whether the connection was ever established: the other end acknowledged our SYN (tcp_ack in net/ipv4/tcp_input.c
    /// counts it as a byte). Always false before Linux 4.1, which does not report it.
    pub(crate) was_made: bool,
    /// For a listening socket: connections not yet accepted (tcp_get_info in net/ipv4/tcp.c).
    pub(crate) waiting: u32,
}

/// Reads TCP_INFO.
///
/// # Errors
/// ENOPROTOOPT or EOPNOTSUPP if the socket is not a TCP socket.
pub(crate) fn tcp_info(socket: impl AsFd) -> io::Result<TcpInfo> {
    tcp_info_of(socket.as_fd().as_raw_fd())
}

/// The same for a descriptor that may have been closed or reused meanwhile.
pub(super) fn tcp_info_of(descriptor: RawFd) -> io::Result<TcpInfo> {
    // An older kernel writes a shorter structure; the rest stays zero.
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the buffer is live and has the given length; the kernel writes at most that much. To the call the
    // descriptor is only a number: a closed one gives EBADF.
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
        since_sent_ms: info.tcpi_last_data_sent,
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
