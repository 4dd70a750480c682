//! `least_connections`: the target with the fewest sessions relative to its share.
//!
//! Equal targets take turns, by weight: otherwise the first, or the heaviest, would get every client of a quiet route.

use std::cmp::Ordering;

use super::round_robin::RoundRobin;
use super::{Candidate, Key, Pick};

pub(super) struct LeastConnections {
    turns: RoundRobin,
}

impl LeastConnections {
    pub(super) fn new(targets: usize) -> LeastConnections {
        LeastConnections { turns: RoundRobin::new(targets) }
    }
}

impl Pick for LeastConnections {
    fn pick(&mut self, candidates: &[Candidate], _: Key, _: u64) -> Option<usize> {
        let least = candidates.iter().filter(|it| it.is_open()).min_by(|a, b| by_load(a, b))?;
        self.turns.among(candidates, |it| it.is_open() && by_load(it, least).is_eq())
    }
}

/// Fewer sessions per share first. The fractions are compared by cross-multiplication, which is exact.
pub(super) fn by_load(a: &Candidate, b: &Candidate) -> Ordering {
    let across = |it: &Candidate, other: &Candidate| it.load as u128 * u128::from(other.share);
    across(a, b).cmp(&across(b, a))
}
