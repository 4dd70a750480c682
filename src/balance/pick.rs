//! What every rule of choice answers.

use super::candidates::Candidate;
use super::hash::Key;

/// A rule at work on the targets of one route.
pub trait Pick: Send {
    /// The place of the target for this client; `None` where no candidate may be chosen. `candidates` are the route's
    /// targets in the order written; `seed` is another with each call.
    fn pick(&mut self, candidates: &[Candidate], client: Key, seed: u64) -> Option<usize>;
}
