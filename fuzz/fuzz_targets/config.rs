//! Any text, read as a configuration and made a plan of.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/config.rs"]
mod config;

fuzz_target!(|bytes: &[u8]| config::holds(bytes));
