//! Datagrams of a tunnel by QUIC (RFC 9000) with DATAGRAM frames (RFC 9221): a connection beside the control, between the same
//! two keys, with a protocol of its own (ALPN `loopgate-d/1`).
//!
//! | what | how |
//! |---|---|
//! | a datagram of a flow | a DATAGRAM frame: the flow's number, then its bytes ([`datagram`]) |
//! | one that no frame has room for | the same bytes, alone on a unidirectional stream |
//! | what is said of flows | the one bidirectional stream, which the dialling end opens: its first 16 bytes are the token of WELCOME or of DATAGRAMS, then items follow, each way ([`news`]) |
//!
//! Nothing but the token counts before the accepting end has read it. Each end then asks the other once whether it answers
//! (PING, PONG), and sends datagrams of flows once it does.
//!
//! | file | what it is for |
//! |---|---|
//! | `datagram` | a datagram and its flow ⇄ bytes |
//! | `news` | what is said of flows ⇄ bytes |
//! | `tls` | who may connect: TLS of these connections |
//! | `settings` | how the connections behave, and what a stranger can make us keep |

pub mod datagram;
pub mod news;
mod settings;
mod tls;

pub(crate) use settings::{MAX_LARGE, endpoint};
pub(crate) use tls::{Connected, client, connected, server};
