//! When a crowd has left, so that its memory can go with it. Pure: how many are here is an argument.

/// Fewer that left are not worth a walk through the heap.
const MIN_LEFT: usize = 256;

/// The most sessions since a crowd last left.
#[derive(Default)]
pub(crate) struct HeapTrim {
    most: usize,
}

impl HeapTrim {
    /// Whether a crowd has left since this last said so: at least [`MIN_LEFT`], and half of those that were here.
    pub(crate) fn has_left(&mut self, here: usize) -> bool {
        let left = self.most.saturating_sub(here);
        let trim = left >= MIN_LEFT && left >= here;
        self.most = if trim { here } else { self.most.max(here) };
        trim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_leaves_once() {
        let mut trim = HeapTrim::default();

        let told: Vec<bool> =
            [10, 3000, 2900, 1400, 1300, 1300, 900, 600, 0].map(|here| trim.has_left(here)).into();

        assert_eq!(told, [false, false, false, true, false, false, false, true, true]);
    }

    #[test]
    fn the_coming_and_going_of_a_few_is_no_crowd() {
        let mut trim = HeapTrim::default();

        assert!((0..100).all(|turn| !trim.has_left(turn % 2 * 200)));
    }
}
