//! A datagram of a flow, as it goes through a tunnel: the number of its flow, and its bytes.
//!
//! ```text
//! flow:varint (RFC 9000, section 16)   datagram
//! ```
//!
//! It is the body of a frame on a TLS connection, and a DATAGRAM frame of QUIC.

use super::flows::FlowNumber;
use super::frame::MAX_BODY;

/// The longest datagram, in bytes: the longest of UDP over IPv4 (RFC 768, RFC 791).
pub const MAX_DATAGRAM: usize = 65_507;

/// The longest number of a flow, in bytes.
pub const MAX_NUMBER: usize = 8;

/// The first number that has no form.
pub const NUMBERS: u64 = 1 << 62;

const _: () = assert!(MAX_NUMBER + MAX_DATAGRAM <= MAX_BODY);

/// How many bytes a datagram of this length has with the number of its flow.
pub fn length(flow: FlowNumber, datagram: usize) -> usize {
    number_length(flow) + datagram
}

/// Appends the number of a flow, which precedes its datagram. Numbers from [`NUMBERS`] on have no form; they are never given.
pub fn put_number(flow: FlowNumber, out: &mut Vec<u8>) {
    let length = number_length(flow);
    let form = (length.ilog2() as u64) << (8 * length - 2);
    out.extend_from_slice(&(form | flow.0).to_be_bytes()[8 - length..]);
}

/// The flow of a datagram, and how many bytes its number has; `None` if they end within it.
pub fn read_number(bytes: &[u8]) -> Option<(FlowNumber, usize)> {
    let length = 1 << (bytes.first()? >> 6);
    let mut number = [0; MAX_NUMBER];
    number[MAX_NUMBER - length..].copy_from_slice(bytes.get(..length)?);
    number[MAX_NUMBER - length] &= 0x3f;
    Some((FlowNumber(u64::from_be_bytes(number)), length))
}

fn number_length(flow: FlowNumber) -> usize {
    match flow.0 {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(flow: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(FlowNumber(flow), &mut bytes);
        bytes
    }

    #[test]
    fn the_numbers_are_those_of_the_examples_of_rfc_9000() {
        // Appendix A.1.
        assert_eq!(bytes(37), [0x25]);
        assert_eq!(bytes(15_293), [0x7b, 0xbd]);
        assert_eq!(bytes(494_878_333), [0x9d, 0x7f, 0x3e, 0x7d]);
        assert_eq!(bytes(151_288_809_941_952_652), [0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]);
        assert_eq!(
            read_number(&[0x40, 0x25]),
            Some((FlowNumber(37), 2)),
            "a form that is longer than it need be"
        );
    }

    proptest! {
        #[test]
        fn a_number_is_read_back_with_its_length(shift in 2..64_u32, any: u64, behind: [u8; 3]) {
            let flow = any >> shift;
            let mut all = bytes(flow);
            let own = all.len();
            all.extend(behind);

            prop_assert_eq!(read_number(&all), Some((FlowNumber(flow), own)));
            prop_assert_eq!(length(FlowNumber(flow), 3), all.len());
            prop_assert_eq!(read_number(&all[..own - 1]), None);
        }
    }
}
