//! Any bytes, read as the frames of a tunnel's connection.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/tunnel_frames.rs"]
mod tunnel_frames;

fuzz_target!(|bytes: &[u8]| tunnel_frames::holds(bytes));
