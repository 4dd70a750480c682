//! The flows of one loop: which client has which, how many there may be, and when each ends.
//!
//! Pure: the clock, addresses and events are arguments, and nothing here uses a socket. `simulation` runs it through
//! thousands of generated lives.

mod account;
mod list;
#[cfg(test)]
mod simulation;
mod slot;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::limits::FlowsFull;
pub(super) use account::Account;
use list::Ends;
pub(super) use slot::{ClientKey, FlowId, GroupId};
use slot::{Link, Slot};

/// What a route allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) most: usize,
    pub(super) full: FlowsFull,
    pub(super) idle: Duration,
    /// How old a flow may become.
    pub(super) age: Option<Duration>,
}

/// Whether a route may have one more flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// If this flow, which was idle longest, is evicted.
    InPlaceOf(FlowId),
    None,
}

/// Every flow of a loop. `T` is what a flow carries.
#[derive(Debug)]
pub(super) struct FlowTable<T> {
    slots: Slab<Slot<T>>,
    by_client: HashMap<ClientKey, FlowId>,
    groups: Slab<Group>,
    /// All flows, the one idle longest first.
    by_age: Ends,
}

/// The flows of one route. They share one idle limit, so the one idle longest is the first to end.
#[derive(Debug)]
struct Group {
    rules: Rules,
    count: usize,
    by_age: Ends,
    /// The same flows, the one that began first in front; empty if they may become as old as they like.
    by_birth: Ends,
}

/// A table that has emptied keeps capacity for this many flows.
const KEPT: usize = 64;

impl<T> Default for FlowTable<T> {
    fn default() -> Self {
        FlowTable {
            slots: Slab::new(),
            by_client: HashMap::new(),
            groups: Slab::new(),
            by_age: Ends::default(),
        }
    }
}

impl<T> FlowTable<T> {
    /// Adds a group for the flows of a route.
    pub(super) fn add_group(&mut self, rules: Rules) -> GroupId {
        self.groups.insert(Group { rules, count: 0, by_age: Ends::default(), by_birth: Ends::default() })
    }

    /// Removes a group if it has no flow left; returns whether it did.
    pub(super) fn remove_group(&mut self, group: GroupId) -> bool {
        let is_empty = self.groups.get(group).is_some_and(|group| group.count == 0);
        if is_empty {
            self.groups.remove(group);
        }
        is_empty
    }

    /// Whether the route may have one more flow.
    pub(super) fn room(&self, group: GroupId) -> Room {
        let Group { rules, count, by_age, .. } = &self.groups[group];
        match (rules.full, by_age.oldest()) {
            _ if *count < rules.most => Room::Free,
            (FlowsFull::Evict, Some(oldest)) => Room::InPlaceOf(oldest),
            _ => Room::None,
        }
    }

    /// The flow of a client.
    pub(super) fn find(&self, client: &ClientKey) -> Option<FlowId> {
        self.by_client.get(client).copied()
    }

    /// Adds a flow for a client that has none.
    pub(super) fn insert(&mut self, client: ClientKey, group: GroupId, flow: T, now: Instant) -> FlowId {
        let Entry::Vacant(entry) = self.by_client.entry(client) else {
            unreachable!("a client has one flow, and it is looked for before one is made")
        };
        let (in_all, in_group, by_birth) = (Link::default(), Link::default(), Link::default());
        let slot = Slot { client, group, born: now, last: now, in_all, in_group, by_birth, flow };
        let id = self.slots.insert(slot) as FlowId;
        entry.insert(id);
        let group = &mut self.groups[group];
        group.count += 1;
        if group.rules.age.is_some() {
            group.by_birth.append(&mut self.slots, |slot| &mut slot.by_birth, id);
        }
        self.append(id);
        id
    }

    /// Takes the client away from a flow, so that its next datagram opens another; answers still go to it.
    pub(super) fn unbind(&mut self, id: FlowId) {
        let Some(slot) = self.slots.get(id as usize) else { return };
        if let Entry::Occupied(entry) = self.by_client.entry(slot.client)
            && *entry.get() == id
        {
            entry.remove();
        }
    }

    /// Removes a flow.
    pub(super) fn remove(&mut self, id: FlowId) -> Option<T> {
        if !self.slots.contains(id as usize) {
            return None;
        }
        self.unlink(id);
        let group = &mut self.groups[self.slots[id as usize].group];
        if group.rules.age.is_some() {
            group.by_birth.unlink(&mut self.slots, |slot| &mut slot.by_birth, id);
        }
        self.unbind(id);
        let slot = self.slots.remove(id as usize);
        self.groups[slot.group].count -= 1;
        self.shrink();
        Some(slot.flow)
    }

    /// Records a datagram, from either side.
    pub(super) fn touch(&mut self, id: FlowId, now: Instant) {
        let Some(slot) = self.slots.get_mut(id as usize) else { return };
        // Several in a row share one time.
        if slot.last < now {
            slot.last = now;
            self.unlink(id);
            self.append(id);
        }
    }

    pub(super) fn get(&self, id: FlowId) -> Option<&T> {
        self.slots.get(id as usize).map(|slot| &slot.flow)
    }

    pub(super) fn get_mut(&mut self, id: FlowId) -> Option<&mut T> {
        self.slots.get_mut(id as usize).map(|slot| &mut slot.flow)
    }

    /// The client of a flow.
    pub(super) fn client(&self, id: FlowId) -> Option<&ClientKey> {
        self.slots.get(id as usize).map(|slot| &slot.client)
    }

    /// The route of a flow.
    pub(super) fn group(&self, id: FlowId) -> Option<GroupId> {
        self.slots.get(id as usize).map(|slot| slot.group)
    }

    /// The number of flows.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Every flow, in no order.
    pub(super) fn ids(&self) -> Vec<FlowId> {
        self.slots.iter().map(|(id, _)| id as FlowId).collect()
    }

    /// The flow idle longest, of all routes.
    pub(super) fn oldest(&self) -> Option<FlowId> {
        self.by_age.oldest()
    }

    /// A flow that has been idle for its route's limit, or for `at_most` where that is shorter.
    pub(super) fn expired(&self, now: Instant, at_most: Option<Duration>) -> Option<FlowId> {
        self.ends(at_most).find(|(end, _)| *end <= now).map(|(_, id)| id)
    }

    /// A flow that is as old as its route allows.
    pub(super) fn too_old(&self, now: Instant) -> Option<FlowId> {
        self.deaths().find(|(end, _)| *end <= now).map(|(_, id)| id)
    }

    /// When the next flow will have been idle long enough, if it gets no datagram, or be too old.
    pub(super) fn next_end(&self, at_most: Option<Duration>) -> Option<Instant> {
        self.ends(at_most).chain(self.deaths()).map(|(end, _)| end).min()
    }

    /// For each route whose flows may not become as old as they like, the flow that is too old first, and when.
    fn deaths(&self) -> impl Iterator<Item = (Instant, FlowId)> + '_ {
        self.groups.iter().filter_map(|(_, group)| {
            let (age, id) = (group.rules.age?, group.by_birth.oldest()?);
            Some((self.slots[id as usize].born + age, id))
        })
    }

    /// For each route, the flow that ends first, and when.
    fn ends(&self, at_most: Option<Duration>) -> impl Iterator<Item = (Instant, FlowId)> + '_ {
        self.groups.iter().filter_map(move |(_, group)| {
            let id = group.by_age.oldest()?;
            let idle = at_most.map_or(group.rules.idle, |most| most.min(group.rules.idle));
            Some((self.slots[id as usize].last + idle, id))
        })
    }

    fn append(&mut self, id: FlowId) {
        let group = self.slots[id as usize].group;
        self.by_age.append(&mut self.slots, |slot| &mut slot.in_all, id);
        self.groups[group].by_age.append(&mut self.slots, |slot| &mut slot.in_group, id);
    }

    fn unlink(&mut self, id: FlowId) {
        let group = self.slots[id as usize].group;
        self.by_age.unlink(&mut self.slots, |slot| &mut slot.in_all, id);
        self.groups[group].by_age.unlink(&mut self.slots, |slot| &mut slot.in_group, id);
    }

    /// Frees capacity after most flows have ended.
    fn shrink(&mut self) {
        if self.slots.is_empty() && self.slots.capacity() > KEPT {
            self.slots = Slab::new();
        }
        let (len, capacity) = (self.by_client.len(), self.by_client.capacity());
        if capacity > 4 * KEPT && len < capacity / 8 {
            self.by_client.shrink_to(2 * len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_that_has_lost_its_client_lives_on_beside_the_next_one() {
        let (mut table, now) = (FlowTable::default(), Instant::now());
        let rules = Rules { most: 2, full: FlowsFull::Evict, idle: Duration::from_secs(1), age: None };
        let group = table.add_group(rules);
        let client = ClientKey::new(1, ([127, 0, 0, 1], 9).into(), None);
        let first = table.insert(client, group, "first", now);

        table.unbind(first);
        assert_eq!((table.find(&client), table.client(first)), (None, Some(&client)));
        let second = table.insert(client, group, "second", now);
        table.unbind(first);

        assert_eq!(table.find(&client), Some(second), "it was the other that lost it");
        assert_eq!(table.room(group), Room::InPlaceOf(first));
        assert_eq!(table.remove(first), Some("first"));
        assert_eq!(table.find(&client), Some(second));
        assert_eq!((table.remove(second), table.find(&client)), (Some("second"), None));
        assert!(table.remove_group(group));
    }
}
