//! getaddrinfo(3) with its own error codes, which the standard library makes one text of.

use std::ffi::{CString, c_int};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

/// The codes of netdb.h, equal in glibc and musl.
const EAI_AGAIN: c_int = -3;
const EAI_MEMORY: c_int = -10;
const EAI_SYSTEM: c_int = -11;

/// Why a look-up has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The name has no address, or is none.
    NoAddress,
    /// The resolver gave up for now: a name server did not answer in time, or failed (EAI_AGAIN).
    GaveUp,
    /// A call of the resolver failed.
    System(io::Error),
}

/// Asks the system's resolver for the addresses of a name, in its order; their port is 0. Blocks, for half a minute where
/// name servers do not answer.
///
/// # Errors
/// See [`NoAnswer`].
pub(crate) fn look_up(name: &str, most: usize) -> Result<Vec<SocketAddr>, NoAnswer> {
    let Ok(name) = CString::new(name) else { return Err(NoAnswer::NoAddress) };
    // SAFETY: a structure of numbers and pointers, for which zero is a value; getaddrinfo(3) asks for zeroes.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    // One socket type, or each address comes three times.
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut list = ptr::null_mut();
    // SAFETY: the name ends with a zero byte, the hints and the place for the answer live during the call.
    let code = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    match code {
        0 => {}
        EAI_AGAIN => return Err(NoAnswer::GaveUp),
        EAI_SYSTEM => return Err(NoAnswer::System(io::Error::last_os_error())),
        EAI_MEMORY => return Err(NoAnswer::System(io::Error::from_raw_os_error(libc::ENOMEM))),
        _ => return Err(NoAnswer::NoAddress),
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() && found.len() < most {
        // SAFETY: an entry of the list, which lives until it is freed below; each points to the next, or to none.
        let entry = unsafe { &*next };
        // SAFETY: the address belongs to the entry, and its family says which structure it is.
        found.extend(unsafe { address(entry) }.filter(|it| !found.contains(it)));
        next = entry.ai_next;
    }
    // SAFETY: the list came from getaddrinfo(3) and is freed once.
    unsafe { libc::freeaddrinfo(list) };
    if found.is_empty() { Err(NoAnswer::NoAddress) } else { Ok(found) }
}

/// # Safety
/// `entry` is one of getaddrinfo(3) that has not been freed.
unsafe fn address(entry: &libc::addrinfo) -> Option<SocketAddr> {
    let has = |length: usize| !entry.ai_addr.is_null() && entry.ai_addrlen as usize >= length;
    match entry.ai_family {
        libc::AF_INET if has(size_of::<libc::sockaddr_in>()) => {
            // SAFETY: the family and the length say that it is this structure; it may be read from any place.
            let it = unsafe { ptr::read_unaligned(entry.ai_addr.cast::<libc::sockaddr_in>()) };
            let ip = Ipv4Addr::from(u32::from_be(it.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, 0).into())
        }
        libc::AF_INET6 if has(size_of::<libc::sockaddr_in6>()) => {
            // SAFETY: as above.
            let it = unsafe { ptr::read_unaligned(entry.ai_addr.cast::<libc::sockaddr_in6>()) };
            Some(SocketAddrV6::new(Ipv6Addr::from(it.sin6_addr.s6_addr), 0, 0, it.sin6_scope_id).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_its_own_answer_in_either_family() {
        for (name, address) in
            [("127.0.0.5", "127.0.0.5:0"), ("::1", "[::1]:0"), ("fe80::1%1", "[fe80::1%1]:0")]
        {
            assert_eq!(look_up(name, 16).unwrap(), [address.parse().unwrap()], "{name}");
        }
    }

    #[test]
    fn what_is_no_name_has_no_address() {
        for name in ["", "a\0b", "no such name"] {
            assert!(matches!(look_up(name, 16), Err(NoAnswer::NoAddress | NoAnswer::GaveUp)), "{name:?}");
        }
    }
}
