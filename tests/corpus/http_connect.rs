//! What holds of any bytes that are read as the answer of an HTTP proxy to CONNECT.

use loopgate::transport::proxied::http::read_answer;
use loopgate::transport::proxied::socks5::Read;

/// Panics where something does not hold of these bytes.
pub(crate) fn holds(bytes: &[u8]) {
    reads(bytes, read_answer);
}

/// A message is within the bytes, and the same whatever has arrived of it and behind it.
fn reads<T: PartialEq + std::fmt::Debug>(bytes: &[u8], read: fn(&[u8]) -> Read<T>) {
    let whole = read(bytes);
    match &whole {
        Some(Ok((_, length))) => assert!((1..=bytes.len()).contains(length)),
        Some(Err(refusal)) => assert!(!refusal.words.is_empty() && refusal.words.len() < 1000, "{refusal}"),
        None => {}
    }
    let early = (0..bytes.len()).find_map(|end| read(&bytes[..end]));
    // What was read of a part is what is read of the whole.
    if early.is_some() {
        assert_eq!(early, whole);
    }
    if let Some(Ok((_, length))) = whole {
        assert_eq!(read(&bytes[..length]), whole);
    }
}
