//! The datagrams of a tunnel: its flows, and the means by which they go.

pub(crate) mod means;
