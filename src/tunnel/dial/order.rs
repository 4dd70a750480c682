//! Which address of `connect` is tried next.

use std::time::Duration;

/// How long the tunnel stays with another address than the first before that one is tried again.
pub(crate) const BACK_TO_FIRST: Duration = Duration::from_secs(600);

/// A place in the list of `connect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    at: usize,
    tried: usize,
}

impl Order {
    /// The index of the address to try, of so many.
    pub(crate) fn now(self, count: usize) -> usize {
        self.at % count.max(1)
    }

    /// It did not answer: the next one is tried. Whether every address has been tried since one last worked, so that it is
    /// time to wait.
    pub(crate) fn failed(&mut self, count: usize) -> bool {
        self.at = (self.now(count) + 1) % count.max(1);
        self.tried += 1;
        self.tried.is_multiple_of(count.max(1))
    }

    /// It works: after an end the list is tried from the first again.
    pub(crate) fn worked(&mut self) {
        *self = Order::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_tried_once_before_a_wait_and_after_success_the_first_comes_first() {
        let mut order = Order::default();
        let mut tried = Vec::new();
        for _ in 0..5 {
            let now = order.now(3);
            tried.push((now, order.failed(3)));
        }
        assert_eq!(tried, [(0, false), (1, false), (2, true), (0, false), (1, false)]);

        order.worked();

        assert_eq!(order.now(3), 0);
        assert!(Order::default().failed(1), "a single address waits after each try");
    }

    #[test]
    fn a_list_that_a_reload_has_shortened_is_tried_on() {
        let order = Order { at: 4, tried: 4 };

        assert_eq!((order.now(3), order.now(1)), (1, 0));
    }
}
