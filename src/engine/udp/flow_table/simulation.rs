//! Thousands of generated lives of a flow table, compared with a model too simple to be wrong.

use std::net::SocketAddr;

use super::*;
use crate::limits::{FlowLimits, FlowPreset};
use crate::outcome::DropReason;
use crate::sys::datagrams::Asked;
use crate::units::seeded::Random;

const SEEDS: u64 = 2_000;
const STEPS: usize = 200;

/// What the model knows about a flow.
struct Known {
    group: GroupId,
    born: Instant,
    last: Instant,
    target: SocketAddr,
    asked: u64,
    answered: u64,
    dropped: u64,
}

struct Life {
    table: FlowTable<Account>,
    model: HashMap<ClientKey, Known>,
    groups: Vec<(GroupId, Rules)>,
    limits: FlowLimits,
    most_of_all: usize,
    now: Instant,
}

impl Life {
    fn new(random: &mut Random) -> Life {
        let mut table = FlowTable::default();
        let groups = (0..1 + random.below(3)).map(|_| {
            let rules = Rules {
                most: 1 + random.below(6) as usize,
                full: if random.below(2) == 0 { FlowsFull::Evict } else { FlowsFull::Refuse },
                idle: Duration::from_millis(1 + random.below(50)),
                age: (random.below(2) == 0).then(|| Duration::from_millis(1 + random.below(100))),
            };
            (table.add_group(rules), rules)
        });
        let groups = groups.collect();
        let option = |number: u64| (number > 0).then_some(number as u32);
        let limits = FlowLimits {
            answers: option(random.below(3)),
            amplification: option(random.below(4)),
            ..FlowPreset::Any.limits()
        };
        let most_of_all = 1 + random.below(10) as usize;
        Life { table, model: HashMap::new(), groups, limits, most_of_all, now: Instant::now() }
    }

    fn step(&mut self, random: &mut Random) {
        match random.below(10) {
            0..5 => self.client_sends(random),
            5..8 => self.target_answers(random),
            8 => self.now += Duration::from_millis(random.below(20)),
            _ => self.expire(random),
        }
    }

    fn client_sends(&mut self, random: &mut Random) {
        let (group, _) = self.groups[random.below(self.groups.len() as u64) as usize];
        let from = ([127, 0, 0, 1], 40_000 + random.below(8) as u16).into();
        let asked = (random.below(3) == 0)
            .then(|| Asked { ip: [127, 0, 0, random.below(2) as u8].into(), interface: 0 });
        let client = ClientKey::new(group as u32, from, asked);
        let Some(id) = self.table.find(&client).or_else(|| self.open(client, group, random)) else { return };

        let (datagrams, bytes) = (1 + random.below(3), random.below(1500) as usize);
        let account = self.table.get_mut(id).unwrap();
        account.asks(datagrams, bytes);
        let is_dropped = random.below(8) == 0;
        match is_dropped {
            true => account.dropped_up(DropReason::NoRoom, datagrams),
            false => account.delivered_up(datagrams),
        }
        self.table.touch(id, self.now);

        let known = self.model.get_mut(&client).unwrap();
        known.asked += datagrams;
        known.dropped += if is_dropped { datagrams } else { 0 };
        known.last = self.now;
    }

    fn open(&mut self, client: ClientKey, group: GroupId, random: &mut Random) -> Option<FlowId> {
        match self.table.room(group) {
            Room::Free => {}
            Room::InPlaceOf(oldest) => self.end(oldest),
            Room::None => return None,
        }
        if self.table.len() >= self.most_of_all {
            let oldest = self.table.oldest().unwrap();
            self.end(oldest);
        }
        let target = ([127, 0, 0, 1], 50 + random.below(3) as u16).into();
        let id = self.table.insert(client, group, Account::new(Some(target), &self.limits), self.now);
        let known =
            Known { group, born: self.now, last: self.now, target, asked: 0, answered: 0, dropped: 0 };
        assert!(self.model.insert(client, known).is_none());
        Some(id)
    }

    fn target_answers(&mut self, random: &mut Random) {
        let ids = self.table.ids();
        let Some(&id) = ids.get(random.below(1 + ids.len() as u64) as usize) else { return };
        let client = *self.table.client(id).unwrap();
        let known = self.model.get_mut(&client).unwrap();
        let is_stranger = random.below(5) == 0;
        let from = if is_stranger { ([127, 0, 0, 9], 9).into() } else { known.target };
        let bytes = random.below(4000) as usize;

        let account = self.table.get_mut(id).unwrap();
        let is_admitted = account.admits(Some(from), 1, bytes);

        assert!(!(is_admitted && is_stranger), "a stranger's answer passed");
        if is_admitted {
            account.delivered_down(1);
            known.answered += 1;
        }
        let is_done = account.is_done();
        known.last = self.now;
        self.table.touch(id, self.now);
        if is_done {
            self.end(id);
        }
    }

    fn expire(&mut self, random: &mut Random) {
        let at_most = (random.below(10) == 0).then(|| Duration::from_millis(random.below(10)));
        while let Some(id) = self.table.expired(self.now, at_most) {
            let known = &self.model[self.table.client(id).unwrap()];
            let idle = self.rules(known.group).idle;
            assert!(self.now - known.last >= at_most.map_or(idle, |most| most.min(idle)), "ended too early");
            self.end(id);
        }
        while let Some(id) = self.table.too_old(self.now) {
            let known = &self.model[self.table.client(id).unwrap()];
            let age = self.rules(known.group).age.expect("only where there is a limit");
            assert!(self.now - known.born >= age, "ended too young");
            self.end(id);
        }
        let is_too_old =
            |known: &Known| self.rules(known.group).age.is_some_and(|age| self.now - known.born >= age);
        assert!(!self.model.values().any(is_too_old), "one that is too old is left");
        let next = self.table.next_end(at_most);
        assert!(next.is_none_or(|next| next > self.now), "what was due is left");
    }

    fn end(&mut self, id: FlowId) {
        let client = *self.table.client(id).unwrap();
        let account = self.table.remove(id).unwrap();
        let known = self.model.remove(&client).unwrap();
        check_books(&account, &known);
        assert!(self.table.remove(id).is_none(), "a flow ends once");
    }

    fn rules(&self, group: GroupId) -> Rules {
        self.groups.iter().find(|(id, _)| *id == group).unwrap().1
    }

    /// The invariants after every step.
    fn check(&self) {
        assert!(self.table.len() <= self.most_of_all);
        assert_eq!(self.table.len(), self.model.len());
        for (group, rules) in &self.groups {
            let count = self.model.values().filter(|known| known.group == *group).count();
            assert!(count <= rules.most, "{count} flows of {}", rules.most);
            if count == rules.most {
                let oldest = self.model.values().filter(|known| known.group == *group);
                let oldest = oldest.map(|known| known.last).min();
                match self.table.room(*group) {
                    Room::InPlaceOf(id) => assert_eq!(Some(self.table.slots[id as usize].last), oldest),
                    room => assert_eq!((room, rules.full), (Room::None, FlowsFull::Refuse)),
                }
            }
        }
        for (client, known) in &self.model {
            let id = self.table.find(client).expect("a live client is found");
            assert_eq!(self.table.client(id), Some(client));
            assert_eq!(self.table.group(id), Some(known.group));
            check_books(self.table.get(id).unwrap(), known);
        }
        let oldest = self.table.oldest().map(|id| self.table.slots[id as usize].last);
        assert_eq!(oldest, self.model.values().map(|known| known.last).min());
    }
}

fn check_books(account: &Account, known: &Known) {
    let datagrams = account.datagrams();
    assert_eq!(account.target(), Some(known.target), "a flow has one target");
    assert_eq!(datagrams.up + datagrams.up_dropped.total(), known.asked, "what came is delivered or dropped");
    assert_eq!(datagrams.up_dropped.total(), known.dropped);
    assert_eq!(datagrams.down, known.answered);
}

#[test]
fn every_life_of_a_flow_table_keeps_its_promises() {
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let mut life = Life::new(&mut random);
        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..STEPS {
                life.step(&mut random);
                life.check();
            }
            for id in life.table.ids() {
                life.end(id);
            }
            let groups: Vec<GroupId> = life.groups.iter().map(|(id, _)| *id).collect();
            assert!(groups.into_iter().all(|group| life.table.remove_group(group)));
        }));
        assert!(lived.is_ok(), "seed {seed}");
    }
}
