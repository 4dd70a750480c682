//! When many sessions have ended, so that their memory can be returned. Pure: the number of live sessions is an
//! argument.

/// Fewer ended sessions are not worth a walk through the heap.
const MIN_LEFT: usize = 256;

/// The most sessions since memory was last returned.
#[derive(Default)]
pub(crate) struct HeapTrim {
    most: usize,
}

impl HeapTrim {
    /// Whether many sessions have ended since this last returned true: at least [`MIN_LEFT`], and half of the sessions
    /// there were.
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
    fn a_crowd_that_ends_is_reported_once() {
        let mut trim = HeapTrim::default();

        let returned: Vec<bool> =
            [10, 3000, 2900, 1400, 1300, 1300, 900, 600, 0].map(|here| trim.has_left(here)).into();

        assert_eq!(returned, [false, false, false, true, false, false, false, true, true]);
    }

    #[test]
    fn a_few_sessions_that_come_and_go_are_no_crowd() {
        let mut trim = HeapTrim::default();

        assert!((0..100).all(|turn| !trim.has_left(turn % 2 * 200)));
    }
}
