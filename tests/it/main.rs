//! What Loopgate does, seen from a socket. The first line of each folder's `mod.rs` describes the folder.
//!
//! Ignored tests need root or another program; `.ci/run` runs them too.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

mod harness;

mod access;
mod bytes;
mod datagrams;
mod ends;
mod program;
mod real;
mod scripts;
mod targets;
mod tls;
