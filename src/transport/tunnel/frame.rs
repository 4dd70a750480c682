//! Frames ⇄ bytes. A frame is a length of three bytes, big-endian, and a body; a length of zero is followed by a code.
//!
//! ```text
//! length 1..=65536, body      bytes of the session on a carrier, one JSON message on a control
//! length 0, code, …           0x00 END      0x01 RESET reason:u8   0x02 OPEN length:u16 header   0x03 OPENED
//!                             0x04 FAILED length:u16 json          0x05 PING n:u32               0x06 PONG n:u32
//!                             0x07 DONE     0x08 CLOSE code:u8
//! ```

use std::fmt;

/// The longest body, in bytes.
pub const MAX_BODY: usize = 64 << 10;

/// What precedes a body.
pub const HEAD: usize = 3;

/// The longest content of OPEN and of FAILED, in bytes.
pub const MAX_CONTENT: usize = 4096 + 512;

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
}

/// Why a session was cut. A closed list; a byte that is not in it is read as `Reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The sender's side of the session sent RST.
    Reset = 0,
    /// Nothing moved for `idle_timeout`.
    Idle = 1,
    /// A limit.
    Limited = 2,
    /// The client may not connect.
    Denied = 3,
    /// The time for a stop was over.
    Drained = 4,
    /// Its place was needed.
    Evicted = 5,
    /// A key or a permission was withdrawn.
    Revoked = 6,
    /// No target was reached.
    NoTarget = 7,
    /// The other end broke the rules of these frames.
    Protocol = 8,
    /// A bug.
    Internal = 9,
    /// By hand.
    Killed = 10,
    /// An impairment of the route.
    Impaired = 11,
    /// The kernel gave the client's connection up.
    ClientLost = 12,
    /// The kernel gave the target's connection up.
    TargetLost = 13,
    /// The client did not send in time what the route waits for.
    SlowClient = 14,
    /// TLS with the client failed.
    TlsFailed = 15,
    /// The session was as old as `max_session_age` allows.
    Expired = 16,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CloseCode {
    /// It is one idle carrier too many.
    Surplus = 0,
    /// The sender stops.
    Stopping = 1,
    /// The other end broke the rules.
    Protocol = 2,
    /// The key was withdrawn.
    Revoked = 3,
    /// Another control took over.
    Replaced = 4,
    /// The sender is out of something.
    Overload = 5,
}

/// What the bytes of a connection consist of.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// Bytes of a body, as they come. `is_first` of those of a frame, `is_last` of those.
    Body {
        /// At least one byte.
        bytes: &'b [u8],
        /// A frame begins with them.
        is_first: bool,
        /// A frame ends with them.
        is_last: bool,
    },
    /// A frame without a body.
    Frame(Frame),
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A body longer than [`MAX_BODY`].
    LongBody(u32),
    /// A content of OPEN or FAILED longer than [`MAX_CONTENT`].
    LongContent(u16),
    /// A code that this version does not know.
    Code(u8),
}

/// Reads frames out of a stream of bytes that comes in pieces. Of an incomplete frame it keeps its head, and the content
/// of OPEN and FAILED; never bytes of a body.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a head, or of a frame without a body.
    kept: Vec<u8>,
    /// The bytes of the body that are still to come.
    body: usize,
}

impl Decoder {
    /// The next event of `input`, which is advanced past it; `None` if all of it is used up.
    ///
    /// # Errors
    /// The bytes are no frame; nothing more can be read after that.
    pub fn next<'b>(&mut self, input: &mut &'b [u8]) -> Result<Option<Event<'b>>, Malformed> {
        if self.body > 0 && !input.is_empty() {
            return Ok(Some(self.take_body(input, false)));
        }
        while let Some((byte, rest)) = input.split_first() {
            self.kept.push(*byte);
            *input = rest;
            if let [high, middle, low] = self.kept[..] {
                let length = u32::from_be_bytes([0, high, middle, low]);
                if length as usize > MAX_BODY {
                    return Err(Malformed::LongBody(length));
                }
                if length > 0 {
                    self.kept.clear();
                    self.body = length as usize;
                    return Ok((!input.is_empty()).then(|| self.take_body(input, true)));
                }
            }
            if let Some(frame) = frame(&self.kept)? {
                self.kept = Vec::new();
                return Ok(Some(Event::Frame(frame)));
            }
        }
        Ok(None)
    }

    /// Whether a frame has begun and has not ended.
    pub fn is_within_frame(&self) -> bool {
        self.body > 0 || !self.kept.is_empty()
    }

    fn take_body<'b>(&mut self, input: &mut &'b [u8], is_first: bool) -> Event<'b> {
        let (bytes, rest) = input.split_at(self.body.min(input.len()));
        (*input, self.body) = (rest, self.body - bytes.len());
        Event::Body { bytes, is_first, is_last: self.body == 0 }
    }
}

/// The frame without a body that these bytes are; `None` if more are needed.
fn frame(bytes: &[u8]) -> Result<Option<Frame>, Malformed> {
    let Some((code, rest)) = bytes.get(HEAD..).and_then(<[u8]>::split_first) else { return Ok(None) };
    let number = || rest.try_into().ok().map(u32::from_be_bytes);
    Ok(match code {
        0 => Some(Frame::End),
        1 => rest.first().map(|reason| Frame::Reset(Reason::of(*reason))),
        2 => content(rest)?.map(Frame::Open),
        3 => Some(Frame::Opened),
        4 => content(rest)?.map(Frame::Failed),
        5 => number().map(Frame::Ping),
        6 => number().map(Frame::Pong),
        7 => Some(Frame::Done),
        8 => rest.first().map(|code| Frame::Close(CloseCode::of(*code))),
        other => return Err(Malformed::Code(*other)),
    })
}

fn content(bytes: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let Some((length, content)) = bytes.split_first_chunk() else { return Ok(None) };
    let length = u16::from_be_bytes(*length);
    if usize::from(length) > MAX_CONTENT {
        return Err(Malformed::LongContent(length));
    }
    Ok((content.len() == usize::from(length)).then(|| content.to_vec()))
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
            Frame::Open(content) | Frame::Failed(content) => {
                let content = &content[..content.len().min(MAX_CONTENT)];
                out.extend((content.len() as u16).to_be_bytes());
                out.extend(content);
            }
        }
    }

    fn code(&self) -> u8 {
        match self {
            Frame::End => 0,
            Frame::Reset(_) => 1,
            Frame::Open(_) => 2,
            Frame::Opened => 3,
            Frame::Failed(_) => 4,
            Frame::Ping(_) => 5,
            Frame::Pong(_) => 6,
            Frame::Done => 7,
            Frame::Close(_) => 8,
        }
    }
}

/// What precedes a body of this length, 1 to [`MAX_BODY`].
pub fn head(length: usize) -> [u8; HEAD] {
    let [_, high, middle, low] = (length as u32).to_be_bytes();
    [high, middle, low]
}

impl Reason {
    const ALL: [Reason; 17] = [
        Reason::Reset,
        Reason::Idle,
        Reason::Limited,
        Reason::Denied,
        Reason::Drained,
        Reason::Evicted,
        Reason::Revoked,
        Reason::NoTarget,
        Reason::Protocol,
        Reason::Internal,
        Reason::Killed,
        Reason::Impaired,
        Reason::ClientLost,
        Reason::TargetLost,
        Reason::SlowClient,
        Reason::TlsFailed,
        Reason::Expired,
    ];

    fn of(byte: u8) -> Reason {
        Reason::ALL.get(usize::from(byte)).copied().unwrap_or(Reason::Reset)
    }
}

impl CloseCode {
    fn of(byte: u8) -> CloseCode {
        match byte {
            1 => CloseCode::Stopping,
            2 => CloseCode::Protocol,
            3 => CloseCode::Revoked,
            4 => CloseCode::Replaced,
            5 => CloseCode::Overload,
            _ => CloseCode::Surplus,
        }
    }
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
