//! What Loopgate does, seen from a socket. Read the modules in this order; each is a chapter.
//!
//! Ignored tests need root or another program; `.ci/run` runs them too.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

mod harness;

// Bytes and closes.
mod closes;
mod matrix;
mod streams;

// Datagrams.
mod datagrams;
mod flows;
mod health;
mod real_datagrams;

// Every way in and every way out.
mod access;
mod addresses;
mod admission;
mod balance;
mod bandwidth;
mod bounds;
mod names;
mod names_beside;
mod proxy_protocol;
mod sockets;
mod sources;
mod tls;
mod unix;
mod upkeep;

// The program.
mod crowds;
mod declare;
mod kill;
mod log;
mod reload;
mod reload_answer;
mod reload_files;
mod start;
mod stop;

// Targets.
mod source_ports;
mod target_down;

// Real programs.
mod programs;
mod real_names;
mod real_proxies;
mod real_targets;
mod tls_breaks;
mod tls_crowds;
mod tls_programs;
mod tls_resumption;
mod tls_targets;
