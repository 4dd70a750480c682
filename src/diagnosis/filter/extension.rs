//! Matches and targets of iptables, inside nf_tables or in its own tables: the common ones are evaluated, the rest give
//! "maybe".
//!
//! Layouts follow include/uapi/linux/netfilter/xt_*.h, in the machine's byte order.

use std::net::IpAddr;

use super::act::{Act, Match};
use super::packet::{Packet, Place, Protocol, Role};
use crate::probe::firewall::Judgement;

/// Whether a packet meets a match, and whether that depends on a count or rate.
pub(super) fn test(
    name: &str,
    revision: u32,
    info: &[u8],
    packet: &Packet,
    place: &Place<'_>,
) -> (Match, bool) {
    let matched = match (name, revision) {
        ("comment", _) => Some(true),
        ("tcp", 0) if packet.protocol == Protocol::Tcp => tcp(info, packet),
        ("udp", 0) if packet.protocol == Protocol::Udp => ports_of(info, packet, info.get(8).copied()),
        ("tcp" | "udp", 0) => Some(false),
        ("multiport", 1) => multiport(info, packet),
        ("owner", 1) => owner(info, packet, place),
        ("conntrack", 2..=3) => conntrack(info, packet, place),
        ("state", 0) => u32_at(info, 0).map(|mask| mask & state(packet, place) != 0),
        ("iprange", 1) => iprange(info, packet),
        ("mark", 1) => mark(info, place),
        _ => None,
    };
    let limited =
        matches!(name, "limit" | "hashlimit" | "connlimit" | "recent" | "quota" | "statistic" | "connbytes");
    (matched.map_or(Match::Maybe, |yes| if yes { Match::Yes } else { Match::No }), limited)
}

/// What a target does.
pub(super) fn target(name: &str, revision: u32, info: &[u8]) -> Act {
    match name {
        "REJECT" => Act::RejectTarget(u32_at(info, 0).unwrap_or(u32::MAX)),
        "DROP" => Act::Judge(Judgement::Drop),
        "ACCEPT" | "MASQUERADE" | "SNAT" | "NETMAP" => Act::Judge(Judgement::Accept),
        "DNAT" | "REDIRECT" => redirect(name, revision, info),
        "NFQUEUE" => Act::Queue {
            number: u16_at(info, 0).unwrap_or_default().into(),
            // The second revision stores it as a number, the third as a bit.
            bypass: revision >= 2 && u16_at(info, 4).is_some_and(|flags| flags & 1 == 1),
        },
        "SYNPROXY" | "TPROXY" | "TARPIT" | "DELUDE" | "CHAOS" => Act::Taken(name.to_owned()),
        _ => Act::Continue,
    }
}

/// nf_nat_range: flags, two addresses of 16 bytes, two ports in network order. The first revision for IPv4 has a count
/// before the flags, and addresses of 4 bytes.
fn redirect(name: &str, revision: u32, info: &[u8]) -> Act {
    let compat = revision == 0 && info.len() <= 24;
    let (flags, address, port, width) = if compat { (4, 8, 16, 4) } else { (0, 4, 36, 16) };
    let flags = u32_at(info, flags).unwrap_or_default();
    let bytes = info.get(address..address + width);
    // An IPv4 address occupies the first four of the sixteen bytes.
    let address = bytes.filter(|_| name == "DNAT" && flags & 1 != 0).map(<[u8]>::to_vec);
    let port = info.get(port..port + 2).filter(|_| flags & 2 != 0);
    Act::Redirect { address, port: port.and_then(|port| Some(u16::from_be_bytes(port.try_into().ok()?))) }
}

/// xt_tcp: two port ranges, an option, the mask and value of the flags, the inversion bits.
fn tcp(info: &[u8], packet: &Packet) -> Option<bool> {
    let (option, mask, wanted, inverted) = (*info.get(8)?, *info.get(9)?, *info.get(10)?, *info.get(11)?);
    if ports_of(info, packet, Some(inverted))? {
        let flags = match packet.role {
            Role::First => 0x02,
            Role::Answer => 0x12,
            Role::Later => 0x10,
        };
        let met = (flags & mask == wanted) != (inverted & 4 != 0);
        return if option == 0 { Some(met) } else { None };
    }
    Some(false)
}

/// Two port ranges; bits 1 and 2 of `inverted` invert them.
fn ports_of(info: &[u8], packet: &Packet, inverted: Option<u8>) -> Option<bool> {
    let inverted = inverted?;
    let range = |at| Some((u16_at(info, at)?, u16_at(info, at + 2)?));
    let (from, to) = (range(0)?, range(4)?);
    let met = |port: u16, (first, last): (u16, u16), bit: u8| {
        let everything = (first, last) == (0, u16::MAX);
        // A source port that the kernel has not chosen yet is unknown.
        (port != 0 || everything).then(|| (first..=last).contains(&port) != (inverted & bit != 0))
    };
    let to = met(packet.to.port(), to, 2);
    if to == Some(false) {
        Some(false)
    } else {
        to.zip(met(packet.from.port(), from, 1)).map(|(a, b)| a && b)
    }
}

/// xt_multiport_v1: which side, how many, 15 ports, which of them begin a range, whether the match is inverted.
fn multiport(info: &[u8], packet: &Packet) -> Option<bool> {
    let (side, count, inverted) = (*info.first()?, usize::from(*info.get(1)?), *info.get(47)? != 0);
    let port = match side {
        1 => packet.to.port(),
        _ => return None,
    };
    let (mut met, mut at) = (false, 0);
    while at < count.min(15) {
        let first = u16_at(info, 2 + at * 2)?;
        let is_range = *info.get(32 + at)? != 0;
        let last = if is_range { u16_at(info, 4 + at * 2)? } else { first };
        met |= (first..=last).contains(&port);
        at += if is_range { 2 } else { 1 };
    }
    Some(met != inverted)
}

/// xt_owner_match_info: users, groups, which of them are tested, which are inverted.
fn owner(info: &[u8], packet: &Packet, place: &Place<'_>) -> Option<bool> {
    let (asked, inverted) = (*info.get(16)?, *info.get(17)?);
    if place.outgoing.is_none() {
        return Some(false);
    }
    let within = |id: Option<u32>, at: usize, bit: u8| {
        if asked & bit == 0 {
            return Some(true);
        }
        Some((u32_at(info, at)?..=u32_at(info, at + 4)?).contains(&id?) != (inverted & bit != 0))
    };
    Some(within(packet.uid, 0, 1)? && within(packet.gid, 8, 2)?)
}

/// xt_conntrack_mtinfo: evaluated only if it tests nothing but the state.
fn conntrack(info: &[u8], packet: &Packet, place: &Place<'_>) -> Option<bool> {
    const XT_CONNTRACK_STATE: u16 = 1;
    let (asked, inverted, mask) = (u16_at(info, 146)?, u16_at(info, 148)?, u16_at(info, 150)?);
    if asked != XT_CONNTRACK_STATE {
        return None;
    }
    let met = u32::from(mask) & state(packet, place) != 0;
    Some(met != (inverted & XT_CONNTRACK_STATE != 0))
}

/// XT_CONNTRACK_STATE_BIT: 2 established, 8 new, 256 untracked.
fn state(packet: &Packet, place: &Place<'_>) -> u32 {
    match packet.role {
        _ if place.untracked => 256,
        Role::First => 8,
        Role::Answer | Role::Later => 2,
    }
}

/// xt_iprange_mtinfo: four addresses of 16 bytes, then flags: 1 source, 2 destination, 16 and 32 invert them.
fn iprange(info: &[u8], packet: &Packet) -> Option<bool> {
    let flags = *info.get(64)?;
    let within = |ip: IpAddr, at: usize| {
        let octets = match ip {
            IpAddr::V4(ip) if !ip.is_unspecified() => ip.octets().to_vec(),
            IpAddr::V6(ip) if !ip.is_unspecified() => ip.octets().to_vec(),
            _ => return None,
        };
        let (first, last) = (info.get(at..at + octets.len())?, info.get(at + 16..at + 16 + octets.len())?);
        Some(first <= &octets[..] && &octets[..] <= last)
    };
    let source = if flags & 1 == 0 { true } else { within(packet.from.ip(), 0)? != (flags & 16 != 0) };
    let destination = if flags & 2 == 0 { true } else { within(packet.to.ip(), 32)? != (flags & 32 != 0) };
    Some(source && destination)
}

/// xt_mark_mtinfo1: mark, mask, inverted.
fn mark(info: &[u8], place: &Place<'_>) -> Option<bool> {
    let (wanted, mask, inverted) = (u32_at(info, 0)?, u32_at(info, 4)?, *info.get(8)? != 0);
    Some((place.mark? & mask == wanted) != inverted)
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}
