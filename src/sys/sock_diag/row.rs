//! A row of the kernel's socket table, parsed: inet_diag_msg and its attributes.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::question::{INET_DIAG_MSG, INET_DIAG_SKMEMINFO};
use crate::sys::netlink::{attribute, malformed, u32_at};

const INET_DIAG_SKV6ONLY: u16 = 11;
const INET_DIAG_CGROUP_ID: u16 = 21;
const TIMER_TIME_WAIT: u8 = 3;
/// The index of SK_MEMINFO_DROPS among the words of the attribute.
const SK_MEMINFO_DROPS: usize = 8;

/// The state of a TCP socket, numbered as in include/net/tcp_states.h.
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
    /// Bound, neither listening nor connected; reported since Linux 6.8.
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

/// A TCP socket of this network namespace, as the kernel shows it to every user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Socket {
    /// Its state.
    pub state: TcpState,
    /// The address it is bound to.
    pub local: SocketAddr,
    /// The other end; port 0 if there is none.
    pub remote: SocketAddr,
    /// The inode behind `/proc/PID/fd/N -> socket:[inode]`; 0 once no process holds it.
    pub inode: u32,
    /// The user id of its creator.
    pub uid: u32,
    /// Unread bytes; for a listener, the connections waiting to be accepted.
    pub receive_queue: u32,
    /// Unacknowledged bytes; for a listener, how many connections may wait.
    pub send_queue: u32,
    /// For an IPv6 listener: whether it excludes IPv4. `None` if the kernel did not report it.
    pub v6only: Option<bool>,
    /// The cgroup it was created in: the inode of a directory under /sys/fs/cgroup.
    pub cgroup: Option<u64>,
    /// The interface it is bound to; 0 is any.
    pub interface: u32,
    /// The rest of its TIME_WAIT.
    pub expires: Option<Duration>,
}

/// Parses inet_diag_msg and its attributes; `None` for a state or family unknown to this program.
pub(super) fn read_socket(body: &[u8]) -> io::Result<Option<Socket>> {
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

/// How many datagrams a UDP socket dropped for lack of room; `None` if the kernel did not report it.
pub(super) fn drops(body: &[u8]) -> Option<u32> {
    u32_at(attribute(body.get(INET_DIAG_MSG..)?, INET_DIAG_SKMEMINFO)?, SK_MEMINFO_DROPS * 4)
}
