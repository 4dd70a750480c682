//! Tunnels between two running programs: what a visitor, a service and the reader of two logs see.
//!
//! Between the programs stands a relay of the test's own ([`relay`]), which can hold what passes and cut it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

#[path = "../it/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "these tests use a part of what those of tests/it use")]
mod harness;

mod bursts;
mod closes;
mod command_line;
mod congestion;
mod datagrams;
mod deaths;
mod explain;
mod hostile;
mod life;
mod pair;
mod pairing;
mod port_443;
mod ports;
mod proxies;
mod random;
mod records;
mod refused;
mod relay;
mod reload;
mod restarts;
mod settings;
mod silence;
mod strangers;
mod visitors;
