//! Version 2: sixteen fixed bytes, two addresses and TLVs (section 2.2).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::header::{Ends, Header, UNIX_ENDS, canonical};
use super::malformed::{LONGEST, Malformed};
use super::tlv::{self, CRC32C_TLV, Tlvs};

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
        if tlvs.checksum.is_some_and(|at| !tlv::is_intact(whole, whole.len() - rest.len() + at)) {
            return Err(Malformed::Checksum);
        }
        let ends = self.ends(addresses);
        let tlvs = if self.command == PROXY { tlvs.kept } else { Tlvs::default() };
        Ok(Header { ends, tlvs })
    }

    fn ends(&self, addresses: &[u8]) -> Ends {
        if !self.names_ends() || self.transport != STREAM {
            return Ends::Own;
        }
        match self.family {
            INET => net::<4>(addresses),
            INET6 => net::<16>(addresses),
            _ => addresses.try_into().map_or(Ends::Own, |names| Ends::Unix(Box::new(names))),
        }
    }
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
    let (command, family, addresses) = match ends {
        Ends::Own => (LOCAL, UNSPEC << 4 | UNSPEC, Vec::new()),
        Ends::Net { client, destination } => {
            let (family, addresses) = net_bytes(canonical(*client), canonical(*destination));
            (PROXY, family << 4 | STREAM, addresses)
        }
        Ends::Unix(names) => (PROXY, UNIX << 4 | STREAM, names.to_vec()),
    };
    let sum: &[u8] = if checksum == Checksum::With { &CRC32C_TLV } else { &[] };
    let rest = [&addresses, tlvs.bytes(), sum].concat();
    // TLVs that are passed on came in a header of at most LONGEST bytes.
    let length = rest.len() as u16;
    let fixed = [VERSION << 4 | command, family];
    let mut header = [&SIGNATURE[..], &fixed, &length.to_be_bytes(), &rest].concat();
    if checksum == Checksum::With {
        tlv::seal(&mut header);
    }
    header
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
