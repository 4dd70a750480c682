//! Numbers that nobody has chosen.

use std::hash::{BuildHasher, RandomState};

/// A number that is as likely as any other. It decides waits, and no secret.
pub(crate) fn dice() -> u64 {
    // Its keys differ at each call.
    RandomState::new().hash_one(())
}
