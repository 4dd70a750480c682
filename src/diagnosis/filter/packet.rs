//! The packet that rules are evaluated against, as far as it is known. Pure.
//!
//! The first packet of a connection and the answer to it decide. Whatever depends on chance or on unknown programs (a
//! sequence number, a source port not chosen yet) is unknown, byte by byte, and a test of it gives "maybe".

use std::net::{IpAddr, SocketAddr};

use crate::probe::firewall::Load;

/// Which packet of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The first: SYN, or a first datagram.
    First,
    /// The answer to it: SYN and ACK.
    Answer,
    /// A later one, with data.
    Later,
}

/// The transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its index; 0 means unknown.
    pub index: u32,
    /// Its name, not escaped.
    pub name: String,
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Which packet of the connection.
    pub role: Role,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The sender; an unspecified address or port 0 means unknown.
    pub from: SocketAddr,
    /// The destination.
    pub to: SocketAddr,
    /// The user whose socket sent it, if known.
    pub uid: Option<u32>,
    /// The group of that user.
    pub gid: Option<u32>,
    /// Its length in bytes with the IP header, if known.
    pub length: Option<u32>,
}

impl Packet {
    /// The first packet of a TCP connection.
    pub fn first(from: SocketAddr, to: SocketAddr, uid: u32, gid: u32) -> Packet {
        // 20 or 40 bytes of IP, 20 of TCP and 20 of options: net/ipv4/tcp_output.c, tcp_syn_options.
        let length = Some(if to.is_ipv4() { 60 } else { 80 });
        Packet {
            role: Role::First,
            protocol: Protocol::Tcp,
            from,
            to,
            uid: Some(uid),
            gid: Some(gid),
            length,
        }
    }

    /// The answer to this one.
    pub fn answer(&self) -> Packet {
        // The listener's socket sends it; rules in practice do not match its user.
        Packet { role: Role::Answer, from: self.to, to: self.from, uid: None, gid: None, ..self.clone() }
    }

    /// A later packet of `length` bytes in total.
    pub fn later(&self, length: u32) -> Packet {
        Packet { role: Role::Later, length: Some(length), ..self.clone() }
    }

    /// Whether it goes from the client to the service.
    pub(super) fn is_original(&self) -> bool {
        self.role != Role::Answer
    }
}

/// Bytes, each of them known or unknown.
pub(super) type Bytes = Vec<Option<u8>>;

/// The state of the packet at the point where a rule sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The interface it arrived on.
    pub(super) incoming: Option<&'a Device>,
    /// The interface it leaves by.
    pub(super) outgoing: Option<&'a Device>,
    /// Its mark at this point; `None` means unknown.
    pub(super) mark: Option<u32>,
    /// Whether a rule excluded it from connection tracking.
    pub(super) untracked: bool,
    /// Whether no rule sets connection marks.
    pub(super) plain_marks: bool,
}

/// What a load yields: bytes, or `None` if there is nothing to load, which ends the rule (NFT_BREAK).
pub(super) fn load(packet: &Packet, place: &Place<'_>, load: &Load) -> Option<Bytes> {
    match load {
        Load::Meta(key) => meta(packet, place, *key),
        Load::Payload { base: 1, offset, length } => Some(cut(&network(packet), *offset, *length)),
        Load::Payload { base: 2, offset, length } => Some(cut(&transport(packet), *offset, *length)),
        Load::Payload { length, .. } => Some(unknown(*length)),
        Load::Connection { key, reply } => Some(connection(packet, place, *key, *reply)),
        Load::Other(_) => Some(unknown(16)),
    }
}

/// NFT_META_ numbers of include/uapi/linux/netfilter/nf_tables.h.
fn meta(packet: &Packet, place: &Place<'_>, key: u32) -> Option<Bytes> {
    let index = |device: Option<&Device>| match device {
        Some(device) if device.index == 0 => unknown(4),
        Some(device) => known(&device.index.to_ne_bytes()),
        None => known(&[0; 4]),
    };
    let name = |device: Option<&Device>| {
        let mut bytes = device.map_or(Vec::new(), |device| device.name.as_bytes().to_vec());
        bytes.resize(16, 0);
        known(&bytes)
    };
    // An incoming packet has no sender's socket, even if this machine sent it (skb_orphan).
    let socket = |id: Option<u32>| match (place.outgoing, id) {
        (None, _) => None,
        (Some(_), Some(id)) => Some(known(&id.to_ne_bytes())),
        (Some(_), None) => Some(unknown(4)),
    };
    Some(match key {
        0 => packet.length.map_or(unknown(4), |length| known(&length.to_ne_bytes())),
        1 => known(if packet.to.is_ipv4() { &[0x08, 0x00] } else { &[0x86, 0xdd] }),
        3 => place.mark.map_or(unknown(4), |mark| known(&mark.to_ne_bytes())),
        4 => index(place.incoming),
        5 => index(place.outgoing),
        6 => name(place.incoming),
        7 => name(place.outgoing),
        10 => socket(packet.uid)?,
        11 => socket(packet.gid)?,
        15 => known(&[if packet.to.is_ipv4() { 2 } else { 10 }]),
        16 => known(&[protocol_number(packet)]),
        _ => unknown(4),
    })
}

/// NFT_CT_ numbers; the states are bits: 2 established, 8 new, 64 untracked.
fn connection(packet: &Packet, place: &Place<'_>, key: u32, reply: Option<bool>) -> Bytes {
    let original = packet.is_original();
    let state: u32 = match packet.role {
        _ if place.untracked => 64,
        Role::First => 8,
        Role::Answer | Role::Later => 2,
    };
    // The addresses are those of the original direction, which a translation may have changed: only the service's end
    // is certain enough.
    let (client, service) = if original { (packet.from, packet.to) } else { (packet.to, packet.from) };
    let wanted = if reply == Some(true) { (service, client) } else { (client, service) };
    match key {
        0 => known(&state.to_ne_bytes()),
        1 => known(&[u8::from(!original)]),
        3 if place.plain_marks => known(&0u32.to_ne_bytes()),
        8 | 19 | 21 => address(wanted.0.ip()),
        9 | 20 | 22 => address(wanted.1.ip()),
        10 => known(&[protocol_number(packet)]),
        11 => port(wanted.0.port()),
        12 => port(wanted.1.port()),
        _ => unknown(16),
    }
}

fn protocol_number(packet: &Packet) -> u8 {
    (match packet.protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
    }) as u8
}

/// The IP header: RFC 791, RFC 8200.
fn network(packet: &Packet) -> Bytes {
    let ipv4 = packet.to.is_ipv4();
    let mut header = unknown(if ipv4 { 20 } else { 40 });
    let (protocol, from, to, width) = if ipv4 { (9, 12, 16, 4) } else { (6, 8, 24, 16) };
    header[0] = Some(if ipv4 { 0x45 } else { 0x60 });
    header[protocol] = Some(protocol_number(packet));
    header[from..from + width].copy_from_slice(&address(packet.from.ip()));
    header[to..to + width].copy_from_slice(&address(packet.to.ip()));
    if let (true, Some(length)) = (ipv4, packet.length) {
        header[2..4].copy_from_slice(&known(&(length as u16).to_be_bytes()));
    }
    header
}

/// The TCP or UDP header: RFC 9293, RFC 768.
fn transport(packet: &Packet) -> Bytes {
    let mut header = unknown(if packet.protocol == Protocol::Tcp { 20 } else { 8 });
    header[0..2].copy_from_slice(&port(packet.from.port()));
    header[2..4].copy_from_slice(&port(packet.to.port()));
    if packet.protocol == Protocol::Tcp {
        header[13] = match packet.role {
            Role::First => Some(0x02),
            Role::Answer => Some(0x12),
            Role::Later => None,
        };
    }
    header
}

fn address(ip: IpAddr) -> Bytes {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => unknown(4),
        IpAddr::V4(ip) => known(&ip.octets()),
        IpAddr::V6(ip) if ip.is_unspecified() => unknown(16),
        IpAddr::V6(ip) => known(&ip.octets()),
    }
}

fn port(port: u16) -> Bytes {
    if port == 0 { unknown(2) } else { known(&port.to_be_bytes()) }
}

pub(super) fn known(bytes: &[u8]) -> Bytes {
    bytes.iter().copied().map(Some).collect()
}

fn unknown(length: u32) -> Bytes {
    vec![None; length.min(64) as usize]
}

/// The bytes of a header at an offset; those beyond the header are unknown.
fn cut(header: &[Option<u8>], offset: u32, length: u32) -> Bytes {
    let at = |index: u32| header.get(index as usize).copied().flatten();
    (0..length.min(64)).map(|index| at(offset.saturating_add(index))).collect()
}
