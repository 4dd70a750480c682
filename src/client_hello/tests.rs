use std::io::Read;

use proptest::collection::vec;
use proptest::prelude::*;
use rustls::server::Acceptor;

use super::samples::*;
use super::*;

/// What was parsed, in values that outlive the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Part(usize),
    Hello { name: Option<String>, protocols: Vec<String> },
    Other,
    Broken(Fault),
}

fn parsed(seen: &Seen<'_>) -> Parsed {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match seen {
        Seen::Part(needed) => Parsed::Part(*needed),
        Seen::Other => Parsed::Other,
        Seen::Broken(fault) => Parsed::Broken(*fault),
        Seen::Hello(hello) => Parsed::Hello {
            name: hello.server_name().map(text),
            protocols: hello.protocols().map(text).collect(),
        },
    }
}

pub(super) fn read(wire: &[u8]) -> Parsed {
    parsed(&Reader::default().read(wire))
}

pub(super) fn asks(name: Option<&str>, protocols: &[&str]) -> Parsed {
    let protocols = protocols.iter().map(|protocol| (*protocol).to_owned()).collect();
    Parsed::Hello { name: name.map(str::to_owned), protocols }
}

/// One more byte at a time, as from the slowest client.
pub(super) fn trickled(wire: &[u8]) -> Parsed {
    let mut reader = Reader::default();
    let answers = (0..=wire.len()).map(|so_far| parsed(&reader.read(&wire[..so_far])));
    let mut last = Parsed::Part(0);
    for (so_far, answer) in answers.enumerate() {
        match answer {
            Parsed::Part(needed) => {
                assert!(needed > so_far, "{so_far} bytes are there, {needed} are asked for")
            }
            decided => return decided,
        }
        last = answer;
    }
    last
}

#[test]
fn a_hello_says_whom_it_asks_for_and_what_it_speaks() {
    let hello = message(&[grease(), name("a.example"), signatures(), protocols(&["h2", "http/1.1"])]);

    assert_eq!(read(&wire(&hello)), asks(Some("a.example"), &["h2", "http/1.1"]));
}

#[test]
fn a_hello_may_ask_for_no_name() {
    let old = message_of(&[&[3, 1], &[7; 32][..], &short(&[]), &long(&[0, 47]), &short(&[0])].concat(), &[]);

    assert_eq!(read(&wire(&message(&[signatures()]))), asks(None, &[]));
    assert_eq!(read(&wire(&old)), asks(None, &[]), "a hello without extensions");
}

#[test]
fn a_hello_is_read_wherever_its_records_and_segments_are_cut() {
    let hello = message(&[name("a.example"), protocols(&["h2"]), padding(40)]);
    for length in 1..=hello.len() {
        let wire = records(&hello, &[length]);

        assert_eq!(trickled(&wire), asks(Some("a.example"), &["h2"]), "records of {length} bytes");
        assert_eq!(read(&wire), asks(Some("a.example"), &["h2"]), "records of {length} bytes at once");
    }
}

#[test]
fn a_hello_with_post_quantum_keys_is_read_over_many_records() {
    let hello = message(&[padding(30_000), name("pq.example")]);

    assert_eq!(trickled(&records(&hello, &[1_400, 1])), asks(Some("pq.example"), &[]));
}

#[test]
fn a_hello_in_one_record_is_not_copied() {
    let wire = wire(&message(&[name("a.example")]));

    let Seen::Hello(hello) = Reader::default().read(&wire) else { panic!() };

    assert!(matches!(hello.message, Cow::Borrowed(_)));
}

#[test]
fn what_follows_the_hello_is_left_alone() {
    let hello = wire(&message(&[name("a.example")]));

    assert_eq!(read(&[&hello, &b"\x17\x03\x03\x00\x01x"[..]].concat()), asks(Some("a.example"), &[]));
}

#[test]
fn what_is_no_tls_is_known_by_its_first_byte() {
    for bytes in
        [&b"GET / HTTP/1.1"[..], b"SSH-2.0", b"\x00", b"\x80\x2e\x01\x03\x01", b"\x16GET", b"\x15\x03\x01"]
    {
        assert_eq!(trickled(bytes), Parsed::Other, "{bytes:?}");
    }
    assert_eq!((read(b""), read(b"\x16\x03")), (Parsed::Part(1), Parsed::Part(5)));
}

#[test]
fn a_hello_that_cannot_be_understood_in_one_way_is_broken() {
    let twice = message(&[name("a.example"), padding(1), name("b.example")]);
    let two_names = long(&[&[0][..], &long(b"a.example"), &[0], &long(b"b.example")].concat());
    let cases = [
        (wire(&twice), Fault::TwiceExtended),
        (wire(&message(&[(0, two_names)])), Fault::TwoNames),
        (wire(&message(&[(0, long(&[]))])), Fault::Lengths),
        (wire(&message(&[name("")])), Fault::Lengths),
        (wire(&message(&[(0, vec![0, 9, 0, 0, 1, b'a'])])), Fault::Lengths),
        (wire(&message(&[protocols(&["h2", ""])])), Fault::Lengths),
        (wire(&message(&[protocols(&[])])), Fault::Lengths),
        (wire(&[1, 0, 0, 1, 3]), Fault::Lengths),
        (wire(&[2, 0, 0, 1, 3]), Fault::OtherMessage),
        (b"\x16\x03\x01\x00\x00".to_vec(), Fault::EmptyRecord),
        (b"\x16\x03\x01\x40\x01".to_vec(), Fault::LongRecord),
        (b"\x16\x03\x01\x00\x01\x01\x15\x03\x03\x00\x02\x02\x00".to_vec(), Fault::Interleaved),
    ];
    for (wire, fault) in cases {
        assert_eq!(trickled(&wire), Parsed::Broken(fault));
        assert_eq!(read(&wire), Parsed::Broken(fault));
    }
}

#[test]
fn a_hello_without_an_end_is_broken_at_once() {
    assert_eq!(read(b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"), Parsed::Broken(Fault::TooLong));

    // Ended by its own length field, and drawn out by one-byte records.
    let drawn_out = records(&message(&[padding(60_000)]), &[1]);
    let mut reader = Reader::default();
    let decided =
        (0..drawn_out.len()).find(|&so_far| !matches!(reader.read(&drawn_out[..so_far]), Seen::Part(_)));

    assert_eq!(read(&drawn_out), Parsed::Broken(Fault::TooLong));
    assert!(decided.is_some_and(|bytes| bytes <= MAX_BYTES), "{decided:?}");
}

#[test]
fn the_longest_hello_there_may_be_is_read() {
    let padded = |rest: usize| {
        let parts = [1, 2, 3].map(|kind| (kind, vec![0; 16_300]));
        wire(&message(&[&parts[..], &[padding(rest), name("a.example")]].concat()))
    };
    // Both have the same number of records.
    let several = |bytes: usize| padded(16_000 + bytes - padded(16_000).len());

    assert_eq!(several(MAX_BYTES).len(), MAX_BYTES);
    assert_eq!(read(&several(MAX_BYTES)), asks(Some("a.example"), &[]));
    assert_eq!(read(&several(MAX_BYTES + 1)), Parsed::Broken(Fault::TooLong));
}

/// What rustls understands; `None` if it needs more bytes, or refuses.
fn oracle(mut wire: &[u8]) -> Result<Option<Parsed>, rustls::Error> {
    let mut acceptor = Acceptor::default();
    while !wire.is_empty() {
        acceptor.read_tls(&mut wire.by_ref()).map_err(|_| rustls::Error::HandshakeNotComplete)?;
        if let Some(accepted) = acceptor.accept().map_err(|(error, _)| error)? {
            let hello = accepted.client_hello();
            let protocols = hello.alpn().into_iter().flatten();
            return Ok(Some(Parsed::Hello {
                name: hello.server_name().map(str::to_owned),
                protocols: protocols.map(|it| String::from_utf8_lossy(it).into_owned()).collect(),
            }));
        }
    }
    Ok(None)
}

fn extension() -> impl Strategy<Value = (u16, Vec<u8>)> {
    prop_oneof![
        "[a-z]{1,9}(\\.[a-z0-9]{1,9}){0,3}".prop_map(|text| name(&text)),
        vec("[a-z0-9/.]{1,12}", 1..5)
            .prop_map(|all| protocols(&all.iter().map(String::as_str).collect::<Vec<_>>())),
        Just(grease()),
        (0_usize..3_000).prop_map(padding),
        (any::<u16>(), vec(any::<u8>(), 0..40)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_a_tls_server_takes_is_understood_as_it_does(
        extensions in vec(extension(), 0..6),
        lengths in vec(1_usize..2_000, 1..5),
        slips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        slips_in_records in any::<bool>(),
    ) {
        let mut message = message(&[extensions, vec![signatures()]].concat());
        let slip = |bytes: &mut Vec<u8>| slips.iter().for_each(|(at, byte)| {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        });
        if !slips_in_records {
            slip(&mut message);
        }
        let mut wire = records(&message, &lengths);
        if slips_in_records {
            slip(&mut wire);
        }

        let (ours, theirs) = (read(&wire), oracle(&wire));

        prop_assert_eq!(&ours, &trickled(&wire));
        match (&ours, theirs) {
            // rustls takes a name that is an address for none, and returns names in lower case and without a trailing
            // dot.
            (Parsed::Hello { name: Some(name), protocols }, Ok(Some(Parsed::Hello { name: theirs, protocols: too }))) => {
                let theirs = theirs.or_else(|| name.parse::<std::net::IpAddr>().ok().map(|_| name.clone()));
                let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
                prop_assert_eq!(Some(name), theirs);
                prop_assert_eq!(protocols, &too);
            }
            (_, Ok(Some(theirs))) => prop_assert_eq!(ours, theirs),
            // rustls waits for the end of a record, even if the hello ends before.
            (Parsed::Hello { .. }, Ok(None)) => prop_assert!(slips_in_records, "{:?} is not whole for it", ours),
            _ => {}
        }
    }

    #[test]
    fn no_bytes_panic_and_none_are_asked_for_without_end(
        bytes in vec(any::<u8>(), 0..400),
        begins_as_tls in any::<bool>(),
    ) {
        let head: &[u8] = if begins_as_tls { b"\x16\x03\x01\x01\x40\x01\x00\x01\x3c\x03\x03" } else { b"" };
        let wire = [head, &bytes].concat();

        if let Parsed::Part(needed) = read(&wire) {
            prop_assert!(needed > wire.len() && needed <= MAX_BYTES);
        }
        prop_assert_eq!(read(&wire), trickled(&wire));
    }
}
