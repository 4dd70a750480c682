//! `random`: of two targets drawn by share, the one with fewer sessions.
//!
//! Two draws keep the fullest target within a few sessions of the others (Mitzenmacher, "The power of two choices in
//! randomized load balancing", 2001), and several processes in front of the same targets do not all choose the same
//! one, as they would with `least_connections`.

use super::hash::mix;
use super::least_connections::by_load;
use super::{Candidate, Key, Pick};

pub(super) struct Random;

impl Pick for Random {
    fn pick(&mut self, candidates: &[Candidate], _: Key, seed: u64) -> Option<usize> {
        let one = draw(candidates, None, mix(seed))?;
        match draw(candidates, Some(one), mix(!seed)) {
            Some(other) if by_load(&candidates[other], &candidates[one]).is_lt() => Some(other),
            _ => Some(one),
        }
    }
}

/// Draws by share among all open candidates except `without`.
fn draw(candidates: &[Candidate], without: Option<usize>, number: u64) -> Option<usize> {
    let open = || candidates.iter().enumerate().filter(|(place, it)| it.is_open() && Some(*place) != without);
    let sum: u64 = open().map(|(_, it)| u64::from(it.share)).sum();
    let mut left = number.checked_rem(sum)?;
    for (place, it) in open() {
        match left.checked_sub(it.share.into()) {
            None => return Some(place),
            Some(rest) => left = rest,
        }
    }
    None
}
