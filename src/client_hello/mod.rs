//! Which name a TLS client requests: its ClientHello, read from the first bytes of a connection without taking part in
//! TLS.
//!
//! Pure: takes bytes, returns a result. Nothing here waits or consumes bytes. The target judges what the hello offers
//! besides the server name and the protocols. A name hidden by ECH stays hidden: the outer name is read, which is the
//! one meant for routing.
//!
//! It is written by hand: it runs before any client is admitted, so it neither consumes nor allocates, handles a hello
//! spread over several records, and stops at a limit. rustls' `Acceptor` consumes and allocates, and `tls-parser` reads
//! one whole record at a time. The tests compare it with rustls.

mod choice;
mod message;
mod name;
mod read;
mod stranger;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use choice::Choice;
pub use name::Name;
pub use read::Reader;
pub use stranger::looks_like;

/// The largest number of bytes of a connection that are searched for its hello, record headers included. A hello with
/// post-quantum keys has about 2 KiB, one with a large session ticket up to 16 KiB.
pub const MAX_BYTES: usize = 64 << 10;

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<'w> {
    /// The beginning of a hello. At least this many bytes, counted from the first, are needed to continue; never more
    /// than [`MAX_BYTES`].
    Part(usize),
    /// A whole hello.
    Hello(Hello<'w>),
    /// Not TLS.
    Other,
    /// TLS, but not a hello that a server could answer.
    Broken(Fault),
}

/// A whole ClientHello (RFC 8446, section 4.1.2).
#[derive(Debug, PartialEq, Eq)]
pub struct Hello<'w> {
    /// The message without its header. It is borrowed if it came in one record, as most do.
    message: Cow<'w, [u8]>,
    name: Option<Range<usize>>,
    protocols: Range<usize>,
}

impl Hello<'_> {
    /// The requested server name (SNI; RFC 6066, section 3), as sent: any bytes, at least one.
    pub fn server_name(&self) -> Option<&[u8]> {
        self.name.clone().map(|name| &self.message[name])
    }

    /// The protocols the client offers (ALPN; RFC 7301, section 3.1), in its order of preference.
    pub fn protocols(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.message[self.protocols.clone()];
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (protocol, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            Some(protocol)
        })
    }
}

/// Why bytes that began as TLS are not a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A handshake record is empty, which RFC 8446, section 5.1, forbids.
    EmptyRecord,
    /// A record is longer than the 2^14 bytes of RFC 8446, section 5.1.
    LongRecord,
    /// Another kind of record comes between those of the hello.
    Interleaved,
    /// The first message is not a ClientHello.
    OtherMessage,
    /// More than [`MAX_BYTES`].
    TooLong,
    /// The lengths of its parts do not add up to its own.
    Lengths,
    /// It has an extension twice, so that two readers might understand it differently.
    TwiceExtended,
    /// It requests two names.
    TwoNames,
}

impl Fault {
    /// The alert to send (RFC 8446, section 6.2).
    pub fn alert(self) -> Alert {
        match self {
            Fault::LongRecord => Alert::RecordOverflow,
            Fault::EmptyRecord | Fault::Interleaved | Fault::OtherMessage => Alert::UnexpectedMessage,
            Fault::TooLong | Fault::Lengths => Alert::DecodeError,
            Fault::TwiceExtended | Fault::TwoNames => Alert::IllegalParameter,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::EmptyRecord => "a TLS record of the hello is empty",
            Fault::LongRecord => "a TLS record is longer than 16 KiB",
            Fault::Interleaved => "another record interrupts the TLS hello",
            Fault::OtherMessage => "the first TLS message is not a ClientHello",
            Fault::TooLong => "the TLS hello is longer than 64 KiB",
            Fault::Lengths => "the parts of the TLS hello do not add up to its length",
            Fault::TwiceExtended => "the TLS hello has an extension twice",
            Fault::TwoNames => "the TLS hello asks for two names",
        })
    }
}

/// A fatal alert, sent to a client before its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Alert {
    /// A message that is not allowed here.
    UnexpectedMessage = 10,
    /// A record that is too long.
    RecordOverflow = 22,
    /// An invalid value.
    IllegalParameter = 47,
    /// A message that cannot be decoded.
    DecodeError = 50,
    /// No server here has the requested name (RFC 6066, section 3).
    UnrecognizedName = 112,
    /// None of the offered protocols is spoken here (RFC 7301, section 3.2).
    NoApplicationProtocol = 120,
}

impl Alert {
    /// Its record, in plain text like everything before a handshake. Every version since TLS 1.0 reads it.
    pub fn record(self) -> [u8; 7] {
        const ALERT: u8 = 21;
        const FATAL: u8 = 2;
        [ALERT, 3, 3, 0, 2, FATAL, self as u8]
    }
}

#[cfg(test)]
mod captured;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
