//! Any bytes at the beginning of a connection, read as the hello of a TLS client: whole, and again and again as they come.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/client_hello.rs"]
mod client_hello;

fuzz_target!(|bytes: &[u8]| client_hello::holds(bytes));
