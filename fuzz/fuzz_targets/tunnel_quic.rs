//! Any bytes, read as a datagram of a flow and as an item that is said of flows.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/tunnel_quic.rs"]
mod tunnel_quic;

fuzz_target!(|bytes: &[u8]| tunnel_quic::holds(bytes));
