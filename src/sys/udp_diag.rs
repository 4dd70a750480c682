//! Asks the kernel which UDP socket a datagram would meet, and how full that is (sock_diag(7), net/ipv4/udp_diag.c).
//!
//! Offsets are those of include/uapi/linux/inet_diag.h and sock_diag.h.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::netlink::SOCK_DIAG;

use super::netlink::{Request, ask, attribute, malformed, sixteen, u32_at};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_MSG: usize = 72;
const INET_DIAG_SKMEMINFO: u16 = 7;

/// A UDP socket that receives, as the kernel shows it to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receiver {
    /// The inode behind `/proc/PID/fd/N -> socket:[inode]`.
    pub(crate) inode: u32,
    /// Memory its unread datagrams take by the kernel's accounting, and how much they may.
    pub(crate) used: u32,
    pub(crate) most: u32,
    /// Datagrams dropped since it was made because there was no room.
    pub(crate) dropped: u32,
}

/// The socket that a datagram for `address` would meet, wildcards included, without sending one; `None` where there is
/// none.
///
/// # Errors
/// EPERM, EOPNOTSUPP or ENOENT's like where the kernel cannot be asked.
pub(crate) fn receiver(address: SocketAddr) -> io::Result<Option<Receiver>> {
    let address = as_sent_to(address);
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
    let memory = 1u8 << (INET_DIAG_SKMEMINFO - 1);
    let mut fixed = vec![family, libc::IPPROTO_UDP as u8, memory, 0, 0xff, 0xff, 0xff, 0xff];
    // The look-up is that of a datagram, so the asked-for socket is the destination; the sender's port 1 is no flow's.
    fixed.extend(1u16.to_be_bytes());
    fixed.extend(address.port().to_be_bytes());
    fixed.extend(sixteen(address.ip()));
    fixed.extend(sixteen(address.ip()));
    let scope = if let SocketAddr::V6(v6) = address { v6.scope_id() } else { 0 };
    fixed.extend(scope.to_ne_bytes());
    fixed.extend([0xff; 8]); // INET_DIAG_NOCOOKIE twice
    match ask(Some(SOCK_DIAG), &Request::one(SOCK_DIAG_BY_FAMILY, &fixed)) {
        Ok(answer) => answer.messages.first().map(|message| read(&message.body)).transpose(),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(body: &[u8]) -> io::Result<Receiver> {
    let word = |offset| u32_at(body, offset).ok_or_else(|| malformed("a UDP socket cut short"));
    let memory = attribute(body.get(INET_DIAG_MSG..).unwrap_or_default(), INET_DIAG_SKMEMINFO);
    // sk_meminfo: rmem_alloc, rcvbuf, six more, drops.
    let number = |n: usize| memory.and_then(|memory| u32_at(memory, 4 * n)).unwrap_or_default();
    Ok(Receiver { inode: word(68)?, used: number(0), most: number(1), dropped: number(8) })
}

/// 0.0.0.0 and [::] are this host.
fn as_sent_to(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_receiver_is_found_behind_wildcards_and_gone_with_its_socket() {
        for (bound, asked) in [("127.0.0.1:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.5"), ("[::1]:0", "::1")] {
            let Ok(socket) = UdpSocket::bind(bound) else { continue };
            let port = socket.local_addr().unwrap().port();
            let address = SocketAddr::new(asked.parse().unwrap(), port);

            assert!(receiver(address).unwrap().is_some(), "{bound}");

            drop(socket);
            assert_eq!(receiver(address).unwrap(), None, "{bound}");
        }
    }

    #[test]
    fn what_a_receiver_dropped_is_told() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
        let address = socket.local_addr().unwrap();

        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 500], address).unwrap();
        }

        let found = receiver(address).unwrap().unwrap();
        assert!(found.dropped > 50 && found.used > 0 && found.most >= 4096, "{found:?}");
    }
}
