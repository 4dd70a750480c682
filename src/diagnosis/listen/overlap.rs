//! Whether a socket's address stands in the way of another: the kernel's rule, inet_rcv_saddr_equal with wildcards
//! (net/ipv4/inet_connection_sock.c).
//!
//! SO_REUSEADDR and SO_REUSEPORT play no part: the kernel shows nobody which sockets have them set.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::probe::sockets::Socket;

/// How a socket's address covers the wanted one. In the order in which one explains a failure better than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// They are the same.
    Exact,
    /// It has every address of the family, the wanted one among them.
    Wildcard,
    /// It is an IPv6 socket on every address that takes IPv4 as well.
    DualStack,
    /// Every address is wanted, and it has one of them.
    Specific,
}

/// How `socket` covers `wanted`; `None` where both can live. The ports are taken to be the same.
pub(crate) fn overlap(wanted: SocketAddr, socket: &Socket) -> Option<Overlap> {
    let (ours, theirs) = (wanted.ip().to_canonical(), socket.local.ip().to_canonical());
    match (ours, theirs) {
        (IpAddr::V4(_), IpAddr::V6(theirs)) => {
            // Where the kernel does not say, it may well take IPv4: that is Linux's default.
            (theirs.is_unspecified() && socket.v6only != Some(true)).then_some(Overlap::DualStack)
        }
        // We listen on [::] for IPv6 alone (see `transport::bind`).
        (IpAddr::V6(_), IpAddr::V4(_)) => None,
        _ if ours == theirs => same_link(wanted, socket).then_some(Overlap::Exact),
        _ if theirs.is_unspecified() => Some(Overlap::Wildcard),
        _ if ours.is_unspecified() => Some(Overlap::Specific),
        _ => None,
    }
}

/// A link-local address may live on several interfaces at once.
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
    fn addresses_overlap_as_the_kernel_has_it() {
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
