//! What a client of the bench says first, and how much of that comes back from an echo.

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};

use loopgate_load::{Fallible, MESSAGE};

use super::tls;
use crate::forwarders::NAME;

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Says {
    /// A message.
    Message,
    /// A PROXY header, which the forwarder takes, and a message.
    Header,
    /// A TLS hello that asks for [`NAME`]. Nobody answers it as TLS would.
    Hello,
}

/// Version 1, for an address that is nobody's (RFC 5737).
const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\n";

impl Says {
    /// The bytes, and how many of them are the target's.
    pub(super) fn first(self) -> Fallible<(Vec<u8>, usize)> {
        let message = [b'?'; MESSAGE];
        let bytes = match self {
            Says::Message => message.to_vec(),
            Says::Header => [HEADER, &message].concat(),
            Says::Hello => hello()?,
        };
        let taken = if matches!(self, Says::Header) { HEADER.len() } else { 0 };
        let length = bytes.len() - taken;
        Ok((bytes, length))
    }
}

fn hello() -> Fallible<Vec<u8>> {
    let mut bytes = Vec::new();
    ClientConnection::new(tls::config()?, ServerName::try_from(NAME)?)?.write_tls(&mut bytes)?;
    Ok(bytes)
}
