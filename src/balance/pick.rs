//! The interface of a balance rule.

use super::candidates::Candidate;
use super::hash::Key;

/// A rule in use for the targets of one route.
pub trait Pick: Send {
    /// The index of the target for this client; `None` if no candidate may be chosen. `candidates` are the route's
    /// targets in the order written; `seed` differs with each call.
    fn pick(&mut self, candidates: &[Candidate], client: Key, seed: u64) -> Option<usize>;
}
