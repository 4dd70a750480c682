//! When a crowd has left, so that its memory can go with it. Pure: how many are here is an argument.

/// Fewer that left are not worth a walk through the heap.
const CROWD: usize = 256;

/// The most sessions since a crowd last left.
#[derive(Default)]
pub(crate) struct Crowd {
    most: usize,
}

impl Crowd {
    /// Whether a crowd has left since this last said so: at least [`CROWD`], and half of those that were here.
    pub(crate) fn has_left(&mut self, here: usize) -> bool {
        let left = self.most.saturating_sub(here);
        let crowd = left >= CROWD && left >= here;
        self.most = if crowd { here } else { self.most.max(here) };
        crowd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_leaves_once() {
        let mut crowd = Crowd::default();

        let told: Vec<bool> =
            [10, 3000, 2900, 1400, 1300, 1300, 900, 600, 0].map(|here| crowd.has_left(here)).into();

        assert_eq!(told, [false, false, false, true, false, false, false, true, true]);
    }

    #[test]
    fn the_coming_and_going_of_a_few_is_no_crowd() {
        let mut crowd = Crowd::default();

        assert!((0..100).all(|turn| !crowd.has_left(turn % 2 * 200)));
    }
}
