//! A datagram and its flow ⇄ bytes ([`super::super::datagram`]): the same in a DATAGRAM frame and on a stream.

use bytes::Bytes;

use crate::transport::tunnel::datagram::{self, MAX_DATAGRAM, MAX_NUMBER};
use crate::transport::tunnel::flows::FlowNumber;

/// The longest of them with the number of its flow, in bytes.
pub const LONGEST: usize = MAX_NUMBER + MAX_DATAGRAM;

/// The bytes of a datagram with its flow.
pub fn encode(flow: FlowNumber, datagram: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(datagram::length(flow, datagram.len()));
    datagram::put_number(flow, &mut bytes);
    bytes.extend_from_slice(datagram);
    bytes.into()
}

/// The flow and the datagram; `None` if the number is cut, or the datagram is longer than [`MAX_DATAGRAM`].
pub fn decode(mut bytes: Bytes) -> Option<(FlowNumber, Bytes)> {
    let (flow, length) = datagram::read_number(&bytes)?;
    let datagram = bytes.split_off(length);
    (datagram.len() <= MAX_DATAGRAM).then_some((flow, datagram))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_datagram_is_its_flow_and_its_bytes_and_nothing_else() {
        assert_eq!(encode(FlowNumber(15_293), b"hi")[..], *b"\x7b\xbdhi");
        assert_eq!(decode(Bytes::from_static(b"\x07")), Some((FlowNumber(7), Bytes::new())));
        assert_eq!(decode(Bytes::from_static(b"\x7b")), None, "its number is cut");
        assert_eq!(decode(Bytes::new()), None);
    }

    #[test]
    fn a_datagram_is_at_most_what_udp_has_room_for() {
        let of = |length: usize| decode(encode(FlowNumber(1 << 61), &vec![7; length]));

        assert_eq!(of(MAX_DATAGRAM).map(|(_, datagram)| datagram.len()), Some(MAX_DATAGRAM));
        assert_eq!(of(MAX_DATAGRAM + 1), None);
    }

    proptest! {
        #[test]
        fn a_datagram_is_read_back(flow in 0..1_u64 << 62, datagram: Vec<u8>) {
            prop_assert_eq!(
                decode(encode(FlowNumber(flow), &datagram)),
                Some((FlowNumber(flow), Bytes::from(datagram)))
            );
        }
    }
}
