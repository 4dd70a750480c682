//! Why bytes are not a PROXY header, worded to end a sentence about them.

use std::fmt;

/// The largest header that is read, in bytes; longer ones are refused. (Version 1 has at most 107, version 2 could have
/// 65,551; with every registered TLV it has about a thousand.)
pub const LONGEST: usize = 4096;

/// What is wrong with the beginning of a connection that must be a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// It begins like neither version.
    Absent,
    /// Version 1: no line end within the 107 bytes it may have, or a line end other than CR LF.
    LineEnd,
    /// Version 1: neither TCP4 nor TCP6 nor UNKNOWN.
    Protocol,
    /// Version 1: not two addresses of the family and two ports, one space before each.
    Line,
    /// Version 2: the binary form has another version.
    Version(u8),
    /// Version 2: neither LOCAL nor PROXY.
    Command(u8),
    /// Version 2: an address family that does not exist.
    Family(u8),
    /// Version 2: a transport that does not exist.
    Transport(u8),
    /// Version 2: shorter than its addresses.
    Short(u16),
    /// Version 2: longer than [`LONGEST`].
    Long(u16),
    /// Version 2: a TLV that extends beyond the header, or has the wrong form for its type.
    Tlv(u8),
    /// Version 2: its CRC32c does not match.
    Checksum,
    /// On a carrier: it is LOCAL, and so says nothing of the client.
    Local,
    /// On a carrier: it is about another transport than the session, or about half an address.
    OtherTransport(u8),
    /// On a carrier: these bytes are no whole header, or more than one.
    Partial,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Absent => f.write_str("it is none"),
            Malformed::LineEnd => f.write_str("its line does not end with CR LF within 107 bytes"),
            Malformed::Protocol => f.write_str("its protocol is not TCP4, TCP6 or UNKNOWN"),
            Malformed::Line => f.write_str(
                "its line is not two addresses of one family and two ports, one space before each",
            ),
            Malformed::Version(version) => write!(f, "its version is {version}, not 2"),
            Malformed::Command(command) => write!(f, "its command is {command}, neither LOCAL nor PROXY"),
            Malformed::Family(family) => write!(f, "there is no address family {family}"),
            Malformed::Transport(transport) => write!(f, "there is no transport {transport}"),
            Malformed::Short(length) => write!(f, "its length of {length} is less than its addresses need"),
            Malformed::Long(length) => {
                write!(f, "its length of {length} is beyond the {LONGEST} bytes that are read")
            }
            Malformed::Tlv(kind) => write!(f, "its TLV of type {kind:#04x} is broken"),
            Malformed::Checksum => f.write_str("its CRC32c is wrong"),
            Malformed::Local => f.write_str("it is LOCAL, and says nothing of the client"),
            Malformed::OtherTransport(transport) => {
                write!(f, "its transport {transport} is not the session's")
            }
            Malformed::Partial => f.write_str("it ends before these bytes do, or behind them"),
        }
    }
}
