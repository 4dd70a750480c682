//! A tunnel: a link to one other Loopgate, over TLS 1.3 connections between the two machines.
//!
//! | word | means |
//! |---|---|
//! | dialling end, accepting end | which end opens the connections; it says nothing about which of them lets clients in |
//! | control | the one connection that carries messages |
//! | carrier | a connection that carries one session at a time, or none |
//! | flow | what a client and a target exchange in datagrams; its connection is one of QUIC, or one that carries flows alone |
//! | opener | the end at which a session's client connected, and which takes an idle carrier for it |
//!
//! Every connection begins with a handshake in which each end proves its key ([`identity`]), and with one message each
//! way: HELLO, then WELCOME or BYE ([`message`]). What follows are frames ([`frame`]): on a control JSON messages and PING,
//! PONG; on a carrier sessions, each begun by OPEN ([`open`]), whose bytes are bodies of frames, or flows ([`flows`]), each begun by
//! FLOW, whose datagrams are ([`datagram`]).
//!
//! This room has the bytes and the connections. Who dials, who may do what and how a tunnel lives is in [`crate::tunnel`].

pub mod carrier;
pub mod datagram;
pub mod engaged;
pub mod exchange;
pub mod flows;
pub mod frame;
pub mod identity;
pub mod line;
pub mod message;
pub mod open;
pub mod pairing;
pub mod quic;
mod reason;
