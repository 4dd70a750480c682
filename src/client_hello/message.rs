//! The body of a ClientHello: where in it the server name and the protocols are.
//!
//! Every length is checked, every extension is parsed, and everything that a server would have to refuse is refused:
//! what two readers may understand differently must not choose a target.

use std::ops::Range;

use super::Fault;

const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;
const HOST_NAME: u8 = 0;

/// RFC 8446, section 4.1.2: `legacy_version` and `random`.
const VERSION_AND_RANDOM: usize = 2 + 32;
const LONGEST_SESSION_ID: usize = 32;

/// The positions of the parts that are read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The bytes of the name; at least one.
    pub(super) name: Option<Range<usize>>,
    /// The list of protocols, each preceded by its length; empty if there is none.
    pub(super) protocols: Range<usize>,
}

/// Reads the body of a ClientHello.
pub(super) fn read(body: &[u8]) -> Result<Found, Fault> {
    let mut hello = Cursor { bytes: body, at: 0, end: body.len() };
    hello.skip(VERSION_AND_RANDOM)?;
    let session_id = hello.short_part()?;
    let suites = hello.part()?;
    let compressions = hello.short_part()?;
    if session_id.left() > LONGEST_SESSION_ID || suites.left() < 2 || compressions.left() < 1 {
        return Err(Fault::Lengths);
    }
    // A client of TLS 1.2 or older may have no extensions.
    let mut found = Found::default();
    if hello.left() == 0 {
        return Ok(found);
    }
    let mut extensions = hello.part()?;
    hello.must_be_over()?;
    let mut seen = Kinds::default();
    while extensions.left() > 0 {
        let kind = extensions.number()?;
        let content = extensions.part()?;
        if !seen.insert(kind) {
            return Err(Fault::TwiceExtended);
        }
        match kind {
            SERVER_NAME => found.name = server_name(content)?,
            PROTOCOLS => found.protocols = protocols(content)?,
            _ => {}
        }
    }
    Ok(found)
}

/// RFC 6066, section 3: a list of names, at most one of each type. Only one type exists; what follows a name of an
/// unknown type cannot be parsed.
fn server_name(mut content: Cursor<'_>) -> Result<Option<Range<usize>>, Fault> {
    let mut list = content.part()?;
    content.must_be_over()?;
    if list.left() == 0 {
        return Err(Fault::Lengths);
    }
    let mut name = None;
    while list.left() > 0 {
        if list.byte()? != HOST_NAME {
            break;
        }
        let found = list.part()?;
        if found.left() == 0 {
            return Err(Fault::Lengths);
        }
        if name.replace(found.at..found.end).is_some() {
            return Err(Fault::TwoNames);
        }
    }
    Ok(name)
}

/// RFC 7301, section 3.1: a list of non-empty names.
fn protocols(mut content: Cursor<'_>) -> Result<Range<usize>, Fault> {
    let mut list = content.part()?;
    content.must_be_over()?;
    let all = list.at..list.end;
    if all.is_empty() {
        return Err(Fault::Lengths);
    }
    while list.left() > 0 {
        if list.short_part()?.left() == 0 {
            return Err(Fault::Lengths);
        }
    }
    Ok(all)
}

/// A part of the body, consumed from its front.
struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
    end: usize,
}

impl<'b> Cursor<'b> {
    fn left(&self) -> usize {
        self.end - self.at
    }

    fn skip(&mut self, count: usize) -> Result<(), Fault> {
        self.take(count).map(|_| ())
    }

    /// The next bytes, as a part of their own.
    fn take(&mut self, count: usize) -> Result<Cursor<'b>, Fault> {
        if count > self.left() {
            return Err(Fault::Lengths);
        }
        let start = self.at;
        self.at += count;
        Ok(Cursor { bytes: self.bytes, at: start, end: self.at })
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let at = self.take(1)?.at;
        Ok(self.bytes[at])
    }

    fn number(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// The part after a two-byte length.
    fn part(&mut self) -> Result<Cursor<'b>, Fault> {
        let length = self.number()?;
        self.take(length.into())
    }

    /// The part after a one-byte length.
    fn short_part(&mut self) -> Result<Cursor<'b>, Fault> {
        let length = self.byte()?;
        self.take(length.into())
    }

    fn must_be_over(&self) -> Result<(), Fault> {
        if self.left() == 0 { Ok(()) } else { Err(Fault::Lengths) }
    }
}

/// The types of extensions seen: one bit for each possible type, as a hello may have thousands.
struct Kinds([u64; 1 << 10]);

impl Default for Kinds {
    fn default() -> Self {
        Kinds([0; 1 << 10])
    }
}

impl Kinds {
    /// Whether it is the first of its type.
    fn insert(&mut self, kind: u16) -> bool {
        let (word, bit) = (&mut self.0[usize::from(kind / 64)], 1 << (kind % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}
