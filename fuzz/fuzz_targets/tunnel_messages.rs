//! Any bytes, read as a message of a tunnel.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/tunnel_messages.rs"]
mod tunnel_messages;

fuzz_target!(|bytes: &[u8]| tunnel_messages::holds(bytes));
