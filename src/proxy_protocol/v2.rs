//! Version 2: sixteen fixed bytes, two addresses and TLVs (section 2.2).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::header::{Ends, Header, UNIX_ENDS, canonical};
use super::malformed::{LONGEST, Malformed};
use super::tlv::{self, CRC32C_TLV, Read, Tlvs};
use crate::address::Protocol;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED: usize = 16;
const VERSION: u8 = 2;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
const UNSPEC: u8 = 0;
const INET: u8 = 1;
const INET6: u8 = 2;
const UNIX: u8 = 3;
const STREAM: u8 = 1;
const DATAGRAM: u8 = 2;

/// See [`super::read`].
pub(super) fn read(bytes: &[u8]) -> Option<Result<(Header, usize), Malformed>> {
    let fixed = match fixed(bytes)? {
        Ok(fixed) => fixed,
        Err(wrong) => return Some(Err(wrong)),
    };
    let length = FIXED + usize::from(fixed.length);
    let whole = bytes.get(..length)?;
    Some(fixed.header(whole).map(|header| (header, length)))
}

/// See [`super::read_carried`].
pub(super) fn read_carried(bytes: &[u8], protocol: Protocol) -> Result<Header, Malformed> {
    let fixed = fixed(bytes).ok_or(Malformed::Partial)??;
    if bytes.len() != FIXED + usize::from(fixed.length) {
        return Err(Malformed::Partial);
    }
    if fixed.command == LOCAL {
        return Err(Malformed::Local);
    }
    let is_unnamed = (fixed.family, fixed.transport) == (UNSPEC, UNSPEC);
    if !is_unnamed && (fixed.family == UNSPEC || fixed.transport != transport(protocol)) {
        return Err(Malformed::OtherTransport(fixed.transport));
    }
    let addresses = bytes[FIXED..].split_at_checked(fixed.addresses());
    let (addresses, rest) = addresses.ok_or(Malformed::Short(fixed.length))?;
    let tlvs = Tlvs::read(rest)?;
    verify(bytes, rest, &tlvs)?;
    Ok(Header { ends: fixed.named(addresses).unwrap_or(Ends::Unnamed), tlvs: tlvs.kept })
}

fn transport(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => STREAM,
        Protocol::Udp => DATAGRAM,
    }
}

/// The first sixteen bytes, checked.
struct Fixed {
    command: u8,
    family: u8,
    transport: u8,
    length: u16,
}

/// Reads as much of the fixed part as there is, so that a wrong byte is refused before the next one arrives.
fn fixed(bytes: &[u8]) -> Option<Result<Fixed, Malformed>> {
    if bytes.iter().zip(SIGNATURE).any(|(a, b)| a != b) {
        return Some(Err(Malformed::Absent));
    }
    let (version, command) = nibbles(*bytes.get(12)?);
    if version != VERSION {
        return Some(Err(Malformed::Version(version)));
    }
    if command > PROXY {
        return Some(Err(Malformed::Command(command)));
    }
    let (family, transport) = nibbles(*bytes.get(13)?);
    // The family of a LOCAL header is ignored.
    if command == PROXY && family > UNIX {
        return Some(Err(Malformed::Family(family)));
    }
    if command == PROXY && transport > DATAGRAM {
        return Some(Err(Malformed::Transport(transport)));
    }
    let length = u16::from_be_bytes([*bytes.get(14)?, *bytes.get(15)?]);
    let fixed = Fixed { command, family, transport, length };
    if FIXED + usize::from(length) > LONGEST {
        return Some(Err(Malformed::Long(length)));
    }
    if fixed.names_ends() && usize::from(length) < fixed.addresses() {
        return Some(Err(Malformed::Short(length)));
    }
    Some(Ok(fixed))
}

fn nibbles(byte: u8) -> (u8, u8) {
    (byte >> 4, byte & 15)
}

impl Fixed {
    /// Whether its addresses count; otherwise they are skipped, whatever they contain.
    fn names_ends(&self) -> bool {
        self.command == PROXY && self.family != UNSPEC && self.transport != UNSPEC
    }

    /// The bytes of both addresses and ports.
    fn addresses(&self) -> usize {
        match self.family {
            INET => 12,
            INET6 => 36,
            UNIX => UNIX_ENDS,
            _ => 0,
        }
    }

    fn header(&self, whole: &[u8]) -> Result<Header, Malformed> {
        let block = &whole[FIXED..];
        let Some((addresses, rest)) = block.split_at_checked(self.addresses()) else {
            return Ok(Header { ends: Ends::Own, tlvs: Tlvs::default() });
        };
        let tlvs = match Tlvs::read(rest) {
            Ok(tlvs) => tlvs,
            // Without ends the block is to be ignored, so it may contain anything.
            Err(_) if !self.names_ends() => return Ok(Header { ends: Ends::Own, tlvs: Tlvs::default() }),
            Err(wrong) => return Err(wrong),
        };
        // Also where the block is ignored: one of the bits that may have been flipped decides whether it is.
        verify(whole, rest, &tlvs)?;
        let ends = self.ends(addresses);
        let tlvs = if self.command == PROXY { tlvs.kept } else { Tlvs::default() };
        Ok(Header { ends, tlvs })
    }

    fn ends(&self, addresses: &[u8]) -> Ends {
        if !self.names_ends() || self.transport != STREAM {
            return Ends::Own;
        }
        self.named(addresses).unwrap_or(Ends::Own)
    }

    /// The ends that the addresses of its family name; `None` without a family.
    fn named(&self, addresses: &[u8]) -> Option<Ends> {
        match self.family {
            INET => Some(net::<4>(addresses)),
            INET6 => Some(net::<16>(addresses)),
            _ => addresses.try_into().ok().map(|names| Ends::Unix(Box::new(names))),
        }
    }
}

/// Compares the checksum of a whole header, if it has one among its TLVs, which `rest` are.
fn verify(whole: &[u8], rest: &[u8], tlvs: &Read) -> Result<(), Malformed> {
    let at = tlvs.checksum.map(|at| whole.len() - rest.len() + at);
    at.is_none_or(|at| tlv::is_intact(whole, at)).then_some(()).ok_or(Malformed::Checksum)
}

/// Two addresses of `N` bytes, then two ports.
fn net<const N: usize>(addresses: &[u8]) -> Ends
where
    IpAddr: From<[u8; N]>,
{
    let end = |n: usize| {
        let ip: [u8; N] = addresses[n * N..][..N].try_into().expect("a slice of N bytes");
        let port = &addresses[2 * N + 2 * n..];
        canonical(SocketAddr::new(ip.into(), u16::from_be_bytes([port[0], port[1]])))
    };
    Ends::Net { client: end(0), destination: end(1) }
}

/// Whether a header carries its CRC32c.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksum {
    With,
    Without,
}

/// The header that announces these ends.
pub(super) fn write(ends: &Ends, tlvs: &Tlvs, checksum: Checksum) -> Vec<u8> {
    let sum: &[u8] = if checksum == Checksum::With { &CRC32C_TLV } else { &[] };
    let mut header = assemble(ends, STREAM, &[tlvs.bytes(), sum].concat());
    if checksum == Checksum::With {
        tlv::seal(&mut header);
    }
    header
}

/// See [`super::announce_carried`].
pub(super) fn write_carried(header: &Header, protocol: Protocol) -> Vec<u8> {
    let ends = if header.ends == Ends::Own { &Ends::Unnamed } else { &header.ends };
    let bare = assemble(ends, transport(protocol), &[]).len();
    assemble(ends, transport(protocol), header.tlvs.within(LONGEST - bare))
}

/// A header of these ends, followed by these TLVs, which came in a header of at most [`LONGEST`] bytes.
fn assemble(ends: &Ends, transport: u8, tlvs: &[u8]) -> Vec<u8> {
    let (command, family, addresses) = match ends {
        Ends::Own => (LOCAL, UNSPEC << 4 | UNSPEC, Vec::new()),
        Ends::Unnamed => (PROXY, UNSPEC << 4 | UNSPEC, Vec::new()),
        Ends::Net { client, destination } => {
            let (family, addresses) = net_bytes(canonical(*client), canonical(*destination));
            (PROXY, family << 4 | transport, addresses)
        }
        Ends::Unix(names) => (PROXY, UNIX << 4 | transport, names.to_vec()),
    };
    let length = (addresses.len() + tlvs.len()) as u16;
    let fixed = [VERSION << 4 | command, family];
    [&SIGNATURE[..], &fixed, &length.to_be_bytes(), &addresses, tlvs].concat()
}

fn net_bytes(client: SocketAddr, destination: SocketAddr) -> (u8, Vec<u8>) {
    let ports = [client.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    match (client.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (INET, [&from.octets()[..], &to.octets(), &ports].concat()),
        (from, to) => (INET6, [&six(from).octets()[..], &six(to).octets(), &ports].concat()),
    }
}

/// An IPv4 address beside an IPv6 one is written IPv4-mapped.
fn six(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V6(ip) => ip,
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
    }
}
