//! Control messages (cmsg(3)) in a buffer: reads those of a received datagram, writes those of one to send.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libc::c_int;

use super::Asked;

/// Space for UDP_GRO, IP_PKTINFO or IPV6_PKTINFO and SO_RXQ_OVFL together, aligned as cmsghdr requires.
#[derive(Clone, Copy)]
pub(super) struct Control(pub(super) [u64; 14]);

/// The size of a cmsghdr, which is already aligned, and the alignment of its payload.
const HEADER: usize = size_of::<libc::cmsghdr>();
const ALIGN: usize = size_of::<usize>();

/// The control messages received with a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// The length of each datagram of a train; 0 for a single datagram.
    pub(super) segment: usize,
    pub(super) asked: Option<Asked>,
}

impl Control {
    pub(super) const EMPTY: Control = Control([0; 14]);
    pub(super) const SIZE: usize = size_of::<Control>();

    fn bytes(&self) -> [u8; Control::SIZE] {
        let mut bytes = [0; Control::SIZE];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// Parses the first `length` bytes, as the kernel filled them.
    pub(super) fn read(&self, length: usize) -> Received {
        let mut received = Received::default();
        if length < HEADER {
            return received;
        }
        let bytes = self.bytes();
        let mut rest = &bytes[..length.min(Control::SIZE)];
        while let Some((level, kind, payload, next)) = split(rest) {
            received.take(level, kind, payload);
            rest = next;
        }
        received
    }

    /// Writes the control messages a datagram needs, and returns their length in bytes.
    pub(super) fn write(&mut self, segment: u16, from: Option<Asked>) -> usize {
        let mut end = 0;
        if segment > 0 {
            end = self.put(end, libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
        }
        match from {
            None => {}
            Some(Asked { ip: IpAddr::V4(ip), .. }) => {
                // in_pktinfo: the interface (0: by the route), the source address, and an address that is ignored.
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&ip.octets());
                end = self.put(end, libc::SOL_IP, libc::IP_PKTINFO, &info);
            }
            Some(Asked { ip: IpAddr::V6(ip), interface }) => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                info[16..].copy_from_slice(&interface.to_ne_bytes());
                end = self.put(end, libc::SOL_IPV6, libc::IPV6_PKTINFO, &info);
            }
        }
        end
    }

    fn put(&mut self, at: usize, level: c_int, kind: c_int, payload: &[u8]) -> usize {
        let mut message = [0; HEADER + 24];
        message[..8].copy_from_slice(&(HEADER + payload.len()).to_ne_bytes());
        message[8..12].copy_from_slice(&level.to_ne_bytes());
        message[12..16].copy_from_slice(&kind.to_ne_bytes());
        message[HEADER..HEADER + payload.len()].copy_from_slice(payload);
        let size = HEADER + payload.len().next_multiple_of(ALIGN);
        for (word, bytes) in self.0[at / 8..].iter_mut().zip(message[..size].chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().expect("chunks of eight"));
        }
        at + size
    }
}

impl Received {
    fn take(&mut self, level: c_int, kind: c_int, payload: &[u8]) {
        match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) => self.segment = number(payload, 0) as usize,
            // ipi_spec_dst and not ipi_addr: for a broadcast it is the local address that can answer.
            (libc::SOL_IP, libc::IP_PKTINFO) => {
                let octets: Option<[u8; 4]> = payload.get(4..8).and_then(|ip| ip.try_into().ok());
                self.asked = octets.map(|ip| Asked { ip: Ipv4Addr::from(ip).into(), interface: 0 });
            }
            (libc::SOL_IPV6, libc::IPV6_PKTINFO) => {
                let octets: Option<[u8; 16]> = payload.get(..16).and_then(|ip| ip.try_into().ok());
                self.asked = octets.map(Ipv6Addr::from).filter(|ip| !ip.is_multicast()).map(|ip| Asked {
                    ip: ip.into(),
                    interface: if ip.is_unicast_link_local() { number(payload, 16) } else { 0 },
                });
            }
            _ => {}
        }
    }
}

/// The level, type and payload of the first message, and the bytes after it.
fn split(bytes: &[u8]) -> Option<(c_int, c_int, &[u8], &[u8])> {
    let length = usize::from_ne_bytes(bytes.get(..8)?.try_into().ok()?);
    let (level, kind) = (number(bytes, 8) as c_int, number(bytes, 12) as c_int);
    let payload = bytes.get(HEADER..length)?;
    let next = bytes.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
    Some((level, kind, payload, next))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (ip, interface) in [("192.0.2.7", 0), ("2001:db8::7", 0), ("fe80::1", 3)] {
            let asked = Asked { ip: ip.parse().unwrap(), interface };
            let mut control = Control::EMPTY;

            let length = control.write(0, Some(asked));

            assert_eq!(control.read(length), Received { segment: 0, asked: Some(asked) });
        }
    }

    #[test]
    fn a_control_message_cut_short_tells_nothing() {
        let mut control = Control::EMPTY;
        let length = control.write(0, Some(Asked { ip: Ipv4Addr::LOCALHOST.into(), interface: 0 }));

        for cut in 0..length - ALIGN {
            assert_eq!(control.read(cut), Received::default(), "{cut} bytes");
        }
    }
}
