//! How many connections may be here whose key is not proven yet, and how fast they may come. A handshake costs this machine
//! more than it costs who begins it.
//!
//! Pure: the clock and the addresses are arguments.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use crate::limits::{Allowance, ClientKey, Pace};
use crate::units::{Frequency, Unit, counted};

/// The most connections without a proven key.
pub(super) const MAX_PLACES: usize = 256;

/// Those of them that only an address gets whose key was proven in the last [`REMEMBERED`].
pub(super) const KEPT_PLACES: usize = 64;

/// The most of one address.
pub(super) const MAX_PER_ADDRESS: usize = 8;

/// How long an address counts as one of a known machine after its last proof.
const REMEMBERED: Duration = Duration::from_hours(24);

/// The most such addresses; beyond it, the oldest proof is forgotten.
const MAX_PROVEN: usize = 1024;

/// The most addresses whose pace is remembered; beyond it, the oldest is forgotten, and the pace of all remains.
const MAX_PACES: usize = 4096;

/// How often strangers may begin a handshake, all and each.
const PACE: Frequency = Frequency { count: 200, per: Unit::Second };
const PACE_PER_ADDRESS: Frequency = Frequency { count: 20, per: Unit::Second };

/// How often refusals are logged.
const FOLD: Duration = Duration::from_secs(60);

/// Who is here, and who was.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    here: HashMap<ClientKey, usize>,
    /// The sum of them.
    places: usize,
    proven: HashMap<ClientKey, Instant>,
    pace: Pace,
    paces: HashMap<ClientKey, Pace>,
    /// Those of `paces`, the oldest first.
    order: VecDeque<ClientKey>,
    refused: Refused,
}

/// Why a connection gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Every place is taken, or all but those that are kept for known addresses.
    Places,
    /// Its address has as many as it may.
    Address,
    /// Too many have come in the last second.
    Pace,
}

impl Strangers {
    /// Takes a place for a connection of this address, which [`Strangers::leave`] gives back.
    ///
    /// # Errors
    /// [`Full`]; nothing was taken then.
    pub(crate) fn enter(&mut self, client: ClientKey, now: Instant) -> Result<(), Full> {
        let entered = self.may_enter(&client, now);
        if let Err(full) = entered {
            self.refused.count(full);
            return Err(full);
        }
        *self.here.entry(client).or_default() += 1;
        self.places += 1;
        Ok(())
    }

    /// Gives back the place of a connection that is closed, or whose key is proven.
    pub(crate) fn leave(&mut self, client: &ClientKey) {
        let Some(here) = self.here.get_mut(client) else { return };
        *here -= 1;
        self.places -= 1;
        if *here == 0 {
            self.here.remove(client);
        }
    }

    /// Remembers that a machine at this address has proven a key that is known.
    pub(crate) fn prove(&mut self, client: ClientKey, now: Instant) {
        if self.proven.len() >= MAX_PROVEN && !self.proven.contains_key(&client) {
            let oldest = self.proven.iter().min_by_key(|(_, at)| **at).map(|(client, _)| client.clone());
            oldest.map(|oldest| self.proven.remove(&oldest));
        }
        self.proven.insert(client, now);
    }

    /// The line about those that were refused since the last one, if it is time for one.
    pub(crate) fn told(&mut self, now: Instant) -> Option<String> {
        self.refused.told(now)
    }

    /// How many places are taken.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.places
    }

    fn may_enter(&mut self, client: &ClientKey, now: Instant) -> Result<(), Full> {
        if self.here.get(client).is_some_and(|here| *here >= MAX_PER_ADDRESS) {
            return Err(Full::Address);
        }
        if self.is_proven(client, now) {
            return if self.places < MAX_PLACES { Ok(()) } else { Err(Full::Places) };
        }
        if self.places >= MAX_PLACES - KEPT_PLACES {
            return Err(Full::Places);
        }
        self.take_pace(client, now)
    }

    /// Whether a machine at this address has proven a known key in the last [`REMEMBERED`].
    pub(crate) fn is_proven(&self, client: &ClientKey, now: Instant) -> bool {
        self.proven.get(client).is_some_and(|at| now.saturating_duration_since(*at) < REMEMBERED)
    }

    fn take_pace(&mut self, client: &ClientKey, now: Instant) -> Result<(), Full> {
        let (all, each) = (Allowance::from(PACE), Allowance::from(PACE_PER_ADDRESS));
        let own = self.paces.get(client).copied().unwrap_or_default();
        if !self.pace.admits(now, all) || !own.admits(now, each) {
            return Err(Full::Pace);
        }
        self.pace.take(now, all);
        self.forget_paces(now);
        if !self.paces.contains_key(client) {
            self.order.push_back(client.clone());
        }
        self.paces.entry(client.clone()).or_default().take(now, each);
        Ok(())
    }

    /// Forgets the addresses whose tokens are all back, and the oldest beyond [`MAX_PACES`].
    fn forget_paces(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let is_full = self.paces.get(oldest).is_none_or(|pace| pace.is_full(now));
            if !is_full && self.order.len() < MAX_PACES {
                return;
            }
            self.paces.remove(oldest);
            self.order.pop_front();
        }
    }
}

/// Refusals since the last line.
#[derive(Debug, Default)]
struct Refused {
    places: usize,
    address: usize,
    pace: usize,
    told: Option<Instant>,
}

impl Refused {
    fn count(&mut self, full: Full) {
        match full {
            Full::Places => self.places += 1,
            Full::Address => self.address += 1,
            Full::Pace => self.pace += 1,
        }
    }

    fn told(&mut self, now: Instant) -> Option<String> {
        let all = self.places + self.address + self.pace;
        let is_early = self.told.is_some_and(|told| now.saturating_duration_since(told) < FOLD);
        if all == 0 || is_early {
            return None;
        }
        let parts = [
            (self.places, "found every place for a handshake taken"),
            (self.address, "came from an address with as many handshakes as one may have"),
            (self.pace, "came too fast"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts.map(|(count, why)| format!("{count} {why}")).collect();
        *self = Refused { told: Some(now), ..Refused::default() };
        Some(format!("the tunnel listener has closed {}: {}", counted(all, "connection"), parts.join(", ")))
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Full::Places => "every place for a handshake is taken",
            Full::Address => "its address has as many handshakes as one may have",
            Full::Pace => "handshakes come too fast",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn client(n: u32) -> ClientKey {
        IpAddr::from(n.to_be_bytes()).into()
    }

    /// Takes places for one connection of each address, a millisecond apart.
    fn crowd(strangers: &mut Strangers, clients: impl Iterator<Item = u32>, mut now: Instant) -> Vec<Full> {
        let mut full = Vec::new();
        for n in clients {
            now += Duration::from_millis(10);
            full.extend(strangers.enter(client(n), now).err());
        }
        full
    }

    #[test]
    fn one_address_has_eight_places_and_gets_the_ninth_once_one_is_free() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        for _ in 0..MAX_PER_ADDRESS {
            assert_eq!(strangers.enter(client(1), now), Ok(()));
        }

        assert_eq!(strangers.enter(client(1), now), Err(Full::Address));
        assert_eq!(strangers.enter(client(2), now), Ok(()));
        strangers.leave(&client(1));
        assert_eq!(strangers.enter(client(1), now), Ok(()));
    }

    #[test]
    fn neighbours_in_one_64_of_ipv6_share_the_places_of_one_address() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        let of = |n: u8| ClientKey::from(format!("2001:db8::{n:x}").parse::<IpAddr>().unwrap());
        let taken = (0..20).filter(|n| strangers.enter(of(*n), now).is_ok()).count();

        assert_eq!(taken, MAX_PER_ADDRESS);
    }

    #[test]
    fn a_crowd_of_strangers_leaves_places_for_a_machine_that_was_here_today() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        strangers.prove(client(9), now);

        let full = crowd(&mut strangers, 1000..2000, now);
        let taken = MAX_PLACES - KEPT_PLACES;
        assert_eq!(full.len(), 1000 - taken);
        assert!(full.iter().all(|full| *full == Full::Places));

        let later = now + Duration::from_secs(20);
        assert_eq!(strangers.enter(client(8), later), Err(Full::Places));
        assert_eq!(strangers.enter(client(9), later), Ok(()));
        let tomorrow = now + Duration::from_hours(24);
        assert_eq!(strangers.enter(client(9), tomorrow), Err(Full::Places), "its proof is a day old");
    }

    #[test]
    fn known_machines_find_every_place_and_no_more() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        for n in 0..100 {
            strangers.prove(client(n), now);
        }
        let known = (0..100).cycle().take(MAX_PLACES + 5);

        assert_eq!(crowd(&mut strangers, known, now), [Full::Places; 5]);
    }

    #[test]
    fn strangers_that_come_and_go_are_slowed_down_and_a_known_machine_is_not() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        let mut comes_and_goes = |n: u32| {
            let entered = strangers.enter(client(n), now);
            if entered.is_ok() {
                strangers.leave(&client(n));
            }
            entered
        };

        assert_eq!((0..30).filter(|_| comes_and_goes(1).is_ok()).count(), 20);
        assert_eq!((100..400).filter(|n| comes_and_goes(*n).is_ok()).count(), 180);
        assert_eq!(comes_and_goes(500), Err(Full::Pace));
        strangers.prove(client(1), now);
        for _ in 0..300 {
            assert_eq!(strangers.enter(client(1), now), Ok(()));
            strangers.leave(&client(1));
        }
    }

    #[test]
    fn what_is_remembered_of_ten_thousand_addresses_is_bounded() {
        let (mut strangers, mut now) = (Strangers::default(), Instant::now());
        for n in 0..10_000 {
            now += Duration::from_millis(5);
            assert_eq!(strangers.enter(client(n), now), Ok(()));
            strangers.leave(&client(n));
            strangers.prove(client(n), now);
        }

        assert!(strangers.paces.len() <= MAX_PACES && strangers.order.len() <= MAX_PACES);
        assert!(strangers.proven.len() <= MAX_PROVEN);
        assert_eq!((strangers.places, strangers.here.len()), (0, 0));
    }

    #[test]
    fn those_that_were_refused_are_told_in_one_line_a_minute() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        assert_eq!(strangers.told(now), None);
        for _ in 0..10 {
            let _ = strangers.enter(client(1), now);
        }

        assert_eq!(
            strangers.told(now).unwrap(),
            "the tunnel listener has closed 2 connections: 2 came from an address with as many handshakes as one may \
             have"
        );
        let _ = strangers.enter(client(1), now);
        assert_eq!(strangers.told(now + Duration::from_secs(59)), None);
        let line = strangers.told(now + Duration::from_secs(60)).unwrap();
        assert!(line.contains("closed 1 connection:"), "{line}");
    }
}
