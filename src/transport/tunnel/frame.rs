//! Frames ⇄ bytes. A frame is a length of three bytes, big-endian, and a body; a length of zero is followed by a code.
//!
//! ```text
//! length 1..=65536, body      bytes of the session on a carrier, one JSON message on a control
//! length 0, code, …           0x00 END      0x01 RESET reason:u8   0x02 OPEN length:u16 header   0x03 OPENED
//!                             0x04 FAILED length:u16 json          0x05 PING n:u32               0x06 PONG n:u32
//!                             0x07 DONE     0x08 CLOSE code:u8
//!                             0x09 FLOW number:u64 length:u16 open
//!                             0x0A FLOW_END number:u64 length:u16 json
//! ```
//!
//! Behind FLOW a body is a datagram of a flow ([`super::datagram`]).

use std::{fmt, mem};

pub use super::reason::{CloseCode, Reason};

/// The longest body, in bytes.
pub const MAX_BODY: usize = 64 << 10;

/// What precedes a body.
pub const HEAD: usize = 3;

/// The longest content of OPEN, FAILED, FLOW and FLOW_END, in bytes.
pub const MAX_CONTENT: usize = 4096 + 512;

const END: u8 = 0;
const RESET: u8 = 1;
const OPEN: u8 = 2;
const OPENED: u8 = 3;
const FAILED: u8 = 4;
const PING: u8 = 5;
const PONG: u8 = 6;
const DONE: u8 = 7;
const CLOSE: u8 = 8;
const FLOW: u8 = 9;
const FLOW_END: u8 = 10;

/// The bytes of a number of a flow.
const NUMBER: usize = 8;

/// A frame without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The sender sends nothing more of this session.
    End,
    /// The session ended in a cut; whatever was sent and not read yet may be thrown away.
    Reset(Reason),
    /// The beginning of a session.
    Open(Vec<u8>),
    /// The target has answered.
    Opened,
    /// The target could not be reached, as JSON says ([`super::message::Failed`]). RESET follows.
    Failed(Vec<u8>),
    /// Answered with PONG and the same number.
    Ping(u32),
    /// The answer.
    Pong(u32),
    /// Everything of the session was delivered: the carrier is free.
    Done,
    /// The sender closes this connection.
    Close(CloseCode),
    /// The beginning of a flow of datagrams, or of its way through this connection: its number, and what OPEN would have.
    Flow(u64, Vec<u8>),
    /// A flow has ended, or is not carried, as JSON says ([`super::message::FlowEnd`]).
    FlowEnd(u64, Vec<u8>),
}

/// What the bytes of a connection consist of.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// Bytes of a body, as they come.
    Body {
        /// At least one byte.
        bytes: &'b [u8],
        /// The body begins with them.
        is_first: bool,
        /// The body ends with them.
        is_last: bool,
    },
    /// A frame without a body.
    Frame(Frame),
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A body longer than [`MAX_BODY`].
    LongBody(usize),
    /// A content longer than [`MAX_CONTENT`].
    LongContent(u16),
    /// A code that this version does not know.
    Code(u8),
}

/// Reads frames out of a stream of bytes that comes in pieces. Of an incomplete frame it keeps its head and its content: at
/// most 14 bytes and [`MAX_CONTENT`]. Bytes of a body are handed on as they come, and never kept.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a head, or of a frame without a body.
    kept: Vec<u8>,
    /// The bytes of the body that are still to come.
    body: usize,
    /// None of them has come yet.
    is_untouched: bool,
    /// What was wrong: nothing that follows has a meaning.
    wrong: Option<Malformed>,
}

impl Decoder {
    /// The next event of `input`, which is advanced past it; `None` if all of it is used up.
    ///
    /// # Errors
    /// The bytes are no frame; it is the answer to every call after that.
    pub fn next<'b>(&mut self, input: &mut &'b [u8]) -> Result<Option<Event<'b>>, Malformed> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let next = self.advance(input);
        self.wrong = next.as_ref().err().copied();
        next
    }

    /// Whether a frame has begun and has not ended.
    pub fn is_within_frame(&self) -> bool {
        self.body > 0 || !self.kept.is_empty()
    }

    fn advance<'b>(&mut self, input: &mut &'b [u8]) -> Result<Option<Event<'b>>, Malformed> {
        loop {
            if self.body > 0 {
                return Ok((!input.is_empty()).then(|| self.take_body(input)));
            }
            let missing = needed(&self.kept)? - self.kept.len();
            let (taken, rest) = input.split_at(missing.min(input.len()));
            self.kept.extend_from_slice(taken);
            *input = rest;
            if taken.len() < missing {
                return Ok(None);
            }
            let whole = needed(&self.kept)?;
            if let Some(length @ 1..) = body(&self.kept) {
                self.kept.clear();
                (self.body, self.is_untouched) = (length, true);
            } else if whole == self.kept.len() {
                let frame = frame(&self.kept);
                // The room of a content is not held on to.
                self.kept = Vec::new();
                return Ok(frame.map(Event::Frame));
            }
        }
    }

    fn take_body<'b>(&mut self, input: &mut &'b [u8]) -> Event<'b> {
        let (bytes, rest) = input.split_at(self.body.min(input.len()));
        let is_first = mem::take(&mut self.is_untouched);
        (*input, self.body) = (rest, self.body - bytes.len());
        Event::Body { bytes, is_first, is_last: self.body == 0 }
    }
}

/// The length of the body whose head this is.
fn body(kept: &[u8]) -> Option<usize> {
    let [high, middle, low, ..] = *kept else { return None };
    Some(u32::from_be_bytes([0, high, middle, low]) as usize)
}

/// The length of the frame that begins with these bytes, or of as much of it as tells more; that of a head for a body.
fn needed(kept: &[u8]) -> Result<usize, Malformed> {
    match (body(kept), kept.get(HEAD)) {
        (None, _) => Ok(HEAD),
        (Some(length), _) if length > MAX_BODY => Err(Malformed::LongBody(length)),
        (Some(1..), _) => Ok(HEAD),
        (Some(0), None) => Ok(HEAD + 1),
        (Some(0), Some(code)) => match *code {
            END | OPENED | DONE => Ok(HEAD + 1),
            RESET | CLOSE => Ok(HEAD + 2),
            PING | PONG => Ok(HEAD + 5),
            OPEN | FAILED => with_content(kept, HEAD + 1),
            FLOW | FLOW_END => with_content(kept, HEAD + 1 + NUMBER),
            other => Err(Malformed::Code(other)),
        },
    }
}

/// The length of a frame whose content has its length at this place.
fn with_content(kept: &[u8], at: usize) -> Result<usize, Malformed> {
    let Some([high, low, ..]) = kept.get(at..) else { return Ok(at + 2) };
    let length = u16::from_be_bytes([*high, *low]);
    let is_short = usize::from(length) <= MAX_CONTENT;
    is_short.then(|| at + 2 + usize::from(length)).ok_or(Malformed::LongContent(length))
}

/// The frame without a body that these bytes are, all of them; `None` for other bytes.
fn frame(bytes: &[u8]) -> Option<Frame> {
    let (code, rest) = bytes.get(HEAD..)?.split_first()?;
    let number = || rest.try_into().ok().map(u32::from_be_bytes);
    let content = || rest.get(2..).map(<[u8]>::to_vec);
    match *code {
        END => Some(Frame::End),
        RESET => rest.first().map(|reason| Frame::Reset(Reason::of(*reason))),
        OPEN => content().map(Frame::Open),
        OPENED => Some(Frame::Opened),
        FAILED => content().map(Frame::Failed),
        PING => number().map(Frame::Ping),
        PONG => number().map(Frame::Pong),
        DONE => Some(Frame::Done),
        CLOSE => rest.first().map(|code| Frame::Close(CloseCode::of(*code))),
        FLOW => of_flow(rest).map(|(flow, open)| Frame::Flow(flow, open)),
        FLOW_END => of_flow(rest).map(|(flow, why)| Frame::FlowEnd(flow, why)),
        _ => None,
    }
}

/// The number and the content of a frame about a flow.
fn of_flow(rest: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (number, rest) = rest.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest.get(2..)?.to_vec()))
}

impl Frame {
    /// Appends its bytes. A content longer than [`MAX_CONTENT`] is a bug of the caller's, and is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend([0, 0, 0, self.code()]);
        match self {
            Frame::End | Frame::Opened | Frame::Done => {}
            Frame::Reset(reason) => out.push(*reason as u8),
            Frame::Close(code) => out.push(*code as u8),
            Frame::Ping(n) | Frame::Pong(n) => out.extend(n.to_be_bytes()),
            Frame::Open(content) | Frame::Failed(content) => put_content(content, out),
            Frame::Flow(number, content) | Frame::FlowEnd(number, content) => {
                out.extend(number.to_be_bytes());
                put_content(content, out);
            }
        }
    }

    fn code(&self) -> u8 {
        match self {
            Frame::End => END,
            Frame::Reset(_) => RESET,
            Frame::Open(_) => OPEN,
            Frame::Opened => OPENED,
            Frame::Failed(_) => FAILED,
            Frame::Ping(_) => PING,
            Frame::Pong(_) => PONG,
            Frame::Done => DONE,
            Frame::Close(_) => CLOSE,
            Frame::Flow(..) => FLOW,
            Frame::FlowEnd(..) => FLOW_END,
        }
    }
}

fn put_content(content: &[u8], out: &mut Vec<u8>) {
    let content = &content[..content.len().min(MAX_CONTENT)];
    out.extend((content.len() as u16).to_be_bytes());
    out.extend(content);
}

/// What precedes a body of this length, 1 to [`MAX_BODY`]: an empty body would be the beginning of another frame.
pub fn head(length: usize) -> [u8; HEAD] {
    debug_assert!((1..=MAX_BODY).contains(&length), "no body of {length} bytes");
    let [_, high, middle, low] = (length as u32).to_be_bytes();
    [high, middle, low]
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::LongBody(length) => write!(f, "a body of {length} bytes"),
            Malformed::LongContent(length) => write!(f, "a header of {length} bytes"),
            Malformed::Code(code) => write!(f, "a frame with the unknown code {code}"),
        }
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a stream consists of: whole bodies, and frames.
    #[derive(Clone, Debug, PartialEq)]
    enum Whole {
        Body(Vec<u8>),
        Frame(Frame),
    }

    fn encoded(all: &[Whole]) -> Vec<u8> {
        let mut out = Vec::new();
        for one in all {
            match one {
                Whole::Body(bytes) => {
                    out.extend(head(bytes.len()));
                    out.extend(bytes);
                }
                Whole::Frame(frame) => frame.encode(&mut out),
            }
        }
        out
    }

    /// Reads a stream that comes in these pieces; holds what is said of the pieces of a body and of the memory.
    fn decoded(pieces: &[&[u8]]) -> (Vec<Whole>, Option<Malformed>, Decoder) {
        let (mut decoder, mut all, mut begun) = (Decoder::default(), Vec::new(), None::<Vec<u8>>);
        for piece in pieces {
            let mut input = *piece;
            loop {
                match decoder.next(&mut input) {
                    Ok(None) => break,
                    Ok(Some(Event::Frame(frame))) => {
                        assert_eq!(begun, None, "a frame within a body");
                        all.push(Whole::Frame(frame));
                    }
                    Ok(Some(Event::Body { bytes, is_first, is_last })) => {
                        assert!(!bytes.is_empty() && bytes.len() <= MAX_BODY);
                        assert_eq!(is_first, begun.is_none(), "a body begins once");
                        begun.get_or_insert_default().extend(bytes);
                        if is_last {
                            all.extend(begun.take().map(Whole::Body));
                        }
                    }
                    Err(wrong) => {
                        assert_eq!(decoder.next(&mut &b"\0\0\0\x03"[..]), Err(wrong), "it goes on");
                        return (all, Some(wrong), decoder);
                    }
                }
                assert!(
                    decoder.kept.capacity() <= 2 * (HEAD + 3 + NUMBER + MAX_CONTENT),
                    "{}",
                    decoder.kept.capacity()
                );
            }
            assert!(input.is_empty(), "bytes are left over");
        }
        (all, None, decoder)
    }

    /// The same bytes, cut at these places.
    fn cut<'b>(bytes: &'b [u8], at: &[prop::sample::Index]) -> Vec<&'b [u8]> {
        let mut at: Vec<usize> = at.iter().map(|at| at.index(bytes.len() + 1)).collect();
        at.sort_unstable();
        let ends = at.iter().copied().chain([bytes.len()]);
        ends.scan(0, |from, to| Some(&bytes[std::mem::replace(from, to)..to])).collect()
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let content = prop::collection::vec(any::<u8>(), 0..80);
        prop_oneof![
            Just(Frame::End),
            prop::sample::select(&Reason::ALL[..]).prop_map(Frame::Reset),
            content.clone().prop_map(Frame::Open),
            Just(Frame::Opened),
            content.clone().prop_map(Frame::Failed),
            (any::<u64>(), content.clone()).prop_map(|(number, open)| Frame::Flow(number, open)),
            (any::<u64>(), content).prop_map(|(number, why)| Frame::FlowEnd(number, why)),
            any::<u32>().prop_map(Frame::Ping),
            any::<u32>().prop_map(Frame::Pong),
            Just(Frame::Done),
            (0..6_u8).prop_map(|code| Frame::Close(CloseCode::of(code))),
        ]
    }

    fn any_stream() -> impl Strategy<Value = Vec<Whole>> {
        let body = prop::collection::vec(any::<u8>(), 1..300).prop_map(Whole::Body);
        prop::collection::vec(prop_oneof![body, any_frame().prop_map(Whole::Frame)], 0..12)
    }

    #[test]
    fn the_bytes_of_each_frame_are_those_of_the_table() {
        let bytes = |frame: Frame| {
            let mut out = Vec::new();
            frame.encode(&mut out);
            out
        };

        assert_eq!(bytes(Frame::End), [0, 0, 0, 0]);
        assert_eq!(bytes(Frame::Reset(Reason::Expired)), [0, 0, 0, 1, 16]);
        assert_eq!(bytes(Frame::Open(vec![7; 2])), [0, 0, 0, 2, 0, 2, 7, 7]);
        assert_eq!(bytes(Frame::Opened), [0, 0, 0, 3]);
        assert_eq!(bytes(Frame::Failed(vec![])), [0, 0, 0, 4, 0, 0]);
        assert_eq!(bytes(Frame::Ping(1)), [0, 0, 0, 5, 0, 0, 0, 1]);
        assert_eq!(bytes(Frame::Pong(0x0102_0304)), [0, 0, 0, 6, 1, 2, 3, 4]);
        assert_eq!(bytes(Frame::Done), [0, 0, 0, 7]);
        assert_eq!(bytes(Frame::Close(CloseCode::Overload)), [0, 0, 0, 8, 5]);
        assert_eq!(
            bytes(Frame::Flow(0x0102_0304_0506_0708, vec![9; 2])),
            [0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 9, 9]
        );
        assert_eq!(bytes(Frame::FlowEnd(1, vec![])), [0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!([head(1), head(300), head(MAX_BODY)], [[0, 0, 1], [0, 1, 44], [1, 0, 0]]);
    }

    #[test]
    fn a_body_and_a_content_are_read_up_to_their_limits_and_refused_beyond() {
        let longest = [
            Whole::Body(vec![1; MAX_BODY]),
            Whole::Frame(Frame::Open(vec![2; MAX_CONTENT])),
            Whole::Frame(Frame::Flow(u64::MAX, vec![3; MAX_CONTENT])),
        ];
        assert_eq!(decoded(&[&encoded(&longest)]).0, longest);

        let wrong = |bytes: &[u8]| decoded(&[bytes]).1;
        assert_eq!(wrong(&[1, 0, 1]), Some(Malformed::LongBody(MAX_BODY + 1)));
        assert_eq!(wrong(&[255; 3]), Some(Malformed::LongBody(0xff_ffff)));
        assert_eq!(wrong(&[0, 0, 0, 2, 0x12, 0x01]), Some(Malformed::LongContent(4609)));
        assert_eq!(wrong(&[0, 0, 0, 4, 0xff, 0xff]), Some(Malformed::LongContent(u16::MAX)));
        for code in [FLOW, FLOW_END] {
            let head = [&[0, 0, 0, code][..], &[0; NUMBER], &[0x12, 0x01]].concat();
            assert_eq!(wrong(&head), Some(Malformed::LongContent(4609)));
        }
        for code in 11..=255 {
            assert_eq!(wrong(&[0, 0, 0, code]), Some(Malformed::Code(code)));
        }
    }

    #[test]
    fn a_head_that_comes_alone_still_begins_its_body() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.next(&mut &[0, 0, 2][..]), Ok(None));
        assert!(decoder.is_within_frame());

        let first = decoder.next(&mut &[1][..]);
        let last = decoder.next(&mut &[2][..]);

        assert_eq!(first, Ok(Some(Event::Body { bytes: &[1], is_first: true, is_last: false })));
        assert_eq!(last, Ok(Some(Event::Body { bytes: &[2], is_first: false, is_last: true })));
        assert!(!decoder.is_within_frame());
    }

    #[test]
    fn a_reason_and_a_code_of_a_later_version_are_read_as_the_plainest() {
        let frames = decoded(&[&[0, 0, 0, 1, 19, 0, 0, 0, 8, 99]]).0;
        let plainest = [Frame::Reset(Reason::Reset), Frame::Close(CloseCode::Surplus)];
        assert_eq!(frames, plainest.map(Whole::Frame));
        for (byte, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!((reason as usize, Reason::of(byte as u8)), (byte, reason));
            assert_eq!(Reason::of_code(reason.code()), reason);
        }
        assert_eq!(Reason::of_code("of a later version"), Reason::Reset);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_however_it_is_cut(all in any_stream(), at: [prop::sample::Index; 6]) {
            let bytes = encoded(&all);

            let (read, wrong, decoder) = decoded(&cut(&bytes, &at));

            prop_assert_eq!((read, wrong, decoder.is_within_frame()), (all, None, false));
        }

        #[test]
        fn any_bytes_are_the_same_frames_whole_and_byte_by_byte(
            begun in any_stream(),
            behind in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..40),
        ) {
            let bytes = [encoded(&begun), behind].concat();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();

            let (whole, wrong, decoder) = decoded(&[&bytes]);
            let (again, wrong_again, decoder_again) = decoded(&single);

            prop_assert_eq!((whole, wrong), (again, wrong_again));
            prop_assert_eq!(decoder.is_within_frame(), decoder_again.is_within_frame());
        }

        #[test]
        fn a_stream_that_is_cut_short_is_within_a_frame(all in any_stream(), at: prop::sample::Index) {
            let bytes = encoded(&all);
            let short = &bytes[..at.index(bytes.len() + 1)];
            // Where each frame ends.
            let ends: Vec<usize> = (0..=all.len()).map(|n| encoded(&all[..n]).len()).collect();

            prop_assert_eq!(decoded(&[short]).2.is_within_frame(), !ends.contains(&short.len()));
        }
    }
}
