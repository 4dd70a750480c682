//! Datagrams at a rate: what does not fit into it now is dropped.
//!
//! A stream's sender is slowed down by not reading; a sender of datagrams is not, so a queue would only delay what is
//! dropped in the end.

use std::sync::Arc;
use std::time::Instant;

use super::{Bandwidth, BandwidthRule, Bucket};

/// The rates of one flow.
#[derive(Debug)]
pub struct Policer {
    /// Its own.
    own: Option<Bandwidth>,
    /// Those it shares with the other flows of its route.
    shared: Option<Arc<Bandwidth>>,
}

impl Policer {
    /// With either or both; `None` if there is none.
    pub fn new(own: Option<BandwidthRule>, shared: Option<Arc<Bandwidth>>, now: Instant) -> Option<Policer> {
        (own.is_some() || shared.is_some())
            .then(|| Policer { own: own.map(|rule| Bandwidth::new(rule, now)), shared })
    }

    /// How many of these datagrams, given by their lengths, may pass from the client at `now`: those before the first
    /// that may not.
    pub fn up(&self, lengths: impl Iterator<Item = usize>, now: Instant) -> u64 {
        let (own, shared) = (self.own.as_ref(), self.shared.as_deref());
        passing(own.and_then(|it| it.up.as_ref()), shared.and_then(|it| it.up.as_ref()), lengths, now)
    }

    /// The same from the target.
    pub fn down(&self, lengths: impl Iterator<Item = usize>, now: Instant) -> u64 {
        let (own, shared) = (self.own.as_ref(), self.shared.as_deref());
        passing(own.and_then(|it| it.down.as_ref()), shared.and_then(|it| it.down.as_ref()), lengths, now)
    }
}

fn passing(
    own: Option<&Bucket>,
    shared: Option<&Bucket>,
    lengths: impl Iterator<Item = usize>,
    now: Instant,
) -> u64 {
    let passes = |length: &usize| {
        if own.is_some_and(|own| !own.spend(*length, now)) {
            return false;
        }
        let is_room = shared.is_none_or(|shared| shared.spend(*length, now));
        if let Some(own) = own.filter(|_| !is_room) {
            own.give_back(*length, 0);
        }
        is_room
    };
    lengths.take_while(passes).count() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::units::seeded::Random;
    use crate::units::{Rate, Size};

    fn rule(up: u64, burst: u64) -> BandwidthRule {
        BandwidthRule { up: Some(Rate(up)), down: None, burst: Some(Size(burst)) }
    }

    fn once(policer: &Policer, length: usize, now: Instant) -> bool {
        policer.up([length].into_iter(), now) == 1
    }

    #[test]
    fn whatever_comes_no_more_passes_than_burst_and_rate_allow_and_nearly_all_of_that() {
        for seed in 0..50 {
            let mut random = Random(seed);
            let born = Instant::now();
            let (rate, burst) = (8_000 << random.below(12), 2_000 + random.below(100_000));
            let policer = Policer::new(Some(rule(rate, burst)), None, born).unwrap();
            let (mut now, mut passed) = (Duration::ZERO, 0_u64);
            let a_step = 1_000 * 8_000_000 / rate;

            for _ in 0..20_000 {
                // Twice as much comes as may pass.
                now += Duration::from_micros(random.below(a_step).max(1));
                let length = 1 + random.below(2_000) as usize;
                passed += if once(&policer, length, born + now) { length as u64 } else { 0 };
                let allowed = burst + (now.as_secs_f64() * (rate / 8) as f64) as u64 + 1;
                assert!(passed <= allowed, "seed {seed}: {passed} of {allowed}");
            }

            let allowed = (now.as_secs_f64() * (rate / 8) as f64) as u64;
            assert!(passed * 100 >= allowed * 97, "seed {seed}: {passed} of {allowed}");
        }
    }

    #[test]
    fn of_a_train_the_first_datagrams_pass() {
        let born = Instant::now();
        let policer = Policer::new(Some(rule(8_000, 3_500)), None, born).unwrap();

        assert_eq!(policer.up([1_000; 5].into_iter(), born), 3);
        assert_eq!(policer.up([1_000; 5].into_iter(), born), 0);
        assert_eq!(policer.up([1_000; 5].into_iter(), born + Duration::from_secs(2)), 2);
        assert_eq!(policer.down([1_000; 500].into_iter(), born), 500, "that direction has no rate");
    }

    #[test]
    fn a_datagram_longer_than_the_burst_passes_after_a_pause_and_is_paid_for() {
        let born = Instant::now();
        let policer = Policer::new(Some(rule(8_000, 100)), None, born).unwrap();

        assert!(once(&policer, 1_400, born));
        assert!(!once(&policer, 1, born + Duration::from_millis(1_300)));
        assert!(once(&policer, 100, born + Duration::from_millis(1_400)));
        assert!(!once(&policer, 1_400, born + Duration::from_millis(1_450)));
    }

    #[test]
    fn what_the_shared_rate_refuses_costs_the_flow_nothing() {
        let born = Instant::now();
        let shared = Arc::new(Bandwidth::new(rule(8_000, 1_000), born));
        let flow = || Policer::new(Some(rule(8_000, 1_500)), Some(shared.clone()), born).unwrap();
        let (a, b) = (flow(), flow());

        assert!(once(&a, 1_000, born));
        assert!(!once(&b, 1_000, born), "the other has had it all");
        // Its own bucket is full still: after a second of the shared rate it has all that.
        assert!(once(&b, 1_000, born + Duration::from_secs(1)));
        assert!(Policer::new(None, None, born).is_none());
    }
}
