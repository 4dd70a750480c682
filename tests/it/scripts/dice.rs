//! Chance that repeats itself: the same seed gives the same numbers on every machine.

/// A sequence of numbers (splitmix64).
pub(super) struct Dice(u64);

impl Dice {
    /// The sequence of this script of this seed.
    pub(super) fn of(seed: u64, way: usize, number: u64) -> Dice {
        let mut dice = Dice(seed);
        for part in [way as u64, number] {
            dice = Dice(dice.next() ^ part);
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True in so many of a hundred cases.
    pub(super) fn in_hundred(&mut self, cases: u64) -> bool {
        self.below(100) < cases
    }

    pub(super) fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.below(these.len() as u64) as usize]
    }
}
