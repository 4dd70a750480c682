//! `first`: fail-over. Every client goes to the first target that is well.

use super::{Candidate, Key, Pick};

pub(super) struct First;

impl Pick for First {
    fn pick(&mut self, candidates: &[Candidate], _: Key, _: u64) -> Option<usize> {
        candidates.iter().position(Candidate::is_open)
    }
}
