//! What waits to be sent on one connection: news of flows in their order, and datagrams, of which the oldest is dropped where
//! too many wait. A segment that is lost on the way then delays what comes after it, but nothing piles up behind it. Pure.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::transport::tunnel::datagram;
use crate::transport::tunnel::flows::FlowNumber;
use crate::transport::tunnel::frame::{Frame, HEAD, head};

/// The most bytes of datagrams that wait; the longest has room.
const MAX_BYTES: usize = 64 << 10;

/// The most datagrams that wait of a flow whose connection does not stand yet.
const MAX_OF_FLOW: usize = 8;

/// The most news that wait: an end that takes nothing would have us keep them without end.
const MAX_NEWS: usize = 8192;

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    /// Those of datagrams, as they are sent.
    bytes: usize,
    news: usize,
    stands: bool,
}

#[derive(Debug)]
enum Item {
    News(Frame),
    Datagram(FlowNumber, Bytes),
}

/// Too many news wait: the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overrun;

impl Queue {
    /// From now on the connection stands.
    pub(super) fn stand(&mut self) {
        self.stands = true;
    }

    /// A frame without a body.
    ///
    /// # Errors
    /// [`Overrun`]
    pub(super) fn tell(&mut self, frame: Frame) -> Result<(), Overrun> {
        self.news += 1;
        self.items.push_back(Item::News(frame));
        if self.news > MAX_NEWS { Err(Overrun) } else { Ok(()) }
    }

    /// A datagram; the flows whose datagrams were dropped for it, once for each of them.
    pub(super) fn put(&mut self, flow: FlowNumber, datagram: Bytes) -> Vec<FlowNumber> {
        let mut dropped = Vec::new();
        self.bytes += size(flow, &datagram);
        if !self.stands {
            let of_flow = |item: &Item| matches!(item, Item::Datagram(of, _) if *of == flow);
            if self.items.iter().filter(|item| of_flow(item)).count() >= MAX_OF_FLOW {
                dropped.extend(self.drop_first(of_flow));
            }
        }
        self.items.push_back(Item::Datagram(flow, datagram));
        while self.bytes > MAX_BYTES {
            dropped.extend(self.drop_first(|item| matches!(item, Item::Datagram(..))));
        }
        dropped
    }

    fn drop_first(&mut self, is_it: impl Fn(&Item) -> bool) -> Option<FlowNumber> {
        let place = self.items.iter().position(is_it)?;
        match self.items.remove(place) {
            Some(Item::Datagram(flow, datagram)) => {
                self.bytes -= size(flow, &datagram);
                Some(flow)
            }
            _ => None,
        }
    }

    /// Takes back that a flow begins.
    pub(super) fn unsay(&mut self, flow: FlowNumber) {
        let before = self.items.len();
        self.items.retain(|item| !matches!(item, Item::News(Frame::Flow(of, _)) if *of == flow.0));
        self.news -= before - self.items.len();
    }

    /// Forgets the datagrams that wait of a flow; returns how many. What is told of it stays: a flow whose beginning waits has
    /// to begin before it ends.
    pub(super) fn forget(&mut self, flow: FlowNumber) -> usize {
        let before = self.items.len();
        self.items.retain(|item| !matches!(item, Item::Datagram(of, _) if *of == flow));
        self.bytes = self.items.iter().map(Item::bytes).sum();
        before - self.items.len()
    }

    /// Takes out every datagram.
    pub(super) fn take_datagrams(&mut self) -> Vec<(FlowNumber, Bytes)> {
        (self.bytes, self.news) = (0, 0);
        let datagram = |item| match item {
            Item::News(..) => None,
            Item::Datagram(flow, datagram) => Some((flow, datagram)),
        };
        std::mem::take(&mut self.items).into_iter().filter_map(datagram).collect()
    }

    /// Appends the first of it to `plain`, as frames, at most `most` bytes and whatever stands first.
    pub(super) fn take(&mut self, most: usize, plain: &mut Vec<u8>) {
        let begun = plain.len();
        while plain.len() - begun < most
            && let Some(item) = self.items.pop_front()
        {
            self.bytes -= item.bytes();
            match item {
                Item::News(frame) => {
                    self.news -= 1;
                    frame.encode(plain);
                }
                Item::Datagram(flow, bytes) => {
                    plain.extend(head(datagram::length(flow, bytes.len())));
                    datagram::put_number(flow, plain);
                    plain.extend_from_slice(&bytes);
                }
            }
        }
        if self.items.is_empty() {
            // The room of a burst is not held on to.
            self.items = VecDeque::new();
        }
    }
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Item::News(..) => 0,
            Item::Datagram(flow, datagram) => size(*flow, datagram),
        }
    }
}

fn size(flow: FlowNumber, datagram: &Bytes) -> usize {
    HEAD + datagram::length(flow, datagram.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tunnel::datagram::MAX_DATAGRAM;
    use crate::transport::tunnel::frame::{Decoder, Event};

    const FLOW: FlowNumber = FlowNumber(2);

    fn standing() -> Queue {
        let mut queue = Queue::default();
        queue.stand();
        queue
    }

    /// What is sent of it, in words.
    fn sent(queue: &mut Queue, most: usize) -> Vec<String> {
        let mut plain = Vec::new();
        queue.take(most, &mut plain);
        let (mut decoder, mut rest, mut all, mut body) =
            (Decoder::default(), &plain[..], Vec::new(), Vec::new());
        while let Some(event) = decoder.next(&mut rest).unwrap() {
            match event {
                Event::Frame(Frame::Flow(number, _)) => all.push(format!("flow {number}")),
                Event::Frame(Frame::FlowEnd(number, _)) => all.push(format!("end {number}")),
                Event::Frame(other) => all.push(format!("{other:?}")),
                Event::Body { bytes, is_last, .. } => {
                    body.extend_from_slice(bytes);
                    if is_last {
                        let (flow, length) = datagram::read_number(&body).unwrap();
                        all.push(format!("{}: {}", flow.0, body.len() - length));
                        body.clear();
                    }
                }
            }
        }
        all
    }

    #[test]
    fn news_and_datagrams_go_in_their_order_and_no_more_than_asked_for_at_once() {
        let mut queue = standing();
        queue.tell(Frame::Flow(2, vec![1])).unwrap();
        for length in [0, 1, 40_000, 5] {
            assert_eq!(queue.put(FLOW, vec![0; length].into()), []);
        }
        queue.tell(Frame::FlowEnd(2, vec![])).unwrap();

        assert_eq!(sent(&mut queue, 16), ["flow 2", "2: 0"]);
        assert_eq!(sent(&mut queue, 1000), ["2: 1", "2: 40000"]);
        assert_eq!(sent(&mut queue, 1000), ["2: 5", "end 2"]);
        assert_eq!((queue.bytes, queue.news, sent(&mut queue, 1000).len()), (0, 0, 0));
    }

    #[test]
    fn where_too_many_wait_the_oldest_is_dropped_and_never_what_is_told_of_a_flow() {
        let mut queue = standing();
        queue.tell(Frame::Flow(2, vec![1])).unwrap();
        let dropped: usize = (0..1000).map(|n| queue.put(FLOW, vec![0; 1000 + n].into()).len()).sum();

        let all = sent(&mut queue, usize::MAX);

        assert_eq!((all.len(), all[0].as_str()), (1001 - dropped, "flow 2"));
        assert_eq!(all.last().unwrap(), "2: 1999", "the newest is kept");
        assert!(dropped > 900);
    }

    #[test]
    fn the_longest_datagram_has_room_alone() {
        let mut queue = standing();
        let longest = FlowNumber(datagram::NUMBERS - 1);
        assert_eq!(queue.put(FLOW, vec![0; 100].into()), []);

        assert_eq!(queue.put(longest, vec![0; MAX_DATAGRAM].into()), [FLOW]);

        assert_eq!(sent(&mut queue, 1), [format!("{}: {MAX_DATAGRAM}", longest.0)]);
    }

    #[test]
    fn eight_datagrams_of_a_flow_wait_until_its_connection_stands() {
        let mut queue = Queue::default();
        let dropped: usize = (0..10).map(|length| queue.put(FLOW, vec![0; length].into()).len()).sum();
        assert_eq!(dropped, 2);
        queue.stand();
        assert_eq!(queue.put(FLOW, vec![0; 10].into()), []);

        assert_eq!(sent(&mut queue, usize::MAX), (2..=10).map(|n| format!("2: {n}")).collect::<Vec<_>>());
    }

    #[test]
    fn no_datagram_is_left_of_a_flow_that_has_ended() {
        let mut queue = Queue::default();
        for flow in [2, 4] {
            queue.tell(Frame::Flow(flow, vec![1])).unwrap();
            queue.put(FlowNumber(flow), vec![0; 10].into());
        }

        assert_eq!(queue.forget(FLOW), 1);

        assert_eq!(sent(&mut queue, usize::MAX), ["flow 2", "flow 4", "4: 10"]);
        assert_eq!((queue.bytes, queue.news), (0, 0));
    }

    #[test]
    fn the_datagrams_of_a_connection_that_is_gone_are_taken_out_in_their_order() {
        let mut queue = standing();
        queue.tell(Frame::Flow(2, vec![1])).unwrap();
        (0..3).for_each(|length| assert_eq!(queue.put(FLOW, vec![0; length].into()), []));

        let lengths: Vec<_> = queue.take_datagrams().iter().map(|(_, datagram)| datagram.len()).collect();

        assert_eq!((lengths, queue.bytes, queue.news), (vec![0, 1, 2], 0, 0));
    }

    #[test]
    fn an_end_that_takes_nothing_has_us_keep_no_more_than_so_many_news() {
        let mut queue = standing();

        let taken = (0..2 * MAX_NEWS as u64).take_while(|n| queue.tell(Frame::FlowEnd(*n, vec![])).is_ok());

        assert_eq!(taken.count(), MAX_NEWS);
    }
}
