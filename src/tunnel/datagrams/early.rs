//! Datagrams that wait: their flow has not begun, or is not admitted yet. Pure: the clock is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::transport::tunnel::flows::FlowNumber;

/// How long they wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most flows whose datagrams wait.
const MAX_FLOWS: usize = 64;

/// The most that wait of one flow.
const MAX_OF_FLOW: usize = 8;

/// The most bytes of all that wait: of the longest datagrams there are fewer.
const MAX_BYTES: usize = 1 << 20;

/// The datagrams, by flow.
#[derive(Debug, Default)]
pub(super) struct Early {
    flows: HashMap<FlowNumber, Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    datagrams: Vec<Bytes>,
}

impl Waiting {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= PATIENCE
    }

    fn bytes(&self) -> usize {
        self.datagrams.iter().map(Bytes::len).sum()
    }
}

impl Early {
    /// Keeps a datagram if there is room for it; returns how many were dropped: it, or those that have waited for too long.
    pub(super) fn keep(&mut self, flow: FlowNumber, datagram: Bytes, now: Instant) -> usize {
        let dropped = self.forget_old(now);
        let has_room = self.flows.contains_key(&flow) || self.flows.len() < MAX_FLOWS;
        if !has_room || self.bytes + datagram.len() > MAX_BYTES {
            return dropped + 1;
        }
        let waiting = self.flows.entry(flow).or_insert_with(|| Waiting { since: now, datagrams: Vec::new() });
        if waiting.datagrams.len() >= MAX_OF_FLOW {
            return dropped + 1;
        }
        self.bytes += datagram.len();
        waiting.datagrams.push(datagram);
        dropped
    }

    /// Takes those of a flow, in their order, and how many had waited for too long.
    pub(super) fn take(&mut self, flow: FlowNumber, now: Instant) -> (Vec<Bytes>, usize) {
        let Some(waiting) = self.flows.remove(&flow) else { return (Vec::new(), 0) };
        self.bytes -= waiting.bytes();
        match waiting.is_over(now) {
            true => (Vec::new(), waiting.datagrams.len()),
            false => (waiting.datagrams, 0),
        }
    }

    fn forget_old(&mut self, now: Instant) -> usize {
        let old: Vec<_> = self.flows.extract_if(|_, waiting| waiting.is_over(now)).collect();
        self.bytes -= old.iter().map(|(_, waiting)| waiting.bytes()).sum::<usize>();
        old.iter().map(|(_, waiting)| waiting.datagrams.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(length: usize) -> Bytes {
        vec![7; length].into()
    }

    #[test]
    fn eight_datagrams_of_a_flow_wait_for_a_second_and_come_in_their_order() {
        let (mut early, now) = (Early::default(), Instant::now());
        let dropped: usize = (1..=10).map(|length| early.keep(FlowNumber(2), datagram(length), now)).sum();

        let (taken, old) = early.take(FlowNumber(2), now + PATIENCE - Duration::from_millis(1));

        assert_eq!((taken.iter().map(Bytes::len).collect::<Vec<_>>(), old), ((1..=8).collect(), 0));
        assert_eq!((dropped, early.bytes), (2, 0));
        assert_eq!(early.take(FlowNumber(2), now), (Vec::new(), 0));
    }

    #[test]
    fn what_has_waited_for_a_second_is_dropped_and_makes_room() {
        let (mut early, now) = (Early::default(), Instant::now());
        for flow in 0..MAX_FLOWS as u64 {
            assert_eq!(early.keep(FlowNumber(flow), datagram(1), now), 0);
        }
        assert_eq!(early.keep(FlowNumber(1000), datagram(1), now), 1, "one flow more");

        assert_eq!(early.take(FlowNumber(0), now + PATIENCE), (Vec::new(), 1));
        assert_eq!(early.keep(FlowNumber(1000), datagram(1), now + PATIENCE), MAX_FLOWS - 1);
        assert_eq!((early.flows.len(), early.bytes), (1, 1));
    }

    #[test]
    fn no_more_bytes_wait_than_there_is_room_for() {
        let (mut early, now) = (Early::default(), Instant::now());
        let longest = 65_507;

        let kept = (0..MAX_FLOWS as u64 * 8)
            .filter(|n| early.keep(FlowNumber(n / 8), datagram(longest), now) == 0)
            .count();

        assert_eq!(kept, MAX_BYTES / longest);
        assert!(early.bytes <= MAX_BYTES);
    }
}
