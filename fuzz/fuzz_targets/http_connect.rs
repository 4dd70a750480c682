//! Any bytes, read as what an HTTP proxy answers to CONNECT.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/http_connect.rs"]
mod http_connect;

fuzz_target!(|bytes: &[u8]| http_connect::holds(bytes));
