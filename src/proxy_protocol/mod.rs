//! Who is really calling: the header that a proxy puts before a connection's bytes, bytes ⇄ [`Header`].
//!
//! Versions 1 and 2 of the PROXY protocol (haproxy, doc/proxy-protocol.txt; the sections named here are its). Pure: bytes
//! in, an answer out, and never a byte beyond the header. Whether one is to be expected is configured and never guessed
//! (section 2). Its TLVs are checked and kept, to be passed on; nothing here acts on what they say.
//!
//! It is written by hand: `ppp` and `proxy-header` take headers that the specification refuses, and refuse some that it
//! allows; where two proxies read one header differently, a client can forge its address.

mod header;
mod malformed;
mod senders;
mod tlv;
mod v1;
mod v2;

use std::time::Duration;

use serde::Deserialize;

pub use header::{Ends, Header, UNIX_ENDS};
pub use malformed::{LONGEST, Malformed};
pub use senders::{Sender, Senders};
pub use tlv::Tlvs;

/// Reads the header at the beginning of `bytes`, and gives it with its length. `None` where more bytes must tell.
///
/// What cannot become a header is refused at its first wrong byte. (Addresses are looked at once all of it is there, as
/// sections 2.1 and 2.2 ask for.) It never asks for more than [`LONGEST`] bytes.
pub fn read(bytes: &[u8]) -> Option<Result<(Header, usize), Malformed>> {
    match bytes.first()? {
        b'P' => v1::read(bytes),
        b'\r' => v2::read(bytes),
        _ => Some(Err(Malformed::Absent)),
    }
}

/// What a route does with headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRules {
    /// Whose connections it takes, each beginning with one; none where it is no route for proxies.
    pub accept: Senders,
    /// How long after its connection a client may take for that; more than zero.
    pub patience: Duration,
    /// What the target is sent, if anything.
    pub send: Option<Form>,
}

/// Whether a header is sent to the target, as a user writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendProxy {
    /// None is.
    #[default]
    Off,
    /// A line of text.
    V1,
    /// The binary form.
    V2,
    /// The binary form with a checksum.
    V2Crc32c,
}

impl SendProxy {
    /// The form that is sent.
    pub fn form(self) -> Option<Form> {
        match self {
            SendProxy::Off => None,
            SendProxy::V1 => Some(Form::V1),
            SendProxy::V2 => Some(Form::V2),
            SendProxy::V2Crc32c => Some(Form::V2Crc32c),
        }
    }
}

/// The form of a header that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A line of text; without TLVs.
    V1,
    /// Binary.
    V2,
    /// Binary, with a checksum that the receiver verifies.
    V2Crc32c,
}

impl Form {
    /// The bytes that announce a connection made on behalf of these ends; version 2 passes `tlvs` on.
    pub fn announce(self, ends: &Ends, tlvs: &Tlvs) -> Vec<u8> {
        match self {
            Form::V1 => v1::write(ends),
            Form::V2 => v2::write(ends, tlvs, v2::Checksum::Without),
            Form::V2Crc32c => v2::write(ends, tlvs, v2::Checksum::With),
        }
    }

    /// The bytes that announce a connection of our own between these addresses, as a check makes one. Version 1 has no
    /// other word for it than a client at our own address (section 2.1).
    pub fn announce_own(self, ends: Ends) -> Vec<u8> {
        match self {
            Form::V1 => v1::write(&ends),
            Form::V2 | Form::V2Crc32c => self.announce(&Ends::Own, &Tlvs::default()),
        }
    }
}

#[cfg(test)]
mod tests;
