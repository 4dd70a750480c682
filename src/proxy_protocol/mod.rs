//! The header with which a proxy announces the real client before a connection's bytes: bytes ⇄ [`Header`].
//!
//! Versions 1 and 2 of the PROXY protocol (haproxy, doc/proxy-protocol.txt; section numbers here refer to it). Pure:
//! takes bytes, returns a result, and never uses a byte beyond the header. Whether to expect a header is configured and
//! never guessed (section 2). Its TLVs are checked and kept, to be passed on; nothing here acts on them.
//!
//! It is written by hand: `ppp` and `proxy-header` accept headers that the specification refuses, and refuse some that
//! it allows; where two proxies read one header differently, a client can forge its address.

mod header;
mod malformed;
mod senders;
mod tls_facts;
mod tlv;
mod v1;
mod v2;

use std::time::Duration;

use serde::Deserialize;

use crate::address::Protocol;

pub use header::{Ends, Header, UNIX_ENDS};
pub use malformed::{LONGEST, Malformed};
pub use senders::{Sender, Senders};
pub use tls_facts::TlsFacts;
pub use tlv::Tlvs;

/// Reads the header at the beginning of `bytes`, and returns it with its length. `None` if more bytes are needed.
///
/// What cannot become a header is refused at its first wrong byte. (Addresses are checked once the whole header is
/// there, as sections 2.1 and 2.2 require.) It never needs more than [`LONGEST`] bytes.
///
/// # Errors
/// What is wrong with the bytes.
pub fn read(bytes: &[u8]) -> Option<Result<(Header, usize), Malformed>> {
    match bytes.first()? {
        b'P' => v1::read(bytes),
        b'\r' => v2::read(bytes),
        _ => Some(Err(Malformed::Absent)),
    }
}

/// Reads a header of version 2 on a carrier of a tunnel, where it must say of the client what it says: it is all of
/// `bytes`, its transport is that of the session, a client without an address is [`Ends::Unnamed`], and LOCAL is refused.
/// [`Ends::Own`] is never the result.
///
/// # Errors
/// What is wrong with the bytes.
pub fn read_carried(bytes: &[u8], protocol: Protocol) -> Result<Header, Malformed> {
    v2::read_carried(bytes, protocol)
}

/// The bytes that announce a client on a carrier of a tunnel, at most [`LONGEST`]; TLVs that would be beyond are left out,
/// from the last on. [`Ends::Own`] says nothing there, and is announced as [`Ends::Unnamed`].
pub fn announce_carried(header: &Header, protocol: Protocol) -> Vec<u8> {
    v2::write_carried(header, protocol)
}

/// The header settings of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRules {
    /// The clients that must begin with a header; none where the route expects no headers.
    pub accept: Senders,
    /// How long after connecting a client may take for that; more than zero.
    pub patience: Duration,
    /// What to send to the target, if anything.
    pub send: Option<Form>,
}

/// Whether to send a header to the target, as a user writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendProxy {
    /// Nothing is sent.
    #[default]
    Off,
    /// A line of text.
    V1,
    /// The binary form.
    V2,
    /// The binary form with a checksum.
    V2Crc32c,
    /// The binary form, which also names the Unix socket that a client came by.
    V2Unix,
}

impl SendProxy {
    /// The form to send.
    pub fn form(self) -> Option<Form> {
        match self {
            SendProxy::Off => None,
            SendProxy::V1 => Some(Form::V1),
            SendProxy::V2 => Some(Form::V2),
            SendProxy::V2Crc32c => Some(Form::V2Crc32c),
            SendProxy::V2Unix => Some(Form::V2Unix),
        }
    }
}

/// The form of a sent header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A line of text; without TLVs.
    V1,
    /// Binary.
    V2,
    /// Binary, with a checksum that the receiver verifies.
    V2Crc32c,
    /// Binary, with the addresses of Unix sockets, which HAProxy refuses.
    V2Unix,
}

impl Form {
    /// The bytes that announce a connection made on behalf of these ends; version 2 passes `tlvs` on.
    pub fn announce(self, ends: &Ends, tlvs: &Tlvs) -> Vec<u8> {
        match self {
            Form::V1 => v1::write(ends),
            Form::V2 | Form::V2Unix => v2::write(ends, tlvs, v2::Checksum::Without),
            Form::V2Crc32c => v2::write(ends, tlvs, v2::Checksum::With),
        }
    }

    /// The bytes that announce a connection of Loopgate's own between these addresses, as a check makes one. Version 1
    /// can only express it as a client at our own address (section 2.1).
    pub fn announce_own(self, ends: Ends) -> Vec<u8> {
        match self {
            Form::V1 => v1::write(&ends),
            Form::V2 | Form::V2Crc32c | Form::V2Unix => self.announce(&Ends::Own, &Tlvs::default()),
        }
    }
}

#[cfg(test)]
mod tests;
