//! Who may enter now: limits and queues of a route, the places for TLS handshakes, the bandwidth sessions share.

pub(super) mod bandwidth;
pub(super) mod handshakes;
pub(super) mod queue;
