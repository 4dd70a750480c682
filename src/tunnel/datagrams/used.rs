//! Which numbers of flows the other end has used: none begins twice. Pure.
//!
//! Several connections carry flows, so their beginnings come out of order; each number may still come once. A number that is
//! far below the highest counts as used: else all of them would have to be remembered.

/// How far below the highest a number may begin a flow.
const WINDOW: u64 = 16_384;

/// Numbers that were used, of which every second one is the other end's.
#[derive(Debug)]
pub(super) struct Used {
    /// The first place above every used one; a place is half a number.
    above: u64,
    /// Whether each of the last [`WINDOW`] places was used, by its remainder.
    places: Box<[bool]>,
}

impl Default for Used {
    fn default() -> Self {
        Used { above: 0, places: vec![false; WINDOW as usize].into() }
    }
}

impl Used {
    /// Whether a number was used, or counts so.
    pub(super) fn has(&self, number: u64) -> bool {
        let place = number / 2;
        place < self.above && (place + WINDOW < self.above || self.places[(place % WINDOW) as usize])
    }

    /// From now on it is.
    pub(super) fn note(&mut self, number: u64) {
        let place = number / 2;
        if place >= self.above {
            // What is passed over may still come.
            let skipped = (place - self.above).min(WINDOW);
            (place - skipped..place).for_each(|it| self.places[(it % WINDOW) as usize] = false);
            self.above = place + 1;
        }
        self.places[(place % WINDOW) as usize] = true;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_far_below_the_highest_counts_as_used() {
        let mut used = Used::default();
        used.note(2 * (WINDOW - 1));
        assert!(!used.has(0) && !used.has(2 * WINDOW));

        used.note(2 * WINDOW);
        assert!(used.has(0) && !used.has(2));
        used.note(u64::MAX >> 2);
        assert!(used.has(2) && used.has(u64::MAX >> 2) && !used.has((u64::MAX >> 2) - 2));
    }

    proptest! {
        #[test]
        fn each_number_is_new_once(steps in prop::collection::vec(0..3000_u64, 1..200), odd: bool) {
            let (mut used, mut known) = (Used::default(), HashSet::new());
            for step in steps {
                let number = 2 * step + u64::from(odd);
                prop_assert_eq!(used.has(number), !known.insert(number));
                used.note(number);
                prop_assert!(used.has(number));
            }
        }
    }
}
