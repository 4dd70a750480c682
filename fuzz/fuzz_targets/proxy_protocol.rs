//! Any bytes at the beginning of a connection, read as a PROXY header.

#![no_main]

use libfuzzer_sys::fuzz_target;
use loopgate::proxy_protocol;

#[path = "../../tests/vectors/proxy_protocol_holds.rs"]
mod holds;

fuzz_target!(|bytes: &[u8]| holds::of(bytes));
