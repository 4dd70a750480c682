//! Which of the connections that this end has taken carries which of its flows. Pure: the clock is an argument; `Q` is a
//! connection.
//!
//! Each flow has a connection of its own: a segment that is lost then delays one flow. Beyond [`MAX_SLOTS`], flows share.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::transport::tunnel::flows::FlowNumber;

/// The most connections.
pub(super) const MAX_SLOTS: usize = 256;

/// How long one without a flow is kept.
const IDLE: Duration = Duration::from_secs(60);

/// How often a flow is given another connection within [`MOVES_WITHIN`]. An end that closes each of them would have us open
/// connections without end.
const MAX_MOVES: u8 = 3;
const MOVES_WITHIN: Duration = Duration::from_secs(60);

/// The connections, and the flow of each.
#[derive(Debug)]
pub(super) struct Slots<Q> {
    slots: BTreeMap<u64, Slot<Q>>,
    flows: HashMap<FlowNumber, Placed>,
    next: u64,
}

#[derive(Debug)]
struct Slot<Q> {
    queue: Q,
    flows: usize,
    stands: bool,
    /// Since when it has no flow.
    idle: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    slot: u64,
    moves: Moves,
}

/// How often a flow had to move, since when.
#[derive(Clone, Copy, Debug, Default)]
struct Moves(Option<(Instant, u8)>);

impl Moves {
    /// With another one now; `None` if that is one too many.
    fn again(self, now: Instant) -> Option<Moves> {
        let is_recent = |(since, _): &(Instant, u8)| now.saturating_duration_since(*since) < MOVES_WITHIN;
        let (since, moves) = self.0.filter(is_recent).unwrap_or((now, 0));
        (moves < MAX_MOVES).then_some(Moves(Some((since, moves + 1))))
    }
}

/// Where a flow goes.
#[derive(Debug, PartialEq)]
pub(super) enum Place<Q> {
    /// There.
    In(Q),
    /// There, and a connection is to be taken for it.
    New(u64, Q),
}

impl<Q> Default for Slots<Q> {
    fn default() -> Self {
        Slots { slots: BTreeMap::new(), flows: HashMap::new(), next: 0 }
    }
}

impl<Q: Clone + Default> Slots<Q> {
    /// The connection of a flow.
    pub(super) fn of(&self, flow: FlowNumber) -> Option<&Q> {
        self.slots.get(&self.flows.get(&flow)?.slot).map(|slot| &slot.queue)
    }

    /// Gives a flow a connection: that which it has, one that no flow has, a new one, or one that it shares.
    pub(super) fn begin(&mut self, flow: FlowNumber) -> Place<Q> {
        match self.of(flow) {
            Some(queue) => Place::In(queue.clone()),
            None => self.begin_anew(flow, Moves::default()),
        }
    }

    fn begin_anew(&mut self, flow: FlowNumber, moves: Moves) -> Place<Q> {
        let free = self.slots.iter().find(|(_, slot)| slot.stands && slot.flows == 0).map(|(id, _)| *id);
        let found = free.or_else(|| (self.slots.len() >= MAX_SLOTS).then(|| self.shared(flow)).flatten());
        let id = found.unwrap_or_else(|| {
            let slot = Slot { queue: Q::default(), flows: 0, stands: false, idle: None };
            self.slots.insert(self.next, slot);
            self.next += 1;
            self.next - 1
        });
        let queue = self.place(flow, id, moves);
        if found.is_some() { Place::In(queue) } else { Place::New(id, queue) }
    }

    /// The connection that a flow shares with others, by its number: of those that stand, if any does.
    fn shared(&self, flow: FlowNumber) -> Option<u64> {
        let standing: Vec<u64> =
            self.slots.iter().filter(|(_, slot)| slot.stands).map(|(id, _)| *id).collect();
        let ids = if standing.is_empty() { self.slots.keys().copied().collect() } else { standing };
        // Numbers of one end are every second one; the factor spreads them (Knuth, volume 3, section 6.4).
        let hash = flow.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (!ids.is_empty()).then(|| ids[(hash % ids.len() as u64) as usize])
    }

    fn place(&mut self, flow: FlowNumber, id: u64, moves: Moves) -> Q {
        let Some(slot) = self.slots.get_mut(&id) else { return Q::default() };
        (slot.flows, slot.idle) = (slot.flows + 1, None);
        self.flows.insert(flow, Placed { slot: id, moves });
        slot.queue.clone()
    }

    /// A flow has ended, or goes another way; its connection.
    pub(super) fn end(&mut self, flow: FlowNumber, now: Instant) -> Option<Q> {
        let Placed { slot, .. } = self.flows.remove(&flow)?;
        let slot = self.slots.get_mut(&slot)?;
        slot.flows -= 1;
        if slot.flows == 0 {
            slot.idle = Some(now);
        }
        Some(slot.queue.clone())
    }

    /// A connection stands.
    pub(super) fn stand(&mut self, id: u64) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.stands = true;
        }
    }

    /// A connection is gone, or was not had: its flows, each with its new place, or with none where it was moved too often, or
    /// where no other may be opened and there is none to share.
    pub(super) fn lost(
        &mut self,
        id: u64,
        may_open: bool,
        now: Instant,
    ) -> Vec<(FlowNumber, Option<Place<Q>>)> {
        self.slots.remove(&id);
        let its: Vec<_> = self.flows.extract_if(|_, placed| placed.slot == id).collect();
        let mut its: Vec<_> = its.into_iter().map(|(flow, placed)| (flow, placed.moves)).collect();
        its.sort_unstable_by_key(|(flow, _)| *flow);
        let again = |(flow, moves): (FlowNumber, Moves)| {
            let place = moves.again(now).and_then(|moves| match may_open {
                true => Some(self.begin_anew(flow, moves)),
                false => self.shared(flow).map(|id| Place::In(self.place(flow, id, moves))),
            });
            (flow, place)
        };
        its.into_iter().map(again).collect()
    }

    /// Takes out the connections that had no flow for a minute, to be closed.
    pub(super) fn take_idle(&mut self, now: Instant) -> Vec<Q> {
        let is_over =
            |slot: &Slot<Q>| slot.idle.is_some_and(|since| now.saturating_duration_since(since) >= IDLE);
        self.slots.extract_if(.., |_, slot| is_over(slot)).map(|(_, slot)| slot.queue).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU8;

    use super::*;

    /// A connection is known by its identity.
    type Connection = Arc<AtomicU8>;

    fn id(place: &Place<Connection>) -> Option<u64> {
        match place {
            Place::New(id, _) => Some(*id),
            Place::In(_) => None,
        }
    }

    fn own(slots: &mut Slots<Connection>, flows: impl Iterator<Item = u64>) -> Vec<u64> {
        let places = flows.map(|flow| slots.begin(FlowNumber(2 * flow))).collect::<Vec<_>>();
        places.iter().filter_map(id).collect()
    }

    #[test]
    fn each_of_256_flows_has_a_connection_of_its_own_and_the_others_share_them() {
        let mut slots = Slots::default();
        let ids = own(&mut slots, 0..300);
        assert_eq!(ids.len(), MAX_SLOTS);

        let shared: usize = slots.slots.values().filter(|slot| slot.flows > 1).count();
        assert!(shared > 30, "the flows beyond are spread: {shared}");
        assert_eq!(slots.slots.values().map(|slot| slot.flows).sum::<usize>(), 300);
    }

    #[test]
    fn a_connection_without_a_flow_is_used_for_the_next_and_closed_after_a_minute() {
        let (mut slots, now) = (Slots::default(), Instant::now());
        let ids = own(&mut slots, 0..2);
        ids.iter().for_each(|id| slots.stand(*id));
        let first = slots.end(FlowNumber(0), now).unwrap();

        let Place::In(next) = slots.begin(FlowNumber(8)) else { panic!("another connection") };
        assert!(Arc::ptr_eq(&first, &next));
        slots.end(FlowNumber(8), now + Duration::from_secs(5));

        assert_eq!(slots.take_idle(now + IDLE).len(), 0);
        assert_eq!(slots.take_idle(now + IDLE + Duration::from_secs(5)).len(), 1);
        assert_eq!(slots.slots.len(), 1, "the other has a flow");
    }

    #[test]
    fn the_flows_of_a_connection_that_is_lost_have_others_three_times_a_minute() {
        let (mut slots, mut now) = (Slots::default(), Instant::now());
        let mut id = own(&mut slots, 0..1)[0];
        for _ in 0..MAX_MOVES {
            let moved = slots.lost(id, true, now);
            let [(FlowNumber(0), Some(Place::New(next, _)))] = &moved[..] else { panic!("{moved:?}") };
            id = *next;
        }
        now += MOVES_WITHIN;
        let moved = slots.lost(id, true, now);
        let [(FlowNumber(0), Some(Place::New(next, _)))] = &moved[..] else { panic!("{moved:?}") };
        id = *next;
        for _ in 1..MAX_MOVES {
            let moved = slots.lost(id, true, now);
            let [(_, Some(Place::New(next, _)))] = &moved[..] else { panic!("{moved:?}") };
            id = *next;
        }

        let moved = slots.lost(id, true, now);

        assert!(matches!(&moved[..], [(FlowNumber(0), None)]), "{moved:?}");
        assert!(slots.of(FlowNumber(0)).is_none() && slots.slots.is_empty());
    }

    #[test]
    fn a_flow_whose_connection_was_not_had_shares_one_that_stands_or_ends() {
        let (mut slots, now) = (Slots::default(), Instant::now());
        let ids = own(&mut slots, 0..3);

        let moved = slots.lost(ids[0], false, now);
        assert!(
            matches!(&moved[..], [(FlowNumber(0), Some(Place::In(_)))]),
            "none stands, but two may: {moved:?}"
        );
        slots.stand(ids[2]);
        let moved = slots.lost(ids[1], false, now);
        let standing = slots.slots[&ids[2]].queue.clone();
        assert!(
            moved.iter().all(|(_, place)| matches!(place, Some(Place::In(it)) if Arc::ptr_eq(it, &standing)))
        );

        let moved = slots.lost(ids[2], false, now);
        assert!(moved.len() == 3 && moved.iter().all(|(_, place)| place.is_none()), "{moved:?}");
    }
}
