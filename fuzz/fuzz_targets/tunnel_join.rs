//! Any bytes, read as what a connection that joins says, hears and has written.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/tunnel_join.rs"]
mod tunnel_join;

fuzz_target!(|bytes: &[u8]| tunnel_join::holds(bytes));
