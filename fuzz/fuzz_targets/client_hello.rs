//! Any bytes at the beginning of a connection, read as the hello of a TLS client: whole, and again and again as they come.

#![no_main]

use libfuzzer_sys::fuzz_target;
use loopgate::client_hello::{MAX_BYTES, Reader, Seen};

fuzz_target!(|bytes: &[u8]| {
    let whole = said(&Reader::default().read(bytes));
    let mut reader = Reader::default();
    let early = (1..=bytes.len()).find_map(|end| match reader.read(&bytes[..end]) {
        Seen::Part(needed) => {
            assert!(needed > end && needed <= MAX_BYTES, "{needed} bytes are asked for after {end}");
            None
        }
        seen => Some(said(&seen)),
    });
    // No beginning says what the whole takes back.
    if let Some(early) = early {
        assert_eq!(early, whole);
    }
});

/// What was understood, in words that outlive the bytes.
fn said(seen: &Seen<'_>) -> String {
    match seen {
        Seen::Hello(hello) => {
            let protocols: Vec<_> = hello.protocols().collect();
            format!("{:?} {protocols:?}", hello.server_name())
        }
        Seen::Part(_) => "part".to_owned(),
        other => format!("{other:?}"),
    }
}
