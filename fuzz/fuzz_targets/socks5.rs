//! Any bytes, read as what a SOCKS5 proxy answers.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/socks5.rs"]
mod socks5;

fuzz_target!(|bytes: &[u8]| socks5::holds(bytes));
