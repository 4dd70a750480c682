//! `source_hash`: a client's address decides, so that it gets the same target each time.
//!
//! Each target derives a number from the client's address and its own name, and the highest wins (rendezvous hashing;
//! by weight as in Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005). When a target is added, only
//! the clients that it wins move; when one is removed, only its own: with n targets, one in n. A hash modulo their
//! number would move almost every client. Maglev's table is faster with hundreds of targets, and moves a few more
//! clients. A target in a slow start has its full weight here: clients sent elsewhere meanwhile would have to move a
//! second time.

use super::{Candidate, Key, Pick};

pub(super) struct SourceHash {
    targets: Vec<Key>,
}

impl SourceHash {
    pub(super) fn new(targets: &[Key]) -> SourceHash {
        SourceHash { targets: targets.to_vec() }
    }
}

impl Pick for SourceHash {
    fn pick(&mut self, candidates: &[Candidate], client: Key, _: u64) -> Option<usize> {
        let open = candidates.iter().enumerate().filter(|(_, it)| it.is_open());
        let scored = open.map(|(place, it)| (score(client, self.targets[place], it.weight), place));
        scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, place)| place)
    }
}

fn score(client: Key, target: Key, weight: u32) -> f64 {
    // 53 bits, as many as an f64 has, and never 0 or 1.
    let drawn = ((client.with(target) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(weight) / -drawn.ln()
}
