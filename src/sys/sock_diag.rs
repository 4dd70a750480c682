//! Asks the kernel about its TCP sockets over NETLINK_SOCK_DIAG, the road `ss` takes (sock_diag(7)).
//!
//! It changes nothing, needs no right and finds no process: a socket's owner is `probe/holders.rs`'s. It needs no
//! `unsafe` either, but the layout it reads is the kernel's, so it lives here. Offsets are those of
//! include/uapi/linux/netlink.h and inet_diag.h. A netlink socket that was never bound or connected talks to the
//! kernel (port id 0), and only a process with CAP_NET_ADMIN could send it anything else (netlink_sendmsg).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};
use serde::Serialize;

/// The state of a TCP socket, by the numbers of include/net/tcp_states.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // tcp(7) and RFC 9293 name them.
pub enum TcpState {
    Established,
    SynSent,
    SynReceived,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    NewSynReceived,
    /// Bound, neither listening nor connected; shown since Linux 6.8.
    BoundInactive,
}

impl TcpState {
    const ALL: [TcpState; 13] = [
        TcpState::Established,
        TcpState::SynSent,
        TcpState::SynReceived,
        TcpState::FinWait1,
        TcpState::FinWait2,
        TcpState::TimeWait,
        TcpState::Close,
        TcpState::CloseWait,
        TcpState::LastAck,
        TcpState::Listen,
        TcpState::Closing,
        TcpState::NewSynReceived,
        TcpState::BoundInactive,
    ];

    /// The state with this kernel number, from 1 to 13.
    pub fn from_number(number: u8) -> Option<TcpState> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The state as tcp(7) and `netstat` write it.
    pub fn name(self) -> &'static str {
        match self {
            TcpState::Established => "ESTABLISHED",
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynReceived | TcpState::NewSynReceived => "SYN_RECV",
            TcpState::FinWait1 => "FIN_WAIT1",
            TcpState::FinWait2 => "FIN_WAIT2",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::Listen => "LISTEN",
            TcpState::Closing => "CLOSING",
            TcpState::BoundInactive => "BOUND",
        }
    }
}

/// A TCP socket of this network namespace, as the kernel shows it to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Socket {
    /// Its state.
    pub state: TcpState,
    /// The address it is bound to.
    pub local: SocketAddr,
    /// The other end; port 0 where there is none.
    pub remote: SocketAddr,
    /// The inode behind `/proc/PID/fd/N -> socket:[inode]`; 0 once no process holds it.
    pub inode: u32,
    /// The user who made it.
    pub uid: u32,
    /// Unread bytes; of a listener, the connections that wait to be accepted.
    pub receive_queue: u32,
    /// Unacknowledged bytes; of a listener, how many connections may wait.
    pub send_queue: u32,
    /// Of an IPv6 listener: whether it leaves IPv4 alone. `None` where the kernel did not say.
    pub v6only: Option<bool>,
    /// The cgroup it was made in: the inode of a directory under /sys/fs/cgroup.
    pub cgroup: Option<u64>,
    /// The interface it is bound to; 0 is any.
    pub interface: u32,
    /// How much longer TIME_WAIT lasts.
    pub expires: Option<Duration>,
}

/// What a dump gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dump {
    /// The sockets, IPv4 first.
    pub(crate) sockets: Vec<Socket>,
    /// Whether there were more than [`MAX_SOCKETS`].
    pub(crate) truncated: bool,
}

/// A port can have tens of thousands of connections; a diagnosis is as good with this many.
const MAX_SOCKETS: usize = 4096;
/// The kernel fills at most 32 KiB of a dump at a time (netlink_dump).
const BUFFER: usize = 32 * 1024;
/// The kernel answers within the call; the limit is for a kernel that does not.
const PATIENCE: Duration = Duration::from_secs(1);

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_MULTI: u16 = 0x002;
const NLM_F_DUMP: u16 = 0x300;
const INET_DIAG_SKV6ONLY: u16 = 11;
const INET_DIAG_CGROUP_ID: u16 = 21;
const HEADER: usize = 16;
const INET_DIAG_MSG: usize = 72;
const TIMER_TIME_WAIT: u8 = 3;
const SEQUENCE: u32 = 1;

/// The listener a connection to `address` would meet: the kernel's own look-up, wildcard, dual-stack and SO_REUSEPORT
/// included, without connecting.
pub(crate) fn listener(address: SocketAddr) -> io::Result<Option<Socket>> {
    let address = as_dialled(address);
    let socket = open()?;
    // A peer with port 1 cannot be a live connection's, so the answer is the listener (inet_diag_find_one_icsk).
    let peer = SocketAddr::new(address.ip(), 1);
    net::send(&socket, &request(NLM_F_REQUEST, address, Some(peer)), SendFlags::empty())?;
    let mut answer = Dump::default();
    match receive(&socket, &mut answer) {
        Ok(_) => Ok(answer.sockets.into_iter().next().filter(|found| found.state == TcpState::Listen)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a connection to `address` would meet a listener.
pub(crate) fn listens(address: SocketAddr) -> io::Result<bool> {
    Ok(listener(address)?.is_some())
}

/// Every TCP socket whose local port is `port`, in any state, of both families.
pub(crate) fn on_port(port: u16) -> io::Result<Dump> {
    let mut dump = Dump::default();
    for ip in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
        let socket = open()?;
        let wanted = request(NLM_F_REQUEST | NLM_F_DUMP, SocketAddr::new(ip, port), None);
        net::send(&socket, &wanted, SendFlags::empty())?;
        while !receive(&socket, &mut dump)? && !dump.truncated {}
    }
    Ok(dump)
}

fn open() -> io::Result<OwnedFd> {
    let protocol = Some(netlink::SOCK_DIAG);
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    Ok(socket)
}

/// The address a dial really meets: 0.0.0.0 and [::] are this host, and ::ffff:a.b.c.d is IPv4.
fn as_dialled(address: SocketAddr) -> SocketAddr {
    let mut dialled = address;
    dialled.set_ip(match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    });
    dialled
}

/// nlmsghdr and inet_diag_req_v2. Without a peer it is a dump over the port alone.
fn request(flags: u16, local: SocketAddr, peer: Option<SocketAddr>) -> Vec<u8> {
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut bytes = Vec::with_capacity(72);
    bytes.extend(72u32.to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(SEQUENCE.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    // All states, those a later kernel may add as well: sdiag_family, protocol, ext, pad, states.
    bytes.extend([family as u8, libc::IPPROTO_TCP as u8, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(peer.map_or(0, |peer| peer.port()).to_be_bytes());
    bytes.extend(sixteen(local.ip()));
    bytes.extend(peer.map_or([0; 16], |peer| sixteen(peer.ip())));
    let scope = if let SocketAddr::V6(v6) = local { v6.scope_id() } else { 0 };
    bytes.extend(scope.to_ne_bytes());
    bytes.extend([0xff; 8]); // INET_DIAG_NOCOOKIE twice
    bytes
}

fn sixteen(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
    }
}

/// Receives one datagram into the dump; true when it was the last.
fn receive(socket: &OwnedFd, dump: &mut Dump) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER];
    let (_, length) = rustix::io::retry_on_intr(|| net::recv(socket, &mut buffer[..], RecvFlags::TRUNC))?;
    let Some(datagram) = buffer.get(..length) else {
        return Err(malformed("a datagram larger than the buffer"));
    };
    read_datagram(datagram, dump)
}

/// Reads the messages of one datagram; true when no more will come.
fn read_datagram(mut rest: &[u8], dump: &mut Dump) -> io::Result<bool> {
    while !rest.is_empty() {
        let (Some(length), Some(kind), Some(flags)) = (u32_at(rest, 0), u16_at(rest, 4), u16_at(rest, 6))
        else {
            return Err(malformed("a message without its header"));
        };
        let length = length as usize;
        let body = rest.get(HEADER..length).ok_or_else(|| malformed("a message cut short"))?;
        match kind {
            NLMSG_DONE | NLMSG_ERROR => return end_of_answer(kind, body),
            SOCK_DIAG_BY_FAMILY if dump.sockets.len() >= MAX_SOCKETS => {
                dump.truncated = true;
                return Ok(true);
            }
            SOCK_DIAG_BY_FAMILY => dump.sockets.extend(read_socket(body)?),
            _ => {}
        }
        if flags & NLM_F_MULTI == 0 {
            return Ok(true);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// An error and the end of a dump both carry an errno, negative, or 0.
fn end_of_answer(kind: u16, body: &[u8]) -> io::Result<bool> {
    match u32_at(body, 0).map(|code| (code as i32).wrapping_neg()) {
        Some(errno) if errno > 0 => Err(io::Error::from_raw_os_error(errno)),
        None if kind == NLMSG_ERROR => Err(malformed("an error without its number")),
        _ => Ok(true),
    }
}

/// inet_diag_msg and its attributes. A state or family of a later kernel is no socket of ours: `None`.
fn read_socket(body: &[u8]) -> io::Result<Option<Socket>> {
    if body.len() < INET_DIAG_MSG {
        return Err(malformed("a socket cut short"));
    }
    let word = |offset| u32_at(body, offset).unwrap_or_default();
    let interface = word(40);
    let (Some(local), Some(remote)) = (address_at(body, 8, 4, interface), address_at(body, 24, 6, interface))
    else {
        return Ok(None);
    };
    let Some(state) = TcpState::from_number(body[1]) else { return Ok(None) };
    let attributes = &body[INET_DIAG_MSG..];
    Ok(Some(Socket {
        state,
        local,
        remote,
        inode: word(68),
        uid: word(64),
        receive_queue: word(56),
        send_queue: word(60),
        v6only: attribute(attributes, INET_DIAG_SKV6ONLY).and_then(|value| value.first()).map(|v| *v != 0),
        cgroup: attribute(attributes, INET_DIAG_CGROUP_ID)
            .and_then(|value| value.try_into().ok())
            .map(u64::from_ne_bytes),
        interface,
        expires: (body[2] == TIMER_TIME_WAIT).then(|| Duration::from_millis(word(52).into())),
    }))
}

fn address_at(body: &[u8], ip: usize, port: usize, interface: u32) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(body.get(port..port + 2)?.try_into().ok()?);
    match i32::from(*body.first()?) {
        libc::AF_INET => {
            let octets: [u8; 4] = body.get(ip..ip + 4)?.try_into().ok()?;
            Some((octets, port).into())
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = body.get(ip..ip + 16)?.try_into().ok()?;
            let ip = Ipv6Addr::from(octets);
            let scope = if ip.is_unicast_link_local() { interface } else { 0 };
            Some(std::net::SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => None,
    }
}

/// The payload of the first attribute of this type.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (length, kind) = (usize::from(u16_at(rest, 0)?), u16_at(rest, 2)?);
        let payload = rest.get(4..length)?;
        if kind == wanted {
            return Some(payload);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("sock_diag: {what}"))
}

#[cfg(test)]
mod tests;
