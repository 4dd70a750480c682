//! A list of flows by age, linked inside their slots: appends and removals from the middle need no search.

use slab::Slab;

use super::slot::{FlowId, Link, NONE, Slot};

/// Both ends of a list.
#[derive(Debug)]
pub(super) struct Ends {
    oldest: FlowId,
    newest: FlowId,
}

impl Default for Ends {
    fn default() -> Self {
        Ends { oldest: NONE, newest: NONE }
    }
}

/// Which of its links a list uses.
type Which<T> = fn(&mut Slot<T>) -> &mut Link;

impl Ends {
    pub(super) fn oldest(&self) -> Option<FlowId> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Appends a flow that is in no list yet, as the newest.
    pub(super) fn append<T>(&mut self, slots: &mut Slab<Slot<T>>, which: Which<T>, id: FlowId) {
        *which(&mut slots[id as usize]) = Link { older: self.newest, newer: NONE };
        match self.newest {
            NONE => self.oldest = id,
            newest => which(&mut slots[newest as usize]).newer = id,
        }
        self.newest = id;
    }

    /// Removes a flow from the list.
    pub(super) fn unlink<T>(&mut self, slots: &mut Slab<Slot<T>>, which: Which<T>, id: FlowId) {
        let Link { older, newer } = std::mem::take(which(&mut slots[id as usize]));
        match older {
            NONE => self.oldest = newer,
            older => which(&mut slots[older as usize]).newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => which(&mut slots[newer as usize]).older = older,
        }
    }
}
