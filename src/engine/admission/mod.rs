//! Which clients may enter now: limits and queues of a route, permits for TLS handshakes, and the bandwidth sessions
//! share.

pub(super) mod applicant;
pub(super) mod bandwidth;
pub(super) mod handshakes;
pub(super) mod queue;
