//! What holds of any bytes that are read as the content of OPEN.

use loopgate::proxy_protocol::Ends;
use loopgate::transport::tunnel::frame::MAX_CONTENT;
use loopgate::transport::tunnel::open::Open;

/// Panics where something does not hold of these bytes.
pub(crate) fn holds(bytes: &[u8]) {
    if let Ok(open) = Open::decode(bytes) {
        assert_ne!(open.header.ends, Ends::Own, "the connection's own ends are not the visitor's");
        let again = open.encode();
        assert!(again.len() <= bytes.len().min(MAX_CONTENT) || bytes.len() > MAX_CONTENT);
        assert_eq!(Open::decode(&again), Ok(open));
        assert!(Open::decode(&[bytes, b"x"].concat()).is_err(), "what follows does not matter");
    }
    // No beginning of it is another OPEN.
    let parts = (0..bytes.len()).filter(|end| Open::decode(&bytes[..*end]).is_ok()).count();
    assert!(parts <= 1, "{parts} beginnings are an OPEN");
}
