//! The datagrams of a tunnel: the flows of one control at one end ([`hub`]), from its beginning to its end, and the means by
//! which they go ([`means`]): one QUIC connection while there is one, else TLS connections ([`tls`]).
//!
//! The end that opens a flow decides by which means it goes, and announces it there with FLOW; the other end answers the way the
//! flow was announced last. Where a connection is lost, or the means changes, a flow is announced again on another: it lives on,
//! and what was on its way may be lost, as datagrams may. With the control every flow ends.

mod admit;
mod early;
mod hub;
pub(crate) mod means;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod used;

pub(crate) use hub::{Hub, Inbox};
