//! Any bytes, read as the beginning of a session in a tunnel.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/tunnel_open.rs"]
mod tunnel_open;

fuzz_target!(|bytes: &[u8]| tunnel_open::holds(bytes));
