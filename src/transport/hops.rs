//! How many forwards a connection has come through on this machine, told by one Loopgate to the next without a byte in
//! the stream: by what the kernel shows the other end of a connection.
//!
//! Over the network it is the time to live of our packets, which no packet of this machine to itself loses. The kernel
//! keeps that of the packet that completed a handshake, and IP_MULTICAST_TTL reads it (net/ipv4/tcp_ipv4.c,
//! tcp_v4_syn_recv_sock: `mc_ttl`; IPv6: `mcast_hops`). A Unix socket binds a name in the abstract namespace before it
//! connects. Refused: saving each SYN (TCP_SAVE_SYN), which takes memory for every connection of a listener.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::net::sockopt::{ip_multicast_ttl, ipv6_multicast_hops, set_ip_ttl, set_ipv6_unicast_hops};
use rustix::net::{SocketAddrUnix, bind, getpeername};

use super::Stream;

/// The most forwards of this machine that a connection may come through. More are a loop.
pub(crate) const MAX_HOPS: u8 = 16;

/// The time to live of a connection through no forward; systems begin with 64, 128 or 255, and few paths are longer
/// than 30 hops, so nothing from outside lies between this and [`MAX_HOPS`] more.
const NONE: u8 = 180;

/// How the names of dialling Unix sockets begin: then come the hops.
const NAME: &str = "loopgate-hops/";

/// Marks a TCP socket that is not connected yet. It fails on no socket of these families.
pub(super) fn mark(socket: impl AsFd, is_ipv4: bool, hops: u8) {
    let ttl = NONE.saturating_add(hops.min(MAX_HOPS));
    let _ = match is_ipv4 {
        true => set_ip_ttl(socket, ttl.into()),
        false => set_ipv6_unicast_hops(socket, Some(ttl)),
    };
}

/// Marks a Unix socket that is not connected yet.
pub(super) fn mark_unix(socket: impl AsFd, hops: u8) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("{NAME}{hops}/{}/{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    // A name that another has, as a process of the same number in a container may, leaves one connection unmarked.
    let _ = SocketAddrUnix::new_abstract_name(name.as_bytes()).and_then(|name| bind(socket, &name));
}

/// Through how many forwards a connection that was accepted has come; 0 if it bears no mark.
pub(crate) fn hops_of(client: &Stream) -> u8 {
    let of_ttl = |ttl: u32| u8::try_from(ttl).ok()?.checked_sub(NONE).filter(|hops| *hops <= MAX_HOPS);
    match client {
        Stream::Tcp(socket) => ip_multicast_ttl(socket)
            .ok()
            .and_then(of_ttl)
            .or_else(|| ipv6_multicast_hops(socket).ok().and_then(of_ttl))
            .unwrap_or(0),
        Stream::Unix(socket) => name_of(socket).and_then(|name| of_name(&name)).unwrap_or(0),
    }
}

fn name_of(socket: impl AsFd) -> Option<Vec<u8>> {
    let peer = SocketAddrUnix::try_from(getpeername(socket).ok()??).ok()?;
    Some(peer.abstract_name()?.to_vec())
}

fn of_name(name: &[u8]) -> Option<u8> {
    let rest = std::str::from_utf8(name.strip_prefix(NAME.as_bytes())?).ok()?;
    Some(rest.split('/').next()?.parse::<u8>().ok()?.min(MAX_HOPS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, UnixName};
    use crate::transport::dial::dial_marked;
    use crate::transport::{Arrived, Origin};

    /// What the other end of a dial sees.
    async fn seen(hops: Option<u8>, at: &str) -> u8 {
        let listener = std::net::TcpListener::bind(at).unwrap();
        let address = Address::Net(listener.local_addr().unwrap());
        let _dialled = dial_marked(&address, &Origin::default(), hops).await.unwrap();
        hops_of(&Arrived::Tcp(listener.accept().unwrap().0.into()).open().unwrap())
    }

    #[tokio::test]
    async fn the_other_end_of_a_connection_reads_the_mark() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            assert_eq!((seen(None, at).await, seen(Some(1), at).await, seen(Some(16), at).await), (0, 1, 16));
        }
    }

    #[tokio::test]
    async fn a_listener_of_both_families_reads_it_too() {
        let listener = std::net::TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = Address::Net(([127, 0, 0, 1], port).into());

        let _dialled = dial_marked(&address, &Origin::default(), Some(3)).await.unwrap();

        assert_eq!(hops_of(&Arrived::Tcp(listener.accept().unwrap().0.into()).open().unwrap()), 3);
    }

    #[tokio::test]
    async fn a_unix_socket_has_it_in_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let address = Address::Unix(UnixName::Path(path.to_str().unwrap().into()));

        for (hops, seen) in [(None, 0), (Some(2), 2)] {
            let _dialled = dial_marked(&address, &Origin::default(), hops).await.unwrap();
            let accepted = listener.accept().unwrap().0;
            accepted.set_nonblocking(true).unwrap();
            assert_eq!(hops_of(&Arrived::Unix(accepted.into()).open().unwrap()), seen);
        }
    }

    #[test]
    fn a_strangers_name_is_no_mark_beyond_the_most() {
        assert_eq!(of_name(b"loopgate-hops/200/1/2"), Some(MAX_HOPS));
        assert_eq!(
            (of_name(b"loopgate-hops/999/1"), of_name(b"other"), of_name(b"loopgate-hops/")),
            (None, None, None)
        );
    }
}
