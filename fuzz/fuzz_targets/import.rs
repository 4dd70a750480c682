//! Any text, read as a file of each forwarder that can be imported.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/import.rs"]
mod import;

fuzz_target!(|bytes: &[u8]| import::holds(bytes));
