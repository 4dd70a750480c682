//! Socket options and requests missing from `rustix` 1.1.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Lets connect(2) choose the source port, which may then be shared between different destinations.
///
/// Without it, a bind to a source address reserves a port exclusively, and one target can exhaust the whole range
/// (ip(7), IP_BIND_ADDRESS_NO_PORT, Linux 4.2). Set it before the bind; it also applies to IPv6 sockets.
///
/// # Errors
/// ENOPROTOOPT if the kernel lacks the option.
pub(crate) fn bind_address_no_port(socket: impl AsFd) -> io::Result<()> {
    set_number(socket.as_fd().as_raw_fd(), libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

/// Binds a socket to one interface (socket(7), SO_BINDTODEVICE); since Linux 5.7 this needs no privilege.
///
/// # Errors
/// ENODEV if there is no such interface; EPERM before Linux 5.7 without CAP_NET_RAW.
pub(crate) fn bind_to_device(socket: impl AsFd, name: &str) -> io::Result<()> {
    // SAFETY: the option value is live text and its length is given (the kernel adds the final zero); the descriptor is
    // borrowed for the call.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            name.len() as libc::socklen_t,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Binds a socket to the interface with this index, whether or not there is one (SO_BINDTOIFINDEX, Linux 5.1); since
/// Linux 5.7 this needs no privilege on a socket that is bound to none yet.
///
/// # Errors
/// EPERM if it is bound to one, or before Linux 5.7, without CAP_NET_RAW; ENOPROTOOPT if the kernel lacks the option.
pub(crate) fn bind_to_index(socket: impl AsFd, index: c_int) -> io::Result<()> {
    set_number(socket.as_fd().as_raw_fd(), libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, index)
}

/// Sets the number of bytes from which a socket counts as readable (socket(7), SO_RCVLOWAT).
///
/// # Errors
/// The errno of setsockopt(2).
pub(crate) fn set_receive_low_mark(socket: impl AsFd, bytes: c_int) -> io::Result<()> {
    set_number(socket.as_fd().as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes)
}

/// Has the kernel leave the size of the receive buffer as it is (SO_BUF_LOCK, Linux 5.14).
///
/// # Errors
/// ENOPROTOOPT if the kernel lacks the option.
pub(crate) fn lock_receive_buffer(socket: impl AsFd) -> io::Result<()> {
    set_number(socket.as_fd().as_raw_fd(), libc::SOL_SOCKET, libc::SO_BUF_LOCK, SOCK_RCVBUF_LOCK)
}

/// Of include/uapi/linux/socket.h.
const SOCK_RCVBUF_LOCK: c_int = 2;

/// Bounds the window that a TCP socket offers (tcp(7), TCP_WINDOW_CLAMP).
///
/// # Errors
/// The errno of setsockopt(2).
pub(crate) fn clamp_window(socket: impl AsFd, bytes: c_int) -> io::Result<()> {
    set_number(socket.as_fd().as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_WINDOW_CLAMP, bytes)
}

/// Sets the number of bytes not sent yet from which a TCP socket takes no more (TCP_NOTSENT_LOWAT, Linux 3.12).
///
/// # Errors
/// The errno of setsockopt(2).
pub(crate) fn set_unsent_mark(socket: impl AsFd, bytes: c_int) -> io::Result<()> {
    set_number(socket.as_fd().as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, bytes)
}

/// Sets an option whose value is one number.
///
/// # Errors
/// The errno of setsockopt(2); EBADF of a descriptor that is closed.
pub(super) fn set_number(descriptor: RawFd, level: c_int, option: c_int, number: c_int) -> io::Result<()> {
    // SAFETY: the option value is a live c_int and its length is given; to the call the descriptor is only a number.
    let answer = unsafe {
        libc::setsockopt(
            descriptor,
            level,
            option,
            (&raw const number).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Bytes written to the socket that its other end has not acknowledged yet (tcp(7), SIOCOUTQ). Our FIN counts as one.
pub(crate) fn unacknowledged(socket: impl AsFd) -> io::Result<u32> {
    send_queue(socket.as_fd().as_raw_fd())
}

/// The same for a descriptor that may have been closed or reused meanwhile.
pub(crate) fn send_queue(descriptor: RawFd) -> io::Result<u32> {
    queued(descriptor, libc::TIOCOUTQ)
}

/// Bytes written to the socket that were not even sent (SIOCOUTQNSD). Our FIN counts as one.
pub(crate) fn unsent(socket: impl AsFd) -> io::Result<u32> {
    queued(socket.as_fd().as_raw_fd(), SIOCOUTQNSD)
}

/// Of include/uapi/linux/sockios.h; the same on every architecture.
const SIOCOUTQNSD: libc::Ioctl = 0x894B;

fn queued(descriptor: RawFd, which: libc::Ioctl) -> io::Result<u32> {
    let mut bytes: c_int = 0;
    // SAFETY: TIOCOUTQ (the value of SIOCOUTQ) and SIOCOUTQNSD write one c_int to the pointer, which is live for the call. To the
    // call the descriptor is only a number.
    let answer = unsafe { libc::ioctl(descriptor, which, &raw mut bytes) };
    if answer == 0 { Ok(bytes.max(0) as u32) } else { Err(io::Error::last_os_error()) }
}

/// The file that a Unix socket is bound to, as a descriptor made with O_PATH, whatever stands at its path by now
/// (unix_open_file, net/unix/af_unix.c).
///
/// # Errors
/// EPERM without CAP_NET_ADMIN; ENOTTY or EINVAL before Linux 4.12; ENOENT if it is bound to no file.
pub(crate) fn bound_file(socket: impl AsFd) -> io::Result<OwnedFd> {
    // SAFETY: SIOCUNIXFILE takes no argument; the descriptor is borrowed for the call.
    let answer = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), SIOCUNIXFILE) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened this descriptor (close-on-exec) for the caller, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}

/// Of include/uapi/linux/un.h; the same on every architecture.
const SIOCUNIXFILE: libc::Ioctl = 0x89E0;

/// The process id and effective user id of the process that connected to a Unix socket, at that moment (unix(7),
/// SO_PEERCRED). A process outside this PID namespace has the id 0, which `rustix`'s type cannot hold.
///
/// # Errors
/// The errno of getsockopt(2).
pub(crate) fn peer_credentials(socket: impl AsFd) -> io::Result<(u32, u32)> {
    peer(socket.as_fd()).map(|peer| (peer.pid.max(0).cast_unsigned(), peer.uid))
}

/// The most groups of a process (NGROUPS_MAX).
const MAX_GROUPS: usize = 65_536;

/// The effective group of that process, and the groups it has beside it (SO_PEERGROUPS).
///
/// # Errors
/// The errno of getsockopt(2): ENOPROTOOPT before Linux 4.13.
pub(crate) fn peer_groups(socket: impl AsFd) -> io::Result<Vec<u32>> {
    let own = peer(socket.as_fd())?.gid;
    let mut groups: Vec<u32> = vec![0; 64];
    loop {
        let mut length = (groups.len() * size_of::<u32>()) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes to the buffer, which is that long and live for the call; the
        // descriptor is borrowed for the call.
        let answer = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<u32>();
        if answer == 0 {
            groups.truncate(count);
            groups.push(own);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // The kernel has said how many there are.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > MAX_GROUPS {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

fn peer(socket: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to the structure, which is plain integers and live for the call;
    // the descriptor is borrowed for the call.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if answer == 0 { Ok(peer) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_groups_of_the_process_at_the_other_end_are_all_of_them() {
        let (here, _there) = UnixStream::pair().unwrap();
        let own = rustix::process::getegid().as_raw();
        let beside = rustix::process::getgroups().unwrap().into_iter().map(|group| group.as_raw());

        let groups: BTreeSet<u32> = peer_groups(&here).unwrap().into_iter().collect();

        assert_eq!(groups, beside.chain([own]).collect());
    }
}
