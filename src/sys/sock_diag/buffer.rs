//! The receive buffer that a datagram would reach, and how full it is (net/ipv4/udp_diag.c).

use std::io;
use std::net::SocketAddr;

use super::question::{
    ALL_STATES, INET_DIAG_MSG, INET_DIAG_SKMEMINFO, LOOPBACK_INDEX, Protocol, Question, as_dialled,
};
use crate::sys::netlink::{attribute, malformed, u32_at};

/// The receive buffer of a UDP socket, as the kernel shows it to every user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The inode behind `/proc/PID/fd/N -> socket:[inode]`: the socket's identity.
    pub inode: u32,
    /// Memory of its unread datagrams, in bytes as the kernel counts them.
    pub used: u32,
    /// The limit of that memory, in bytes.
    pub most: u32,
    /// Datagrams dropped for lack of room since the socket was created.
    pub dropped: u32,
}

/// The buffer of the socket that a datagram to `address` would reach, wildcards included, without sending one; `None`
/// if no socket receives there.
///
/// # Errors
/// EPERM, EOPNOTSUPP or similar if the kernel cannot be queried.
pub(crate) fn buffer(address: SocketAddr) -> io::Result<Option<Buffer>> {
    question(address, INET_DIAG_SKMEMINFO).one(|body| read(body).map(Some))
}

/// The look-up for a datagram from this machine. udp_dump_one takes the two ends in reverse order, and no flow has the
/// sender's port 1.
pub(super) fn question(address: SocketAddr, attribute: u16) -> Question {
    let remote = as_dialled(address);
    let local = SocketAddr::new(remote.ip(), 1);
    Question {
        protocol: Protocol::Udp,
        attribute,
        states: ALL_STATES,
        local,
        remote,
        interface: LOOPBACK_INDEX,
    }
}

pub(super) fn read(body: &[u8]) -> io::Result<Buffer> {
    let word = |offset| u32_at(body, offset).ok_or_else(|| malformed("a UDP socket cut short"));
    let memory = attribute(body.get(INET_DIAG_MSG..).unwrap_or_default(), INET_DIAG_SKMEMINFO);
    // sk_meminfo: rmem_alloc, rcvbuf, six more, drops.
    let number = |n: usize| memory.and_then(|memory| u32_at(memory, 4 * n)).unwrap_or_default();
    Ok(Buffer { inode: word(68)?, used: number(0), most: number(1), dropped: number(8) })
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

            assert!(buffer(address).unwrap().is_some(), "{bound}");

            drop(socket);
            assert_eq!(buffer(address).unwrap(), None, "{bound}");
        }
    }

    #[test]
    fn a_receiver_that_is_bound_to_the_loopback_interface_is_met() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        crate::sys::bind_to_device(&socket, "lo").unwrap();
        let port = socket.local_addr().unwrap().port();

        for asked in ["127.0.0.1", "::ffff:127.0.0.1"] {
            assert!(buffer(SocketAddr::new(asked.parse().unwrap(), port)).unwrap().is_some(), "{asked}");
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

        let found = buffer(address).unwrap().unwrap();
        assert!(found.dropped > 50 && found.used > 0 && found.most >= 4096, "{found:?}");
    }
}
