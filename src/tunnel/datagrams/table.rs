//! The flows of a tunnel at one end, while its control lives. Pure: the clock is an argument; `S` is what takes the datagrams of
//! a flow.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::early::Early;
use super::used::Used;
use crate::transport::tunnel::datagram::NUMBERS;
use crate::transport::tunnel::flows::FlowNumber;
use crate::transport::tunnel::line::FlowsBy;
use crate::transport::tunnel::message::End;
use crate::transport::tunnel::open::Open;

/// The flows.
pub(super) struct Table<S> {
    /// Which end this is.
    end: End,
    /// The number of the next flow of this end.
    next: u64,
    flows: HashMap<FlowNumber, Flow<S>>,
    /// When each flow was active, as far as that was looked at: never later than it was. This end's, the other's.
    ages: [BTreeSet<(Instant, FlowNumber)>; 2],
    used: Used,
    early: Early,
}

/// One flow.
pub(super) struct Flow<S> {
    /// What was asked for.
    pub(super) open: Arc<Open>,
    /// What takes its datagrams; nothing before the other end's flow was admitted here.
    pub(super) sink: Option<S>,
    /// By what it was announced last.
    pub(super) by: FlowsBy,
    active: Instant,
    /// The moment that stands in `ages`.
    aged: Instant,
}

/// What becomes of a datagram of the other end.
#[derive(Debug, PartialEq)]
pub(super) enum Arrived<S> {
    /// It goes here.
    To(S, Bytes),
    /// It waits; so many were dropped for it, or it itself.
    Waits(usize),
    /// Its flow has ended, or has never been.
    Ended,
}

/// What becomes of a flow that the other end announces.
#[derive(Debug, PartialEq)]
pub(super) enum Began {
    /// It is to be admitted.
    New,
    /// It lives, and has another way.
    Known,
    /// It has ended.
    Ended,
    /// The number is not the other end's to give.
    Wrong,
}

impl<S: Clone> Table<S> {
    /// None yet.
    pub(super) fn new(end: End) -> Table<S> {
        let next = u64::from(end == End::Accepting);
        let (flows, ages) = (HashMap::new(), Default::default());
        Table { end, next, flows, ages, used: Used::default(), early: Early::default() }
    }

    /// Begins a flow of this end.
    pub(super) fn open(&mut self, open: Arc<Open>, sink: S, by: FlowsBy, now: Instant) -> FlowNumber {
        let number = FlowNumber(self.next);
        self.next += 2;
        self.add(number, Flow { open, sink: Some(sink), by, active: now, aged: now });
        number
    }

    /// The other end announces a flow.
    pub(super) fn began(&mut self, number: FlowNumber, open: Arc<Open>, by: FlowsBy, now: Instant) -> Began {
        if is_of(number, self.end) || number.0 >= NUMBERS {
            return Began::Wrong;
        }
        if let Some(flow) = self.flows.get_mut(&number) {
            (flow.by, flow.active) = (by, now);
            return Began::Known;
        }
        if self.used.has(number.0) {
            return Began::Ended;
        }
        self.used.note(number.0);
        self.add(number, Flow { open, sink: None, by, active: now, aged: now });
        Began::New
    }

    fn add(&mut self, number: FlowNumber, flow: Flow<S>) {
        self.ages[self.side(number)].insert((flow.aged, number));
        self.flows.insert(number, flow);
    }

    /// Removes the flow that has been idle for the longest among those of this end, or of the other, if there are more of
    /// them than `most`.
    pub(super) fn evict(&mut self, of: FlowNumber, most: usize) -> Option<(FlowNumber, Flow<S>)> {
        let side = self.side(of);
        if self.ages[side].len() <= most {
            return None;
        }
        // Whoever was active since it was looked at goes to its place: then the first is the oldest.
        while let Some((aged, number)) = self.ages[side].pop_first() {
            let Some(flow) = self.flows.get_mut(&number) else { continue };
            if flow.active == aged {
                return self.flows.remove(&number).map(|flow| (number, flow));
            }
            flow.aged = flow.active;
            self.ages[side].insert((flow.aged, number));
        }
        None
    }

    /// A flow of the other end was admitted: what takes its datagrams gets those that have waited. `None` if it has ended.
    pub(super) fn admit(&mut self, number: FlowNumber, sink: S, now: Instant) -> Option<(Vec<Bytes>, usize)> {
        self.flows.get_mut(&number)?.sink = Some(sink);
        Some(self.early.take(number, now))
    }

    /// A flow, which is active now.
    pub(super) fn active(&mut self, number: FlowNumber, now: Instant) -> Option<&Flow<S>> {
        let flow = self.flows.get_mut(&number)?;
        flow.active = now;
        Some(flow)
    }

    /// A flow.
    pub(super) fn get(&self, number: FlowNumber) -> Option<&Flow<S>> {
        self.flows.get(&number)
    }

    /// A datagram of the other end.
    pub(super) fn arrived(&mut self, number: FlowNumber, datagram: Bytes, now: Instant) -> Arrived<S> {
        let sink = self.active(number, now).map(|flow| flow.sink.clone());
        if let Some(Some(sink)) = sink {
            return Arrived::To(sink, datagram);
        }
        // Of a flow that is unknown, or not admitted yet.
        let has_ended = is_of(number, self.end) || number.0 >= NUMBERS || self.used.has(number.0);
        if sink.is_none() && has_ended {
            return Arrived::Ended;
        }
        Arrived::Waits(self.early.keep(number, datagram, now))
    }

    /// Ends a flow; its number is never used again.
    pub(super) fn end(&mut self, number: FlowNumber) -> Option<Flow<S>> {
        let flow = self.flows.remove(&number)?;
        self.ages[self.side(number)].remove(&(flow.aged, number));
        // What waited of it is late.
        self.early.take(number, flow.active);
        Some(flow)
    }

    /// Ends every flow.
    pub(super) fn end_all(&mut self) -> Vec<(FlowNumber, Flow<S>)> {
        self.ages = Default::default();
        self.flows.drain().collect()
    }

    /// The flows of this end go by this from now on. Those that are to be announced are returned: all of them where it is a new
    /// one, else those that went by something else.
    pub(super) fn go_by(&mut self, by: FlowsBy, is_new: bool) -> Vec<(FlowNumber, Arc<Open>)> {
        let end = self.end;
        let own =
            self.flows.iter_mut().filter(|(number, flow)| is_of(**number, end) && (is_new || flow.by != by));
        own.map(|(number, flow)| {
            flow.by = by;
            (*number, flow.open.clone())
        })
        .collect()
    }

    /// Where in `ages` a flow is.
    fn side(&self, number: FlowNumber) -> usize {
        usize::from(!is_of(number, self.end))
    }
}

/// Whether a number is given by this end.
pub(super) fn is_of(number: FlowNumber, end: End) -> bool {
    number.0.is_multiple_of(2) == (end == End::Dialling)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::address::{Protocol, There};
    use crate::outcome::SessionId;
    use crate::proxy_protocol::{Ends, Header, Tlvs};

    fn open() -> Arc<Open> {
        Arc::new(Open {
            id: SessionId([7; 10]),
            to: There::service("game").unwrap(),
            protocol: Protocol::Udp,
            came: UNIX_EPOCH,
            header: Header { ends: Ends::Unnamed, tlvs: Tlvs::default() },
        })
    }

    fn datagram(byte: u8) -> Bytes {
        vec![byte].into()
    }

    fn began(table: &mut Table<u8>, number: u64, by: FlowsBy) -> Began {
        table.began(FlowNumber(number), open(), by, Instant::now())
    }

    #[test]
    fn the_dialling_end_gives_even_numbers_and_the_accepting_end_odd_ones() {
        let now = Instant::now();
        for (end, own, others) in [(End::Dialling, [0, 2, 4], 3), (End::Accepting, [1, 3, 5], 2)] {
            let mut table = Table::new(end);
            let given = own.map(|_| table.open(open(), 0, FlowsBy::Tls, now).0);

            assert_eq!(given, own);
            assert_eq!(began(&mut table, others, FlowsBy::Tls), Began::New);
            assert_eq!(began(&mut table, own[1], FlowsBy::Tls), Began::Wrong);
            assert_eq!(began(&mut table, NUMBERS + others, FlowsBy::Tls), Began::Wrong);
        }
    }

    #[test]
    fn a_flow_that_is_announced_again_lives_on_and_one_that_has_ended_does_not_begin_again() {
        let mut table = Table::new(End::Dialling);
        assert_eq!(began(&mut table, 1, FlowsBy::Tls), Began::New);

        assert_eq!(began(&mut table, 1, FlowsBy::Quic), Began::Known);
        assert_eq!(table.get(FlowNumber(1)).map(|flow| flow.by), Some(FlowsBy::Quic));
        table.end(FlowNumber(1)).unwrap();

        assert_eq!(began(&mut table, 1, FlowsBy::Tls), Began::Ended);
    }

    #[test]
    fn datagrams_that_come_before_their_flow_wait_for_it_and_those_behind_its_end_are_dropped() {
        let (mut table, now) = (Table::new(End::Dialling), Instant::now());
        let flow = FlowNumber(1);
        assert_eq!(table.arrived(flow, datagram(1), now), Arrived::Waits(0));
        assert_eq!(began(&mut table, 1, FlowsBy::Tls), Began::New);
        assert_eq!(table.arrived(flow, datagram(2), now), Arrived::Waits(0), "it is not admitted yet");

        assert_eq!(table.admit(flow, 7, now), Some((vec![datagram(1), datagram(2)], 0)));
        assert_eq!(table.arrived(flow, datagram(3), now), Arrived::To(7, datagram(3)));
        table.end(flow);

        assert_eq!(table.arrived(flow, datagram(4), now), Arrived::Ended);
        assert_eq!(table.admit(flow, 7, now), None);
        assert_eq!(
            table.arrived(FlowNumber(0), datagram(4), now),
            Arrived::Ended,
            "one of our own that is none"
        );
    }

    #[test]
    fn beyond_the_most_flows_the_one_that_was_idle_for_the_longest_ends_and_none_of_the_other_end() {
        let (mut table, begin) = (Table::new(End::Dialling), Instant::now());
        let at = |s| begin + Duration::from_secs(s);
        for s in 0..3 {
            table.open(open(), 0, FlowsBy::Tls, at(s));
        }
        assert_eq!(table.began(FlowNumber(1), open(), FlowsBy::Tls, begin), Began::New);
        table.active(FlowNumber(0), at(10)).unwrap();
        table.arrived(FlowNumber(2), datagram(0), at(11));

        let mut newest = || {
            let newest = table.open(open(), 0, FlowsBy::Tls, at(12));
            table.evict(newest, 3).map(|(flow, _)| flow.0)
        };

        assert_eq!([newest(), newest(), newest(), newest()], [Some(4), Some(0), Some(2), Some(6)]);
        assert!(table.get(FlowNumber(1)).is_some());
        assert!(table.evict(FlowNumber(1), 1).is_none(), "the other end has no more than it may");
    }

    #[test]
    fn the_flows_of_this_end_are_announced_where_they_go_from_now_on() {
        let (mut table, now) = (Table::new(End::Accepting), Instant::now());
        let own = [table.open(open(), 0, FlowsBy::Tls, now), table.open(open(), 0, FlowsBy::Quic, now)];
        assert_eq!(began(&mut table, 2, FlowsBy::Tls), Began::New);
        let numbers = |all: Vec<(FlowNumber, _)>| {
            let mut numbers: Vec<_> = all.into_iter().map(|(flow, _)| flow).collect();
            numbers.sort();
            numbers
        };

        assert_eq!(numbers(table.go_by(FlowsBy::Quic, true)), own, "a new connection knows none of them");
        assert_eq!(numbers(table.go_by(FlowsBy::Tls, false)), own);
        assert_eq!(numbers(table.go_by(FlowsBy::Tls, false)), []);
    }

    #[test]
    fn with_the_control_every_flow_ends() {
        let (mut table, now) = (Table::new(End::Dialling), Instant::now());
        table.open(open(), 'a', FlowsBy::Tls, now);
        table.began(FlowNumber(1), open(), FlowsBy::Tls, now);
        table.admit(FlowNumber(1), 'b', now);

        let mut sinks: Vec<_> = table.end_all().into_iter().filter_map(|(_, flow)| flow.sink).collect();
        sinks.sort_unstable();

        assert_eq!(sinks, ['a', 'b']);
        assert_eq!(table.arrived(FlowNumber(1), datagram(0), now), Arrived::Ended);
    }
}
