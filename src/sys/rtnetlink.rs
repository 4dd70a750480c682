//! Asks the kernel about links, addresses, routes, rules, neighbours and queues, the road `ip` and `tc` take (rtnetlink(7)).
//!
//! It needs no right and changes nothing. Offsets are those of include/uapi/linux/if_link.h, if_addr.h, rtnetlink.h,
//! fib_rules.h, neighbour.h and pkt_sched.h.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::Protocol;
use serde::Serialize;

use super::netlink::{Answer, Request, ask, attribute, attributes, malformed, text, u16_at, u32_at, u64_at};

mod traffic;
pub use traffic::{Filter, Qdisc};
pub(crate) use traffic::{filters, qdiscs};

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name; not yet escaped.
    pub name: String,
    /// Whether somebody set it up (IFF_UP). The operational state of `lo` is "unknown" up and down alike.
    pub up: bool,
    /// Whether there is a signal (IFF_LOWER_UP): a cable, the other end of a veth.
    pub carrier: bool,
    /// Whether it is the loopback interface.
    pub loopback: bool,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// Packets it received and dropped.
    pub received_dropped: u64,
    /// Packets it was to send and dropped.
    pub sent_dropped: u64,
    /// `veth`, `bridge`, `tun` …; empty for plain devices.
    pub kind: String,
    /// Whether an XDP program sees its packets first.
    pub xdp: bool,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// How many of its bits name the network.
    pub prefix: u8,
    /// The interface's number.
    pub link: u32,
}

/// What a route does with a packet: rtm_type of rtnetlink(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // ip-route(8) explains them.
pub enum RouteKind {
    Unicast,
    Local,
    Broadcast,
    Multicast,
    Blackhole,
    Unreachable,
    Prohibit,
    Throw,
    Other,
}

/// The way to an address, as the kernel chose it, or a row of its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Path {
    /// What it does.
    pub kind: RouteKind,
    /// The network it is for; `None` is every address.
    pub network: Option<(IpAddr, u8)>,
    /// The interface it goes out by; 0 is none.
    pub link: u32,
    /// The source address it gives.
    pub source: Option<IpAddr>,
    /// The next hop.
    pub gateway: Option<IpAddr>,
    /// The table it stands in: 254 is main, 255 local.
    pub table: u32,
    /// The largest packet it allows, where that is set.
    pub mtu: Option<u32>,
}

/// A rule that chooses the table, or forbids (ip-rule(8)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyRule {
    /// Lower is asked first.
    pub priority: u32,
    /// What it forbids with; `None` where it only chooses a table.
    pub forbids: Option<RouteKind>,
    /// Whom it is for.
    pub to: Option<(IpAddr, u8)>,
    /// From whom.
    pub from: Option<(IpAddr, u8)>,
    /// The users it is for, first and last.
    pub users: Option<(u32, u32)>,
    /// The destination ports it is for, first and last.
    pub ports: Option<(u16, u16)>,
    /// The interfaces it is for; not yet escaped.
    pub interfaces: Vec<String>,
    /// The mark it is for.
    pub mark: Option<u32>,
    /// Whether it means all the others (`not`).
    pub inverted: bool,
    /// The table it chooses.
    pub table: u32,
}

/// What is known about the machine at a neighbouring address: ndm_state of rtnetlink(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Neighbour {
    /// It answers, or did a while ago, or was written down by hand.
    Known,
    /// It is being asked for and has not answered.
    Incomplete,
    /// It did not answer.
    Failed,
    /// It needs no asking.
    NoArp,
    /// Nobody asked for it lately.
    Unasked,
}

/// What a dump gave; `cut` says that there is more, or that it changed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows<T> {
    /// The rows.
    pub(crate) rows: Vec<T>,
    /// Whether rows may be missing.
    pub(crate) cut: bool,
}

const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
const RTM_GETRULE: u16 = 34;
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;
/// rtmsg, fib_rule_hdr and ndmsg are all of this size.
const RTMSG: usize = 12;

pub(crate) fn links() -> io::Result<Rows<Link>> {
    rows(&ask(protocol(), &Request::dump(RTM_GETLINK, &[0; IFINFOMSG]))?, read_link)
}

pub(crate) fn addresses() -> io::Result<Rows<Address>> {
    rows(&ask(protocol(), &Request::dump(RTM_GETADDR, &[0; IFADDRMSG]))?, read_address)
}

/// The kernel's own choice for a TCP connection of this user: rules and policies included, nothing sent.
///
/// # Errors
/// The errno a connection would meet: ENETUNREACH, EHOSTUNREACH (unreachable), EACCES (prohibit), EINVAL (blackhole).
pub(crate) fn path_to(to: SocketAddr, from: Option<IpAddr>, link: u32) -> io::Result<Path> {
    const RTA_DST: u16 = 1;
    const RTA_SRC: u16 = 2;
    const RTA_OIF: u16 = 4;
    const RTA_IP_PROTO: u16 = 27;
    const RTA_DPORT: u16 = 29;
    let ip = to.ip();
    let mut fixed = [0; RTMSG];
    fixed[0] = family(ip);
    fixed[1] = bits(ip);
    fixed[2] = from.map_or(0, bits);
    let mut request = Request::one(RTM_GETROUTE, &fixed).with(RTA_DST, &octets(ip));
    if let Some(from) = from {
        request = request.with(RTA_SRC, &octets(from));
    }
    if link != 0 {
        request = request.with(RTA_OIF, &link.to_ne_bytes());
    }
    if to.port() != 0 {
        let tcp = [libc::IPPROTO_TCP as u8];
        request = request.with(RTA_IP_PROTO, &tcp).with(RTA_DPORT, &to.port().to_be_bytes());
    }
    let answer = ask(protocol(), &request)?;
    let message = answer.messages.iter().find(|message| message.kind == RTM_NEWROUTE);
    read_path(&message.ok_or_else(|| malformed("no route in the answer"))?.body)
}

/// The rows of every table of a family, at most [`super::netlink::MAX_ANSWER`] bytes of them.
pub(crate) fn routes(ipv6: bool) -> io::Result<Rows<Path>> {
    let mut fixed = [0; RTMSG];
    fixed[0] = if ipv6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
    rows(&ask(protocol(), &Request::dump(RTM_GETROUTE, &fixed))?, read_path)
}

pub(crate) fn policy_rules(ipv6: bool) -> io::Result<Rows<PolicyRule>> {
    let mut fixed = [0; RTMSG];
    fixed[0] = if ipv6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
    rows(&ask(protocol(), &Request::dump(RTM_GETRULE, &fixed))?, read_policy_rule)
}

/// What is known about a neighbour on a link.
pub(crate) fn neighbour(ip: IpAddr, link: u32) -> io::Result<Neighbour> {
    const NDA_DST: u16 = 1;
    let mut fixed = [0; RTMSG];
    fixed[0] = family(ip);
    fixed[4..8].copy_from_slice(&link.to_ne_bytes());
    let answer = match ask(protocol(), &Request::one(RTM_GETNEIGH, &fixed).with(NDA_DST, &octets(ip))) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(Neighbour::Unasked),
        answer => answer?,
    };
    let message = answer.messages.iter().find(|message| message.kind == RTM_NEWNEIGH);
    let state = message.and_then(|message| u16_at(&message.body, 8));
    Ok(neighbour_state(state.ok_or_else(|| malformed("no neighbour in the answer"))?))
}

/// NUD_ bits of include/uapi/linux/neighbour.h.
fn neighbour_state(bits: u16) -> Neighbour {
    match bits {
        0x01 => Neighbour::Incomplete,
        0x20 => Neighbour::Failed,
        0x40 => Neighbour::NoArp,
        0 => Neighbour::Unasked,
        _ => Neighbour::Known,
    }
}

/// NETLINK_ROUTE is protocol 0.
fn protocol() -> Option<Protocol> {
    None
}

fn rows<T>(answer: &Answer, read: impl Fn(&[u8]) -> io::Result<T>) -> io::Result<Rows<T>> {
    let rows = answer.messages.iter().map(|message| read(&message.body)).collect::<io::Result<_>>()?;
    Ok(Rows { rows, cut: answer.truncated || answer.interrupted })
}

/// ifinfomsg: family, pad, type, index, flags, change.
fn read_link(body: &[u8]) -> io::Result<Link> {
    const IFLA_IFNAME: u16 = 3;
    const IFLA_MTU: u16 = 4;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_STATS64: u16 = 23;
    const IFLA_XDP: u16 = 43;
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_XDP_ATTACHED: u16 = 2;
    let (Some(index), Some(flags), Some(rest)) = (u32_at(body, 4), u32_at(body, 8), body.get(IFINFOMSG..))
    else {
        return Err(malformed("a link cut short"));
    };
    let is = |flag: i32| flags & flag as u32 != 0;
    let mut link = Link {
        index,
        up: is(libc::IFF_UP),
        carrier: is(libc::IFF_LOWER_UP),
        loopback: is(libc::IFF_LOOPBACK),
        ..Link::default()
    };
    for (kind, payload) in attributes(rest) {
        match kind {
            IFLA_IFNAME => link.name = text(payload),
            IFLA_MTU => link.mtu = u32_at(payload, 0).unwrap_or_default(),
            IFLA_LINKINFO => link.kind = attribute(payload, IFLA_INFO_KIND).map(text).unwrap_or_default(),
            // rtnl_link_stats64: the seventh and eighth of its numbers.
            IFLA_STATS64 => {
                link.received_dropped = u64_at(payload, 48).unwrap_or_default();
                link.sent_dropped = u64_at(payload, 56).unwrap_or_default();
            }
            IFLA_XDP => {
                link.xdp = attribute(payload, IFLA_XDP_ATTACHED).is_some_and(|mode| mode.first() != Some(&0));
            }
            _ => {}
        }
    }
    Ok(link)
}

/// ifaddrmsg: family, prefix length, flags, scope, index. Of a point-to-point link, IFA_LOCAL is ours.
fn read_address(body: &[u8]) -> io::Result<Address> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let (Some(link), Some(rest)) = (u32_at(body, 4), body.get(IFADDRMSG..)) else {
        return Err(malformed("an address cut short"));
    };
    let ip = attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS)).and_then(ip_of);
    let ip = ip.ok_or_else(|| malformed("an address without itself"))?;
    Ok(Address { ip, prefix: body[1], link })
}

/// rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags.
fn read_path(body: &[u8]) -> io::Result<Path> {
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTA_PREFSRC: u16 = 7;
    const RTA_METRICS: u16 = 8;
    const RTA_TABLE: u16 = 15;
    const RTA_VIA: u16 = 18;
    const RTAX_MTU: u16 = 2;
    let rest = body.get(RTMSG..).ok_or_else(|| malformed("a route cut short"))?;
    let mut path = Path {
        kind: route_kind(body[7]),
        network: None,
        link: 0,
        source: None,
        gateway: None,
        table: body[4].into(),
        mtu: None,
    };
    for (kind, payload) in attributes(rest) {
        match kind {
            RTA_DST => path.network = ip_of(payload).map(|ip| (ip, body[1])),
            RTA_OIF => path.link = u32_at(payload, 0).unwrap_or_default(),
            RTA_GATEWAY => path.gateway = ip_of(payload),
            // A next hop of the other family: its family in two bytes, then its address.
            RTA_VIA => path.gateway = payload.get(2..).and_then(ip_of),
            RTA_PREFSRC => path.source = ip_of(payload),
            RTA_METRICS => path.mtu = attribute(payload, RTAX_MTU).and_then(|mtu| u32_at(mtu, 0)),
            RTA_TABLE => path.table = u32_at(payload, 0).unwrap_or(path.table),
            _ => {}
        }
    }
    Ok(path)
}

/// RTN_ numbers of include/uapi/linux/rtnetlink.h.
fn route_kind(number: u8) -> RouteKind {
    match number {
        1 => RouteKind::Unicast,
        2 => RouteKind::Local,
        3 => RouteKind::Broadcast,
        5 => RouteKind::Multicast,
        6 => RouteKind::Blackhole,
        7 => RouteKind::Unreachable,
        8 => RouteKind::Prohibit,
        9 => RouteKind::Throw,
        _ => RouteKind::Other,
    }
}

/// fib_rule_hdr: family, dst_len, src_len, tos, table, two reserved, action, flags.
fn read_policy_rule(body: &[u8]) -> io::Result<PolicyRule> {
    const FIB_RULE_INVERT: u32 = 2;
    let (Some(flags), Some(rest)) = (u32_at(body, 8), body.get(RTMSG..)) else {
        return Err(malformed("a rule cut short"));
    };
    let number = |kind| attribute(rest, kind).and_then(|payload| u32_at(payload, 0));
    let network = |kind, length: u8| attribute(rest, kind).and_then(ip_of).map(|ip| (ip, length));
    let ports = attribute(rest, 24).and_then(|ports| Some((u16_at(ports, 0)?, u16_at(ports, 2)?)));
    Ok(PolicyRule {
        priority: number(6).unwrap_or_default(),
        // FR_ACT_BLACKHOLE, FR_ACT_UNREACHABLE and FR_ACT_PROHIBIT are RTN_'s numbers of the same names.
        forbids: matches!(body[7], 6..=8).then(|| route_kind(body[7])),
        to: network(1, body[1]),
        from: network(2, body[2]),
        users: attribute(rest, 20).and_then(|users| Some((u32_at(users, 0)?, u32_at(users, 4)?))),
        ports,
        interfaces: [3, 17].into_iter().filter_map(|kind| attribute(rest, kind)).map(text).collect(),
        mark: number(10),
        inverted: flags & FIB_RULE_INVERT != 0,
        table: number(15).unwrap_or(body[4].into()),
    })
}

fn family(ip: IpAddr) -> u8 {
    (if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn ip_of(payload: &[u8]) -> Option<IpAddr> {
    match payload.len() {
        4 => Some(<[u8; 4]>::try_from(payload).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(payload).ok()?.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
