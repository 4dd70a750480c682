//! Who a machine is: one Ed25519 key, shown as a raw public key in TLS 1.3 (RFC 7250), pinned at both ends.
//!
//! There is no certificate, no authority and no date, so a wrong clock breaks nothing, and nobody else can vouch for a
//! key. A session is never resumed: rustls takes the key of a resumed session out of the ticket and asks no verifier, so
//! that a key that is no longer known would live on (`client_cert_chain` in server/tls13.rs of rustls 0.23).
//!
//! | file | what it is for |
//! |---|---|
//! | `public_key` | a public key as text and as bytes; the weak ones refused |
//! | `private_key` | a private key: made, read from PEM, written as PEM |
//! | `key_file` | the file it is kept in: who may own it, who may read it, how it is made |
//! | `places` | where it is looked for if nobody says so |
//! | `config` | TLS as both ends set it up, and what each verifies |
//! | `handshake` | the handshake over a socket |
//! | `fault` | why it failed, in words |

mod config;
mod fault;
mod handshake;
mod key_file;
mod places;
mod private_key;
mod public_key;
#[cfg(test)]
mod tests;

pub(super) use config::carries_datagrams;
pub use config::{Accepting, Dialling, Known};
pub use fault::HandshakeFault;
pub use handshake::{Heard, Secured, accept_handshake, dial_handshake, hear, last_words};
pub use key_file::KeyFault;
pub use places::{Places, places};
pub use private_key::PrivateKey;
pub use public_key::PublicKey;
