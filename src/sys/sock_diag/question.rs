//! One request for sockets of the Internet families: inet_diag_req_v2 of include/uapi/linux/inet_diag.h.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::netlink::SOCK_DIAG;

use crate::sys::netlink::{Answer, Request, ask, sixteen};

pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// The length of inet_diag_msg; its attributes follow.
pub(super) const INET_DIAG_MSG: usize = 72;
/// The attribute with a UDP socket's memory and drops.
pub(super) const INET_DIAG_SKMEMINFO: u16 = 7;
/// A bit for each state, by its number; a later kernel may have more states.
pub(super) const ALL_STATES: u32 = u32::MAX;
/// Traffic to an address of this machine arrives on `lo`, whose index is 1 in every network namespace
/// (LOOPBACK_IFINDEX); it does not reach a listener bound to another device.
pub(super) const LOOPBACK_INDEX: u32 = 1;
/// Both families; each needs its own request.
pub(super) const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// The protocol of the requested sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp = libc::IPPROTO_TCP as isize,
    Udp = libc::IPPROTO_UDP as isize,
}

/// Which sockets to return, and with which attribute. Port 0 is any.
pub(super) struct Question {
    pub(super) protocol: Protocol,
    /// The attribute to return with each row, such as INET_DIAG_INFO; 0 is none.
    pub(super) attribute: u16,
    pub(super) states: u32,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// The interface on which their traffic would arrive; 0 is any. A link-local address carries its own.
    pub(super) interface: u32,
}

impl Question {
    /// The one matching socket, parsed by `read`; `None` if there is none.
    ///
    /// # Errors
    /// EMFILE without a free descriptor, EPERM or EPROTONOSUPPORT if this process may not query the kernel.
    pub(super) fn one<T>(&self, read: impl FnOnce(&[u8]) -> io::Result<Option<T>>) -> io::Result<Option<T>> {
        match ask(Some(SOCK_DIAG), &Request::one(SOCK_DIAG_BY_FAMILY, &self.bytes())) {
            Ok(answer) => answer.messages.first().map_or(Ok(None), |message| read(&message.body)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All matching sockets.
    ///
    /// # Errors
    /// As for [`Question::one`].
    pub(super) fn all(&self) -> io::Result<Answer> {
        ask(Some(SOCK_DIAG), &Request::dump(SOCK_DIAG_BY_FAMILY, &self.bytes()))
    }

    fn bytes(&self) -> Vec<u8> {
        let family = if self.local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let extensions = self.attribute.checked_sub(1).map_or(0, |bit| 1u8 << bit);
        let scope = if let SocketAddr::V6(v6) = self.local { v6.scope_id() } else { 0 };
        let interface = if scope == 0 { self.interface } else { scope };
        let mut bytes = Vec::with_capacity(56);
        bytes.extend([family as u8, self.protocol as u8, extensions, 0]);
        bytes.extend(self.states.to_ne_bytes());
        bytes.extend(self.local.port().to_be_bytes());
        bytes.extend(self.remote.port().to_be_bytes());
        bytes.extend(sixteen(self.local.ip()));
        bytes.extend(sixteen(self.remote.ip()));
        bytes.extend(interface.to_ne_bytes());
        bytes.extend([0xff; 8]); // INET_DIAG_NOCOOKIE twice
        bytes
    }
}

/// The address that a dial really reaches: 0.0.0.0 and [::] are this host, and ::ffff:a.b.c.d is IPv4.
pub(super) fn as_dialled(address: SocketAddr) -> SocketAddr {
    let mut dialled = canonical(address);
    match dialled.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => dialled.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => dialled.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    dialled
}

/// Converts ::ffff:a.b.c.d to the IPv4 address.
pub(super) fn canonical(mut address: SocketAddr) -> SocketAddr {
    let ip = address.ip().to_canonical();
    if ip != address.ip() {
        address.set_ip(ip);
    }
    address
}
