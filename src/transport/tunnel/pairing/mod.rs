//! Pairing: how two machines come to know each other's key without anybody copying keys.
//!
//! `loopgate tunnel invite` writes a tunnel without a key, which has an [`Invite`] in its place, and prints one line: where
//! this machine listens, its public key, and a [`Ticket`]. The other machine connects under an ALPN of its own
//! ([`Dialling::joining`]), pins the key that stands in the line, and says the ticket in one message ([`message`]). What comes of it
//! is written by this machine alone, from what it wrote itself and the key that TLS has proven ([`written`], [`folder`]).
//!
//! Nothing here dials or accepts: that is in [`crate::tunnel`].
//!
//! [`Dialling::joining`]: super::identity::Dialling::joining

pub mod folder;
mod hash;
mod invite;
pub mod message;
mod ticket;
pub mod written;

pub use hash::Sha256;
pub use invite::Invite;
pub use ticket::{InviteId, Ticket, TicketSecret};
