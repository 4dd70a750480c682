//! The datagrams that wait to be sent: the oldest are dropped first, and counted by their flow.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::transport::tunnel::flows::FlowNumber;

/// The bytes that may wait.
pub(super) const MOST: usize = 1 << 20;

/// What a datagram costs beside its bytes.
const EACH: usize = 64;

/// The flows whose losses are counted apart between two looks; the losses of more are those of the flow counted last.
const MAX_COUNTED: usize = 4096;

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<(FlowNumber, Bytes)>,
    bytes: usize,
    dropped: BTreeMap<FlowNumber, u64>,
}

impl Queue {
    /// Adds a datagram behind the others; whether the queue was empty.
    pub(super) fn push(&mut self, flow: FlowNumber, datagram: Bytes) -> bool {
        let was_empty = self.waiting.is_empty();
        self.bytes += datagram.len() + EACH;
        self.waiting.push_back((flow, datagram));
        while self.bytes > MOST
            && let Some((flow, _)) = self.pop()
        {
            self.count(flow);
        }
        was_empty
    }

    /// The oldest.
    pub(super) fn pop(&mut self) -> Option<(FlowNumber, Bytes)> {
        let (flow, datagram) = self.waiting.pop_front()?;
        self.bytes -= datagram.len() + EACH;
        Some((flow, datagram))
    }

    /// A datagram of this flow was dropped.
    pub(super) fn count(&mut self, flow: FlowNumber) {
        if self.dropped.len() < MAX_COUNTED || self.dropped.contains_key(&flow) {
            *self.dropped.entry(flow).or_default() += 1;
        } else if let Some(mut last) = self.dropped.last_entry() {
            *last.get_mut() += 1;
        }
    }

    /// What was dropped since the last call.
    pub(super) fn take_dropped(&mut self) -> BTreeMap<FlowNumber, u64> {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_leave_in_the_order_in_which_they_came() {
        let mut queue = Queue::default();

        assert!(queue.push(FlowNumber(2), Bytes::from_static(b"a")));
        assert!(!queue.push(FlowNumber(4), Bytes::from_static(b"b")));

        let all: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(flow, it)| (flow.0, it[0])).collect();
        assert_eq!(all, [(2, b'a'), (4, b'b')]);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn the_oldest_are_dropped_and_counted_where_too_many_wait() {
        let mut queue = Queue::default();
        let fit = (MOST / (1000 + EACH)) as u64;
        for n in 0..fit + 10 {
            queue.push(FlowNumber(n % 3), Bytes::from(vec![n as u8; 1000]));
        }

        assert_eq!(queue.take_dropped().into_values().sum::<u64>(), 10);
        assert!(queue.take_dropped().is_empty());
        assert_eq!(queue.pop().unwrap().1[0], 10, "the newest are kept");
        assert!(queue.bytes <= MOST);
    }

    #[test]
    fn empty_datagrams_have_a_limit_too_and_so_have_the_flows_that_are_counted() {
        let mut queue = Queue::default();
        let pushed = 2 * (MOST / EACH) as u64;
        for n in 0..pushed {
            queue.push(FlowNumber(n), Bytes::new());
        }

        let kept = std::iter::from_fn(|| queue.pop()).count();
        let dropped = queue.take_dropped();
        assert_eq!(kept, MOST / EACH);
        assert_eq!(dropped.len(), MAX_COUNTED);
        assert_eq!(dropped.into_values().sum::<u64>() + kept as u64, pushed);
    }
}
