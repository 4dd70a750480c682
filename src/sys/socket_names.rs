//! The two addresses of a connection, by a descriptor's number alone.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;

/// The local and the remote address of a descriptor of this process, if it is a connected socket. The number may have
/// been reused for another file meanwhile; the caller must rule that out.
pub(crate) fn ends(descriptor: RawFd) -> Option<(SocketAddr, SocketAddr)> {
    let local = name(descriptor, libc::getsockname)?;
    Some((local, name(descriptor, libc::getpeername)?))
}

type Namer = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn name(descriptor: RawFd, namer: Namer) -> Option<SocketAddr> {
    let mut bytes = [0u8; size_of::<libc::sockaddr_in6>()];
    let mut length = bytes.len() as libc::socklen_t;
    // SAFETY: the buffer is live and has the given length, and the kernel writes no more than that. To the call the
    // descriptor is only a number: a closed one gives EBADF, one that is not a socket ENOTSOCK.
    let answer = unsafe { namer(descriptor, bytes.as_mut_ptr().cast(), &raw mut length) };
    if answer != 0 {
        return None;
    }
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    match i32::from(u16::from_ne_bytes([bytes[0], bytes[1]])) {
        libc::AF_INET => Some(([bytes[4], bytes[5], bytes[6], bytes[7]], port).into()),
        libc::AF_INET6 => {
            let octets: [u8; 16] = bytes[8..24].try_into().ok()?;
            Some(SocketAddr::new(IpAddr::from(octets).to_canonical(), port))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_is_no_socket_has_no_ends() {
        let file = std::fs::File::open("/dev/null").unwrap();

        assert_eq!((ends(file.as_raw_fd()), ends(-1)), (None, None));
    }
}
