//! Whether one socket's address conflicts with another: the kernel's rule, inet_rcv_saddr_equal with wildcards
//! (net/ipv4/inet_connection_sock.c).
//!
//! SO_REUSEADDR and SO_REUSEPORT play no part: the kernel does not show which sockets have them set.

use std::net::{IpAddr, SocketAddr};

use crate::probe::sockets::Socket;

/// How a socket's address covers the wanted one, the best explanation of a failure first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Overlap {
    /// The addresses are the same.
    Exact,
    /// The socket has every address of the family, including the wanted one.
    Wildcard,
    /// The socket has every IPv6 address and takes IPv4 as well.
    DualStack,
    /// Every address is wanted, and the socket has one of them.
    Specific,
}

/// How `socket` covers `wanted`; `None` if both can coexist. The ports are assumed to be equal.
pub(super) fn overlap(wanted: SocketAddr, socket: &Socket) -> Option<Overlap> {
    let (ours, theirs) = (wanted.ip().to_canonical(), socket.local.ip().to_canonical());
    match (ours, theirs) {
        (IpAddr::V4(_), IpAddr::V6(theirs)) => {
            // If the kernel does not show the flag, assume Linux's default: the socket takes IPv4.
            (theirs.is_unspecified() && socket.v6only != Some(true)).then_some(Overlap::DualStack)
        }
        // We listen on [::] for IPv6 only (see `transport::bind`).
        (IpAddr::V6(_), IpAddr::V4(_)) => None,
        _ if ours == theirs => same_link(wanted, socket).then_some(Overlap::Exact),
        _ if theirs.is_unspecified() => Some(Overlap::Wildcard),
        _ if ours.is_unspecified() => Some(Overlap::Specific),
        _ => None,
    }
}

/// A link-local address may exist on several interfaces at once.
fn same_link(wanted: SocketAddr, socket: &Socket) -> bool {
    match wanted {
        SocketAddr::V6(wanted) if wanted.ip().is_unicast_link_local() => {
            wanted.scope_id() == socket.interface || socket.interface == 0 || wanted.scope_id() == 0
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::listen::facts::samples::listener;

    #[test]
    fn addresses_overlap_as_in_the_kernel() {
        let table = [
            ("127.0.0.1:1", "127.0.0.1:1", None, Some(Overlap::Exact)),
            ("127.0.0.1:1", "127.0.0.2:1", None, None),
            ("127.0.0.1:1", "0.0.0.0:1", None, Some(Overlap::Wildcard)),
            ("0.0.0.0:1", "127.0.0.1:1", None, Some(Overlap::Specific)),
            ("0.0.0.0:1", "0.0.0.0:1", None, Some(Overlap::Exact)),
            ("127.0.0.1:1", "[::]:1", Some(false), Some(Overlap::DualStack)),
            ("127.0.0.1:1", "[::]:1", Some(true), None),
            ("127.0.0.1:1", "[::]:1", None, Some(Overlap::DualStack)),
            ("127.0.0.1:1", "[::1]:1", Some(false), None),
            ("127.0.0.1:1", "[::ffff:127.0.0.1]:1", Some(false), Some(Overlap::Exact)),
            ("[::1]:1", "[::]:1", Some(true), Some(Overlap::Wildcard)),
            ("[::1]:1", "0.0.0.0:1", None, None),
            ("[::]:1", "127.0.0.1:1", None, None),
            ("[fe80::1%2]:1", "[fe80::1%3]:1", Some(false), None),
        ];
        for (wanted, theirs, v6only, want) in table {
            let mut socket = listener(theirs, 7);
            socket.v6only = v6only;
            assert_eq!(
                overlap(wanted.parse().unwrap(), &socket),
                want,
                "{wanted} against {theirs} {v6only:?}"
            );
        }
    }
}
