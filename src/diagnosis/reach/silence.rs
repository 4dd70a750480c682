//! What can be seen only while a connection stands and nothing comes back on it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::facts::{Hop, ReachFacts};
use super::gather::MAX_EXAMINED;
use super::ring;
use crate::probe::holders::{self, Search};
use crate::probe::trace::Connection;
use crate::probe::vitals::Vitals;

/// What is seen while a connection stands and nothing comes back.
#[derive(Default)]
pub(super) struct Silence {
    pub(super) search: Search,
    pub(super) lives: Vec<Vitals>,
    pub(super) ring: Vec<Hop>,
}

impl Silence {
    pub(super) fn look(&mut self, facts: &ReachFacts, address: SocketAddr, connection: &Connection) {
        if !self.lives.is_empty() {
            return;
        }
        let inode = connection.server.map_or(0, |side| side.inode);
        if inode != 0 {
            self.search = holders::of_inodes(&BTreeSet::from([inode]));
        }
        self.ring = ring::find(address.port());
        let serving = self.search.found.iter().map(|held| held.holder.pid);
        let pids: BTreeSet<u32> = facts.examined().into_iter().chain(serving).collect();
        self.lives =
            pids.into_iter().take(2 * MAX_EXAMINED).filter_map(|pid| Vitals::read(pid).ok()).collect();
    }
}
