//! The records around a hello: whether it is a hello, whether it is complete, and how many bytes it still needs.
//!
//! A hello may be cut into records anywhere (RFC 8446, section 5.1), and the records into segments anywhere.

use std::borrow::Cow;

use super::{Fault, Hello, MAX_BYTES, Seen, message};

/// Bytes before the fragment in a record: its type, a version that is ignored, a length.
const RECORD_HEADER: usize = 5;

/// Bytes before the body of a message: its type, a length.
const MESSAGE_HEADER: usize = 4;

/// RFC 8446, section 5.1: the largest fragment of a plaintext record.
const LONGEST_FRAGMENT: usize = 1 << 14;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Follows a hello as its bytes arrive. Each call gets everything from the first byte on; the reader remembers how far
/// it has parsed, so that a hello in very many pieces costs no more than its length.
#[derive(Debug, Default)]
pub struct Reader {
    /// The start of the first incomplete record.
    at: usize,
    /// Bytes of the message in the records before it.
    gathered: usize,
}

impl Reader {
    /// Classifies `wire`: all bytes of the connection so far, no fewer than in the call before.
    pub fn read<'w>(&mut self, wire: &'w [u8]) -> Seen<'w> {
        loop {
            let fragment = match self.fragment_length(wire) {
                Ok(fragment) => fragment,
                Err(seen) => return seen,
            };
            let end = wire.len().min(self.at + RECORD_HEADER + fragment);
            let whole = match message_length(&wire[..end]) {
                Ok(whole) => whole,
                Err(fault) => return Seen::Broken(fault),
            };
            let missing = whole.unwrap_or(MESSAGE_HEADER) - self.gathered;
            let needed = self.at + RECORD_HEADER + fragment.min(missing);
            if wire.len() < needed || needed > MAX_BYTES {
                return part(needed);
            }
            if let Some(whole) = whole.filter(|_| fragment >= missing) {
                return hello(&wire[..end], whole);
            }
            self.at += RECORD_HEADER + fragment;
            self.gathered += fragment;
        }
    }

    /// The fragment length of the current record.
    fn fragment_length<'w>(&self, wire: &'w [u8]) -> Result<usize, Seen<'w>> {
        let header = wire.get(self.at..).unwrap_or_default();
        // Only the first byte of a connection shows whether it is TLS; a record of another type later breaks the hello.
        let otherwise = || if self.at == 0 { Seen::Other } else { Seen::Broken(Fault::Interleaved) };
        match *header {
            [] => Err(part(self.at + 1)),
            [HANDSHAKE] | [HANDSHAKE, 3] | [HANDSHAKE, 3, _] | [HANDSHAKE, 3, _, _] => {
                Err(part(self.at + RECORD_HEADER))
            }
            [HANDSHAKE, 3, _, high, low, ..] => match usize::from(u16::from_be_bytes([high, low])) {
                0 => Err(Seen::Broken(Fault::EmptyRecord)),
                length if length > LONGEST_FRAGMENT => Err(Seen::Broken(Fault::LongRecord)),
                length => Ok(length),
            },
            _ => Err(otherwise()),
        }
    }
}

fn part<'w>(needed: usize) -> Seen<'w> {
    if needed > MAX_BYTES { Seen::Broken(Fault::TooLong) } else { Seen::Part(needed) }
}

/// The length of the message with its header, once that has arrived.
fn message_length(wire: &[u8]) -> Result<Option<usize>, Fault> {
    let mut header = fragments(wire).flatten().copied();
    match header.next() {
        None => return Ok(None),
        Some(CLIENT_HELLO) => {}
        Some(_) => return Err(Fault::OtherMessage),
    }
    let (Some(high), Some(middle), Some(low)) = (header.next(), header.next(), header.next()) else {
        return Ok(None);
    };
    let whole = MESSAGE_HEADER + u32::from_be_bytes([0, high, middle, low]) as usize;
    if RECORD_HEADER + whole > MAX_BYTES { Err(Fault::TooLong) } else { Ok(Some(whole)) }
}

/// A hello of `whole` bytes, header included, all of which have arrived.
fn hello(wire: &[u8], whole: usize) -> Seen<'_> {
    let first = fragments(wire).next().unwrap_or_default();
    let body = match first.get(MESSAGE_HEADER..whole) {
        Some(body) => Cow::Borrowed(body),
        None => {
            let mut joined = Vec::with_capacity(whole);
            fragments(wire).for_each(|fragment| {
                let missing = whole - joined.len();
                joined.extend_from_slice(&fragment[..fragment.len().min(missing)]);
            });
            joined.drain(..MESSAGE_HEADER);
            Cow::Owned(joined)
        }
    };
    match message::read(&body) {
        Ok(message::Found { name, protocols }) => Seen::Hello(Hello { name, protocols, message: body }),
        Err(fault) => Seen::Broken(fault),
    }
}

/// The fragment of each record; of the last one, what has arrived.
fn fragments(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let [_, _, _, high, low, after @ ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (fragment, after) = after.split_at(length);
        rest = after;
        Some(fragment)
    })
}
