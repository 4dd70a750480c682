//! The route to an address, and the tables it is chosen from. Offsets follow include/uapi/linux/rtnetlink.h.

use std::io;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::super::netlink::{Request, ask, attribute, attributes, malformed, u32_at};
use super::{RTMSG, Rows, bits, family, ip_of, octets, protocol, rows};

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

/// The route that the kernel chose for an address, or a row of its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Path {
    /// Its type.
    pub kind: RouteKind,
    /// The destination network; `None` is every address.
    pub network: Option<(IpAddr, u8)>,
    /// The outgoing interface; 0 is none.
    pub link: u32,
    /// The source address it sets.
    pub source: Option<IpAddr>,
    /// The next hop.
    pub gateway: Option<IpAddr>,
    /// Its table: 254 is main, 255 local.
    pub table: u32,
    /// The largest packet it allows in bytes, if set.
    pub mtu: Option<u32>,
}

const RTM_NEWROUTE: u16 = 24;
pub(super) const RTM_GETROUTE: u16 = 26;

/// The route that the kernel would choose for a TCP connection of this user, rules and policies included. Nothing is
/// sent.
///
/// # Errors
/// The errno that connect(2) would return: ENETUNREACH, EHOSTUNREACH (unreachable), EACCES (prohibit), EINVAL
/// (blackhole).
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
    read(&message.ok_or_else(|| malformed("no route in the answer"))?.body)
}

/// The rows of every table of a family, at most [`super::netlink::MAX_ANSWER`] bytes.
pub(crate) fn routes(ipv6: bool) -> io::Result<Rows<Path>> {
    let mut fixed = [0; RTMSG];
    fixed[0] = if ipv6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
    rows(&ask(protocol(), &Request::dump(RTM_GETROUTE, &fixed))?, read)
}

/// rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags.
pub(super) fn read(body: &[u8]) -> io::Result<Path> {
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
            // A next hop of the other family: two bytes of family, then the address.
            RTA_VIA => path.gateway = payload.get(2..).and_then(ip_of),
            RTA_PREFSRC => path.source = ip_of(payload),
            RTA_METRICS => path.mtu = attribute(payload, RTAX_MTU).and_then(|mtu| u32_at(mtu, 0)),
            RTA_TABLE => path.table = u32_at(payload, 0).unwrap_or(path.table),
            _ => {}
        }
    }
    Ok(path)
}

/// The RTN_ numbers of include/uapi/linux/rtnetlink.h.
pub(super) fn route_kind(number: u8) -> RouteKind {
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
