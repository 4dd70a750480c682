//! Any bytes, read as a datagram of the kernel's and as a row of each of its tables.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| loopgate::fuzzing::netlink(bytes));
