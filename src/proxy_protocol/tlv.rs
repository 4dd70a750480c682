//! What a header of version 2 contains beyond its addresses: type, length, value; and its checksum (section 2.2).

use super::malformed::{LONGEST, Malformed};

const CRC32C: u8 = 0x03;
const NOOP: u8 = 0x04;
const UNIQUE_ID: u8 = 0x05;
/// What a client asked of TLS, and what was agreed with it.
pub(super) const ALPN: u8 = 0x01;
pub(super) const AUTHORITY: u8 = 0x02;
pub(super) const SSL: u8 = 0x20;

/// The most bytes of TLVs that are sent: with addresses of any family and a checksum they are a header that we read.
const MOST: usize = LONGEST - 16 - LONGEST_ENDS - CRC32C_TLV.len();
/// Those of Unix sockets.
const LONGEST_ENDS: usize = 2 * 108;

/// Type and length.
const HEAD: usize = 3;
/// `client` and `verify`, which precede the TLVs in the TLV about TLS.
const SSL_FIXED: usize = 5;
const LONGEST_UNIQUE_ID: usize = 128;

/// A TLV for the checksum, with a value of zeros.
pub(super) const CRC32C_TLV: [u8; HEAD + 4] = [CRC32C, 0, 4, 0, 0, 0, 0];

/// Checked TLVs as received, to be passed on: ALPN, AUTHORITY, UNIQUE_ID, SSL, NETNS, and registered or private types.
/// The checksum and padding are excluded: they belong to the header they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tlvs(Vec<u8>);

/// TLVs, and the position of the checksum among them.
pub(super) struct Read {
    pub(super) kept: Tlvs,
    /// Where the value of the checksum begins.
    pub(super) checksum: Option<usize>,
}

impl Tlvs {
    /// The bytes of all of them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first of them, as many as have room in this many bytes.
    pub(super) fn within(&self, most: usize) -> &[u8] {
        let ends = each(&self.0).flatten().map(|tlv| tlv.at + HEAD + tlv.value.len());
        let end = ends.take_while(|end| *end <= most).last().unwrap_or(0);
        &self.0[..end]
    }

    /// Whether there is one of this type.
    fn has(&self, wanted: u8) -> bool {
        each(&self.0).flatten().any(|tlv| tlv.kind == wanted)
    }

    /// The same with another behind them, unless there is one of its type, which came from nearer the client; or no
    /// room for it.
    pub(super) fn and(mut self, kind: u8, value: &[u8]) -> Tlvs {
        let length = HEAD + value.len();
        if !self.has(kind) && self.0.len() + length <= MOST {
            self.0.extend(one(kind, value));
        }
        self
    }

    /// Reads everything that follows the addresses.
    pub(super) fn read(bytes: &[u8]) -> Result<Read, Malformed> {
        let (mut kept, mut checksum) = (Vec::new(), None);
        for tlv in each(bytes) {
            let Tlv { kind, at, value } = tlv?;
            match kind {
                CRC32C if value.len() == 4 && checksum.is_none() => checksum = Some(at + HEAD),
                CRC32C => return Err(Malformed::Tlv(kind)),
                UNIQUE_ID if value.len() > LONGEST_UNIQUE_ID => return Err(Malformed::Tlv(kind)),
                SSL if !is_ssl(value) => return Err(Malformed::Tlv(kind)),
                NOOP => {}
                _ => kept.extend_from_slice(&bytes[at..at + HEAD + value.len()]),
            }
        }
        Ok(Read { kept: Tlvs(kept), checksum })
    }
}

/// A TLV, whose value is shorter than [`LONGEST`].
pub(super) fn one(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &(value.len() as u16).to_be_bytes(), value].concat()
}

fn is_ssl(value: &[u8]) -> bool {
    value.get(SSL_FIXED..).is_some_and(|inside| each(inside).all(|tlv| tlv.is_ok()))
}

struct Tlv<'a> {
    kind: u8,
    /// Where it begins.
    at: usize,
    value: &'a [u8],
}

/// Iterates over TLVs. One that extends beyond the end is an error, and the last item.
fn each(bytes: &[u8]) -> impl Iterator<Item = Result<Tlv<'_>, Malformed>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let kind = *bytes.get(at)?;
        let found = value(&bytes[at..]).map(|value| Tlv { kind, at, value });
        at = found.as_ref().map_or(bytes.len(), |tlv| at + HEAD + tlv.value.len());
        Some(found.ok_or(Malformed::Tlv(kind)))
    })
}

fn value(tlv: &[u8]) -> Option<&[u8]> {
    let (&[_, high, low], rest) = tlv.split_first_chunk::<HEAD>()?;
    rest.get(..usize::from(u16::from_be_bytes([high, low])))
}

/// Whether the checksum at `at` matches the header: computed over all of it, with zeros in the checksum's place.
pub(super) fn is_intact(header: &[u8], at: usize) -> bool {
    let (before, rest) = header.split_at(at);
    let (sum, after) = rest.split_at(4);
    crc32c(&[before, &[0; 4], after]).to_be_bytes() == sum
}

/// Writes the checksum of a header whose last TLV is [`CRC32C_TLV`].
pub(super) fn seal(header: &mut [u8]) {
    let sum = crc32c(&[header]);
    if let Some(place) = header.last_chunk_mut::<4>() {
        *place = sum.to_be_bytes();
    }
}

/// CRC32c (RFC 4960, appendix B) of the concatenated parts. Bit by bit: a header is short, and few have one.
fn crc32c(parts: &[&[u8]]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (POLYNOMIAL & (sum & 1).wrapping_neg()))
    };
    !parts.iter().copied().flatten().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // RFC 3720, B.4, and the check value of the CRC catalogue.
        assert_eq!(crc32c(&[b"123456789"]), 0xe306_9283);
        assert_eq!(crc32c(&[&[0; 32]]), 0x8a91_36aa);
        assert_eq!(crc32c(&[&[0xff; 16], &[0xff; 16]]), 0x62a8_ab43);
    }
}
