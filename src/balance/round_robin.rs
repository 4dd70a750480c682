//! `round_robin`: each target in turn, by weight.
//!
//! Smooth, as in nginx: every turn adds to each target its share, and takes the sum of all shares from the target that
//! is ahead. Weights 5, 1, 1 give a a b a c a a and not a a a a a b c, so that a heavy target gets no bursts.

use super::{Candidate, Key, Pick};

pub(super) struct RoundRobin {
    /// The credit of each target; the one with the most has its turn.
    due: Vec<i64>,
}

impl RoundRobin {
    pub(super) fn new(targets: usize) -> RoundRobin {
        RoundRobin { due: vec![0; targets] }
    }

    /// The target whose turn it is among those for which `are_in` is true.
    pub(super) fn among(
        &mut self,
        candidates: &[Candidate],
        are_in: impl Fn(&Candidate) -> bool,
    ) -> Option<usize> {
        let mut sum = 0;
        let mut ahead: Option<usize> = None;
        for (place, candidate) in candidates.iter().enumerate().filter(|(_, it)| are_in(it)) {
            sum += i64::from(candidate.share);
            self.due[place] += i64::from(candidate.share);
            if ahead.is_none_or(|ahead| self.due[place] > self.due[ahead]) {
                ahead = Some(place);
            }
        }
        self.due[ahead?] -= sum;
        ahead
    }
}

impl Pick for RoundRobin {
    fn pick(&mut self, candidates: &[Candidate], _: Key, _: u64) -> Option<usize> {
        self.among(candidates, Candidate::is_open)
    }
}
