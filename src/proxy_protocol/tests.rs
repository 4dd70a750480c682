//! The rules of the specification, each vector whole and in every two pieces; and what is written is read back.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::proxy_protocol;

#[path = "../../tests/vectors/proxy_protocol_holds.rs"]
#[allow(unreachable_pub, reason = "it is read by the fuzz target as well")]
mod holds;

#[path = "../../tests/vectors/proxy_protocol.rs"]
#[allow(unreachable_pub, missing_docs, reason = "it is read by other tests as well")]
mod vectors;

use vectors::{Answer, Vector, tlv, v2 as header_v2, version_1, version_2};

fn answer(read: &Result<(Header, usize), Malformed>) -> (Answer, String) {
    match read {
        Ok((Header { ends: Ends::Own, .. }, _)) => (Answer::Own, String::new()),
        Ok((Header { ends: Ends::Unix(_), .. }, _)) => (Answer::Unix, String::new()),
        Ok((Header { ends: Ends::Unnamed, .. }, _)) => {
            panic!("only a carrier's header has a client without a name")
        }
        Ok((Header { ends: Ends::Net { client, destination }, .. }, _)) => {
            (Answer::Between("", ""), format!("{client} {destination}"))
        }
        Err(_) => (Answer::Refused, String::new()),
    }
}

fn wanted(vector: &Vector) -> (Answer, String) {
    match vector.answer {
        Answer::Between(client, destination) => (Answer::Between("", ""), format!("{client} {destination}")),
        other => (other, String::new()),
    }
}

fn each() -> impl Iterator<Item = Vector> {
    version_1().into_iter().chain(version_2())
}

#[test]
fn every_rule_of_the_text_is_kept() {
    let mut wrong = Vec::new();
    for vector in each() {
        // Bytes after a header must change neither its content nor its length.
        for behind in [&b""[..], b"\r\nPROXY TCP4 "] {
            let bytes = [&vector.bytes[..], behind].concat();
            let Some(read) = read(&bytes) else {
                wrong.push(format!("{}: undecided", vector.rule));
                continue;
            };
            if answer(&read) != wanted(&vector) {
                wrong.push(format!("{}: {read:?}", vector.rule));
            }
            if let Ok((_, length)) = read {
                assert_eq!(length, vector.bytes.len(), "{}", vector.rule);
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(each().count() > 100, "only {} vectors", each().count());
}

#[test]
fn a_beginning_says_nothing_or_what_the_whole_says() {
    for vector in each() {
        let whole = read(&vector.bytes);
        for split in 0..vector.bytes.len() {
            if let Some(early) = read(&vector.bytes[..split]) {
                // Only a refusal can be early, and further bytes do not revoke it.
                assert!(early.is_err(), "{}: {split} bytes give {early:?}", vector.rule);
                assert!(matches!(whole, Some(Err(_))), "{}: {split} bytes give {early:?}", vector.rule);
            }
        }
    }
}

#[test]
fn what_cannot_become_a_header_is_refused_at_once() {
    let first_wrong = |bytes: &[u8]| (0..=bytes.len()).find(|&n| read(&bytes[..n]).is_some()).unwrap();

    assert_eq!(first_wrong(b"GET / HTTP/1.1\r\n"), 1);
    assert_eq!(first_wrong(b"PROXYxTCP4"), 6);
    assert_eq!(first_wrong(b"PROXY TCP5 "), 10);
    assert_eq!(first_wrong(b"PROXY UNKNOWNx"), 14);
    assert_eq!(first_wrong(b"PROXY TCP4 192.0.2.1\n"), 21);
    assert_eq!(first_wrong(&[b'x'; 9]), 1);
    assert_eq!(first_wrong(&header_v2(0x31, 0x11, &[0; 12])), 13);
    assert_eq!(first_wrong(&header_v2(0x21, 0x41, &[0; 12])), 14);
    assert_eq!(first_wrong(&header_v2(0x21, 0x11, &[0; 11])), 16);
    assert_eq!(first_wrong(&header_v2(0x21, 0x11, &[0; 60_000])), 16);
}

#[test]
fn no_more_is_asked_for_than_the_bound() {
    let endless = [
        [&b"PROXY UNKNOWN "[..], &[b'x'; LONGEST]].concat(),
        header_v2(0x21, 0x11, &[0; LONGEST - 16])[..LONGEST].to_vec(),
        header_v2(0x20, 0, &[0; u16::MAX as usize]),
    ];

    for bytes in endless {
        assert!(read(&bytes[..LONGEST]).is_some(), "{}", bytes[..20].escape_ascii());
    }
}

#[test]
fn tlvs_are_kept_but_for_the_checksum_and_padding() {
    let kept = [tlv(1, b"h2"), tlv(5, b"id"), tlv(0xea, b"vpce")];
    let block = [vectors::V4, &kept[0], &tlv(4, b"..."), &kept[1], &kept[2]].concat();

    let (header, _) = read(&header_v2(0x21, 0x11, &block)).unwrap().unwrap();
    let sent = Form::V2Crc32c.announce(&header.ends, &header.tlvs);
    let (again, length) = read(&sent).unwrap().unwrap();

    assert_eq!(header.tlvs.bytes(), kept.concat());
    assert_eq!((&again, length), (&header, sent.len()));
}

#[test]
fn a_turned_bit_breaks_the_checksum() {
    let ends =
        Ends::Net { client: "192.0.2.1:1".parse().unwrap(), destination: "192.0.2.2:2".parse().unwrap() };
    let sent = Form::V2Crc32c.announce(&ends, &Tlvs::default());
    // With a flipped bit, the checksum's own type makes it another TLV.
    let kind = sent.len() - 7;
    for bit in (0..8 * sent.len()).filter(|bit| bit / 8 != kind) {
        let mut turned = sent.clone();
        turned[bit / 8] ^= 1 << (bit % 8);

        // A longer length leaves it undecided, a shorter one cuts the checksum off.
        let accepted = read(&turned).and_then(Result::ok).filter(|(header, _)| header.ends != Ends::Own);
        assert!(accepted.is_none(), "bit {bit}: {accepted:?}");
    }
}

#[test]
fn lines_are_written_as_the_text_wants_them() {
    let line = |client: &str, destination: &str| {
        let [client, destination] = [client, destination].map(|it| it.parse().unwrap());
        let bytes = Form::V1.announce(&Ends::Net { client, destination }, &Tlvs::default());
        String::from_utf8(bytes).unwrap()
    };

    assert_eq!(line("192.0.2.1:56324", "192.0.2.2:443"), "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n");
    assert_eq!(line("[::1]:1", "[2001:db8::2]:2"), "PROXY TCP6 ::1 2001:db8::2 1 2\r\n");
    assert_eq!(line("[::ffff:192.0.2.1]:1", "192.0.2.2:2"), "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    assert_eq!(line("192.0.2.1:1", "[::1]:2"), "PROXY TCP6 ::ffff:c000:201 ::1 1 2\r\n");
    assert_eq!(Form::V1.announce(&Ends::Unix(Box::new([0; 216])), &Tlvs::default()), b"PROXY UNKNOWN\r\n");
}

#[test]
fn a_connection_of_our_own_is_local_or_a_client_at_our_address() {
    let ends =
        Ends::Net { client: "127.0.0.1:1".parse().unwrap(), destination: "127.0.0.1:2".parse().unwrap() };

    assert_eq!(Form::V1.announce_own(ends.clone()), b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n");
    assert_eq!(Form::V2.announce_own(ends.clone()), header_v2(0x20, 0, b""));
    let (own, _) = read(&Form::V2Crc32c.announce_own(ends)).unwrap().unwrap();
    assert_eq!(own.ends, Ends::Own);
}

/// A header of version 2 as a carrier has it, read for a stream.
fn carried(version_and_command: u8, family_and_transport: u8, block: &[u8]) -> Result<Header, Malformed> {
    read_carried(&header_v2(version_and_command, family_and_transport, block), Protocol::Tcp)
}

#[test]
fn on_a_carrier_a_header_names_the_client_or_says_that_it_has_no_name() {
    let with_tlv = |addresses: &[u8]| [addresses, &tlv(0xea, b"vpce")].concat();

    for (family, addresses) in [(0x11, vectors::V4), (0x21, vectors::V6), (0x31, &[b'/'; 216])] {
        let named = carried(0x21, family, &with_tlv(addresses)).unwrap();
        assert_eq!(read(&header_v2(0x21, family, &with_tlv(addresses))).unwrap().unwrap().0, named);
    }
    let unnamed = carried(0x21, 0x00, &with_tlv(b"")).unwrap();
    assert_eq!((unnamed.ends, unnamed.tlvs.bytes()), (Ends::Unnamed, &tlv(0xea, b"vpce")[..]));
}

#[test]
fn on_a_carrier_datagrams_have_ends_of_their_own() {
    let datagram = header_v2(0x21, 0x12, &[vectors::V4, &tlv(5, b"id")].concat());

    let header = read_carried(&datagram, Protocol::Udp).unwrap();

    let ends = Ends::Net {
        client: "192.0.2.1:56324".parse().unwrap(),
        destination: "198.51.100.2:443".parse().unwrap(),
    };
    assert_eq!((&header.ends, header.tlvs.bytes()), (&ends, &tlv(5, b"id")[..]));
    assert_eq!(announce_carried(&header, Protocol::Udp), datagram);
    // To a route of its own, the connection's ends count, as ever.
    assert_eq!(read(&datagram).unwrap().unwrap().0.ends, Ends::Own);
}

#[test]
fn on_a_carrier_a_header_that_says_nothing_or_something_else_is_refused() {
    assert_eq!(carried(0x20, 0x00, b""), Err(Malformed::Local));
    assert_eq!(carried(0x20, 0x11, vectors::V4), Err(Malformed::Local));
    assert_eq!(carried(0x21, 0x12, vectors::V4), Err(Malformed::OtherTransport(2)));
    assert_eq!(carried(0x21, 0x10, vectors::V4), Err(Malformed::OtherTransport(0)));
    assert_eq!(carried(0x21, 0x01, b""), Err(Malformed::OtherTransport(1)));
    assert_eq!(carried(0x21, 0x11, &[0; 11]), Err(Malformed::Short(11)));
    assert_eq!(carried(0x21, 0x00, b"any\xff\xffthing"), Err(Malformed::Tlv(b'a')));
    assert_eq!(read_carried(b"PROXY UNKNOWN\r\n", Protocol::Tcp), Err(Malformed::Absent));
    let stream = header_v2(0x21, 0x11, vectors::V4);
    assert_eq!(read_carried(&stream, Protocol::Udp), Err(Malformed::OtherTransport(1)));
    assert_eq!(read_carried(&[&stream[..], b"x"].concat(), Protocol::Tcp), Err(Malformed::Partial));
    assert_eq!(read_carried(&stream[..20], Protocol::Tcp), Err(Malformed::Partial));
    assert_eq!(read_carried(b"", Protocol::Tcp), Err(Malformed::Partial));
    let sealed = Form::V2Crc32c.announce(&carried(0x21, 0x11, vectors::V4).unwrap().ends, &Tlvs::default());
    let turned = [&sealed[..sealed.len() - 1], &[sealed[sealed.len() - 1] ^ 1]].concat();
    assert!(read_carried(&sealed, Protocol::Tcp).is_ok());
    assert_eq!(read_carried(&turned, Protocol::Tcp), Err(Malformed::Checksum));
}

#[test]
fn on_a_carrier_a_client_without_an_address_is_never_the_carriers_own() {
    let own = Header { ends: Ends::Own, tlvs: Tlvs::default() };

    let announced = announce_carried(&own, Protocol::Tcp);

    assert_eq!(announced, header_v2(0x21, 0x00, b""));
    assert_eq!(read_carried(&announced, Protocol::Tcp).unwrap().ends, Ends::Unnamed);
    assert_eq!(Form::V1.announce(&Ends::Unnamed, &Tlvs::default()), b"PROXY UNKNOWN\r\n");
}

#[test]
fn what_has_no_room_in_a_header_of_a_carrier_is_left_out_whole() {
    let first = tlv(0xe1, &[1; 4000]);
    let block = [&first[..], &tlv(0xe2, &[2; 70])].concat();
    let (whole, _) = read(&header_v2(0x21, 0x00, &block)).unwrap().unwrap();
    assert_eq!(whole.tlvs.bytes(), block);
    let ends = read(&header_v2(0x21, 0x21, vectors::V6)).unwrap().unwrap().0.ends;

    let unnamed = read_carried(&announce_carried(&whole, Protocol::Tcp), Protocol::Tcp).unwrap();
    let named = announce_carried(&Header { ends: ends.clone(), ..whole }, Protocol::Tcp);

    assert_eq!(unnamed.tlvs.bytes(), block);
    let named = read_carried(&named, Protocol::Tcp).unwrap();
    assert_eq!((named.ends, named.tlvs.bytes()), (ends, &first[..]));
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

/// A vector with some errors: bytes changed, removed or inserted.
fn nearly_a_header() -> impl Strategy<Value = Vec<u8>> {
    let vectors: Vec<Vec<u8>> = each().map(|vector| vector.bytes).filter(|it| it.len() < 600).collect();
    let slip = (any::<proptest::sample::Index>(), any::<u8>(), 0_u8..3);
    (proptest::sample::select(vectors), proptest::collection::vec(slip, 0..4)).prop_map(
        |(mut bytes, slips)| {
            for (at, byte, how) in slips {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, byte),
                }
            }
            bytes
        },
    )
}

proptest! {
    #[test]
    fn what_holds_of_headers_holds_of_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        holds::of(&bytes);
    }

    #[test]
    fn what_holds_of_headers_holds_of_what_is_nearly_one(bytes in nearly_a_header()) {
        holds::of(&bytes);
    }

    #[test]
    fn what_a_carrier_is_sent_is_read_back(
        client in address(),
        destination in address(),
        kind in 0_u8..3,
        udp: bool,
        tlvs in proptest::collection::vec((6_u8..0x1f, proptest::collection::vec(any::<u8>(), 0..20)), 0..4),
    ) {
        let ends = match kind {
            0 => Ends::Unnamed,
            1 => Ends::Unix(Box::new([7; 216])),
            _ => Ends::Net { client, destination },
        };
        let tlvs = tlvs.iter().fold(Tlvs::default(), |tlvs, (kind, value)| tlvs.and(*kind, value));
        let (header, protocol) = (Header { ends, tlvs }, if udp { Protocol::Udp } else { Protocol::Tcp });

        let sent = announce_carried(&header, protocol);

        prop_assert_eq!(read_carried(&sent, protocol), Ok(header));
    }

    #[test]
    fn no_bytes_on_a_carrier_are_the_connections_own(bytes in nearly_a_header(), udp: bool) {
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        if let Ok(header) = read_carried(&bytes, protocol) {
            prop_assert!(header.ends != Ends::Own && bytes.len() <= LONGEST);
            prop_assert_eq!(read_carried(&announce_carried(&header, protocol), protocol), Ok(header));
        }
    }

    #[test]
    fn what_is_sent_is_read_back(client in address(), destination in address(), unix: bool) {
        let ends = if unix { Ends::Unix(Box::new([7; 216])) } else { Ends::Net { client, destination } };
        for form in [Form::V1, Form::V2, Form::V2Crc32c] {
            let sent = form.announce(&ends, &Tlvs::default());

            let (header, length) = read(&sent).unwrap().unwrap();

            let named = if unix && form == Form::V1 { &Ends::Own } else { &ends };
            prop_assert_eq!((&header.ends, length), (named, sent.len()));
        }
    }
}
