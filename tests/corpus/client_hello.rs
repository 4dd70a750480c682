//! What holds of any bytes at the beginning of a connection that are read as the hello of a TLS client, whole or in parts.

use loopgate::client_hello::{MAX_BYTES, Reader, Seen};

/// Panics where something does not hold of these bytes.
pub(crate) fn holds(bytes: &[u8]) {
    let whole = understood(&Reader::default().read(bytes));
    let mut reader = Reader::default();
    let early = (1..=bytes.len()).find_map(|end| match reader.read(&bytes[..end]) {
        Seen::Part(needed) => {
            assert!(needed > end && needed <= MAX_BYTES, "{needed} bytes are asked for after {end}");
            None
        }
        seen => Some(understood(&seen)),
    });
    // The result of a prefix never contradicts that of the whole.
    if let Some(early) = early {
        assert_eq!(early, whole);
    }
}

/// What was understood, in words that outlive the bytes.
fn understood(seen: &Seen<'_>) -> String {
    match seen {
        Seen::Hello(hello) => {
            let protocols: Vec<_> = hello.protocols().collect();
            format!("{:?} {protocols:?}", hello.server_name())
        }
        Seen::Part(_) => "part".to_owned(),
        other => format!("{other:?}"),
    }
}
