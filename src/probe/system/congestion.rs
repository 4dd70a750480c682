//! The congestion control of TCP sockets on this machine.
//!
//! A socket that was never connected is asked, not /proc/sys: it answers for this network namespace and the rights of
//! this process, and where /proc is missing as well.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::sockopt::{set_tcp_congestion, tcp_congestion};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// The file that lists the controls of this kernel.
pub const AVAILABLE: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";

/// The setting that lists those of them that every process may set.
pub const ALLOWED: &str = "net.ipv4.tcp_allowed_congestion_control";

/// The control of a new socket (net.ipv4.tcp_congestion_control); `None` if it cannot be found out.
pub fn host_default() -> Option<String> {
    tcp_congestion(socket().ok()?).ok()
}

/// Tries to set a control. If this process may, the kernel loads the module of one that it lacks, as it would for a
/// connection.
///
/// # Errors
/// ENOENT if the kernel has no such control; EPERM if this process may not set it.
pub fn try_control(name: &str) -> io::Result<()> {
    Ok(set_tcp_congestion(socket()?, name)?)
}

fn socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn the_kernel_says_which_controls_it_has() {
        let own = host_default().unwrap();

        assert!(try_control(&own).is_ok(), "{own}");
        assert_eq!(try_control("no_such").unwrap_err().raw_os_error(), Some(Errno::NOENT.raw_os_error()));
    }
}
