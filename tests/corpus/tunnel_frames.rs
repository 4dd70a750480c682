//! What holds of any bytes that are read as the frames of a tunnel's connection, in their order on a carrier.

use loopgate::transport::tunnel::datagram::{NUMBERS, put_number, read_number};
use loopgate::transport::tunnel::exchange::{Exchange, Role};
use loopgate::transport::tunnel::frame::{Decoder, Event, Frame, MAX_BODY, MAX_CONTENT, Malformed, head};

/// A whole body, or a frame.
#[derive(Clone, Debug, PartialEq)]
enum Whole {
    Body(Vec<u8>),
    Frame(Frame),
}

/// Panics where something does not hold of these bytes.
pub(crate) fn holds(bytes: &[u8]) {
    let (whole, end) = read(bytes, bytes.len().max(1));
    for piece in [1, 2, 7] {
        assert_eq!(read(bytes, piece), (whole.clone(), end), "in pieces of {piece}");
    }
    let again: Vec<u8> = whole.iter().flat_map(encoded).collect();
    assert!(again.len() <= bytes.len());
    assert_eq!(read(&again, again.len().max(1)), (whole.clone(), Ok(false)));
    for role in [Role::Opener, Role::Other] {
        play(role, &whole);
    }
}

/// What was read, and the fault, or whether a frame has begun at the end.
fn read(bytes: &[u8], piece: usize) -> (Vec<Whole>, Result<bool, Malformed>) {
    let (mut decoder, mut whole, mut begun) = (Decoder::default(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        let mut input = piece;
        loop {
            match decoder.next(&mut input) {
                Ok(Some(Event::Body { bytes, is_first, is_last })) => {
                    assert!(!bytes.is_empty() && is_first == begun.is_empty());
                    begun.extend(bytes);
                    assert!(begun.len() <= MAX_BODY);
                    if is_last {
                        names_its_flow(&begun);
                        whole.push(Whole::Body(std::mem::take(&mut begun)));
                    }
                }
                Ok(Some(Event::Frame(frame))) => {
                    assert!(begun.is_empty(), "a frame within a body");
                    if let Frame::Open(content)
                    | Frame::Failed(content)
                    | Frame::Flow(_, content)
                    | Frame::FlowEnd(_, content) = &frame
                    {
                        assert!(content.len() <= MAX_CONTENT);
                    }
                    whole.push(Whole::Frame(frame));
                }
                Ok(None) => break,
                Err(wrong) => return (whole, Err(wrong)),
            }
        }
        assert!(input.is_empty(), "bytes are left over");
    }
    (whole, Ok(decoder.is_within_frame()))
}

/// What is read of a body as of a datagram of a flow is within it.
fn names_its_flow(body: &[u8]) {
    if let Some((flow, length)) = read_number(body) {
        assert!(length <= body.len() && flow.0 < NUMBERS);
        let mut again = Vec::new();
        put_number(flow, &mut again);
        assert!(again.len() <= length);
        assert_eq!(read_number(&again), Some((flow, again.len())));
    }
}

fn encoded(one: &Whole) -> Vec<u8> {
    match one {
        Whole::Body(bytes) => [&head(bytes.len())[..], bytes].concat(),
        Whole::Frame(frame) => {
            let mut out = Vec::new();
            frame.encode(&mut out);
            out
        }
    }
}

/// Whatever comes at an end, it is free, or over, or in a session; and what is refused changes nothing.
fn play(role: Role, all: &[Whole]) {
    let mut exchange = Exchange::idle(role);
    for one in all {
        let before = exchange.clone();
        let taken = match one {
            Whole::Body(_) => exchange.received_body(),
            Whole::Frame(frame) => exchange.received(frame),
        };
        assert!(taken.is_ok() || exchange == before, "a frame out of turn has changed {before:?}");
        assert!(!(exchange.is_free() && exchange.is_over()));
    }
}
