//! Thousands of generated lives of a route's admission, each from a seed, compared with a model too simple to be wrong.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::outcome::Limit;
use crate::units::Frequency;
use crate::units::seeded::Random;

const SEEDS: u64 = 2_000;
const STEPS: usize = 200;

impl Random {
    fn maybe(&mut self, most: u64) -> Option<usize> {
        (self.below(3) > 0).then(|| 1 + self.below(most) as usize)
    }

    fn limits(&mut self) -> EntryLimits {
        let burst = 1 + self.below(20) as u32;
        let rate = |count: Option<usize>| {
            let frequency = format!("{}/s", count?).parse::<Frequency>().unwrap();
            Some(Allowance { burst, ..frequency.into() })
        };
        EntryLimits {
            most: self.maybe(6),
            most_per_client: self.maybe(3),
            rate: rate(self.maybe(20)),
            rate_per_client: rate(self.maybe(5)),
            full: [WhenFull::Refuse, WhenFull::Queue, WhenFull::EvictIdle][self.below(3) as usize],
            queue: 1 + self.below(4) as usize,
            queue_timeout: Duration::from_secs(1),
            dry_run: false,
        }
    }
}

/// What the model knows about a session with a place.
struct Seated {
    client: IpAddr,
    /// Its bytes, and when the last of them moved; `None` before it may be evicted.
    moved: Option<(u64, Instant)>,
    is_ending: bool,
}

struct Life {
    admission: Admission,
    limits: EntryLimits,
    seated: HashMap<Number, Seated>,
    waiting: VecDeque<(Number, IpAddr)>,
    now: Instant,
    polled: Instant,
}

impl Life {
    fn step(&mut self, random: &mut Random) {
        match random.below(20) {
            0..8 => self.comes(random),
            8..11 => self.goes(random),
            11 => self.gives_up(random),
            12..15 => self.moves(random),
            15..18 => self.now += Duration::from_millis(random.below(200)),
            18 => self.settle(),
            _ => {
                self.limits = random.limits();
                self.admission.adopt(self.now, &self.limits);
                self.let_in();
            }
        }
    }

    fn comes(&mut self, random: &mut Random) {
        let client = IpAddr::from([10, 0, 0, random.below(4) as u8]);
        let bytes: HashMap<Number, u64> =
            self.seated.iter().filter_map(|(n, it)| Some((*n, it.moved?.0))).collect();
        let has = self.of(client);
        let answer =
            self.admission.ask(Some(client.into()), self.now, &self.limits, &|number| bytes[&number]);
        let is_full = self.limits.most.is_some_and(|most| self.seated.len() >= most);
        if let Answer::In(_) | Answer::Wait(..) = answer {
            assert!(self.limits.most_per_client.is_none_or(|most| has < most));
        }
        match answer {
            Answer::In(number) => {
                assert!(!is_full && self.waiting.is_empty());
                self.seated.insert(number, Seated { client, moved: None, is_ending: false });
            }
            Answer::Wait(number, evicted) => {
                assert!(is_full || !self.waiting.is_empty());
                match self.limits.full {
                    WhenFull::Refuse => panic!("no client waits where the full route refuses"),
                    WhenFull::Queue => assert!(self.waiting.len() < self.limits.queue && evicted.is_empty()),
                    WhenFull::EvictIdle => evicted.iter().for_each(|number| self.is_evicted(*number)),
                }
                self.waiting.push_back((number, client));
            }
            Answer::Out(limit) => self.is_right(limit, is_full, has),
            Answer::Over(..) => panic!("this is no dry run"),
        }
    }

    fn is_right(&self, limit: Limit, is_full: bool, has: usize) {
        match limit {
            Limit::PerClient => assert!(self.limits.most_per_client.is_some_and(|most| has >= most)),
            Limit::Rate => assert!(self.limits.rate.is_some()),
            Limit::RatePerClient => assert!(self.limits.rate_per_client.is_some()),
            Limit::Connections => assert!(is_full || !self.waiting.is_empty()),
            Limit::Queue => assert!(self.waiting.len() >= self.limits.queue),
            Limit::NobodyIdle => assert!(is_full),
            Limit::QueueTimeout => panic!("time is not decided here"),
            Limit::Handshakes | Limit::Target => panic!("it is no limit of a route"),
        }
    }

    /// A session that has not moved bytes since the last poll is evicted before one that has.
    fn is_evicted(&mut self, number: Number) {
        let last = |it: &Seated| it.moved.filter(|_| !it.is_ending).map(|(_, at)| at);
        let polled = self.polled;
        let is_any_idle = self.seated.values().any(|it| last(it).is_some_and(|at| at < polled));
        let evicted = self.seated.get_mut(&number).expect("an evicted session has a place");
        let moved = last(evicted).expect("an evicted session was moving bytes, and was not ending yet");
        assert!(moved <= polled || !is_any_idle);
        evicted.is_ending = true;
    }

    fn goes(&mut self, random: &mut Random) {
        let Some(number) = self.any(random) else { return };
        let gone = self.seated.remove(&number).unwrap();
        assert!(self.admission.leave(number, Some(gone.client.into()), self.now));
        self.let_in();
    }

    fn gives_up(&mut self, random: &mut Random) {
        if self.waiting.is_empty() {
            return;
        }
        let at = random.below(self.waiting.len() as u64) as usize;
        let (number, client) = self.waiting.remove(at).unwrap();
        assert!(!self.admission.leave(number, Some(client.into()), self.now));
    }

    fn moves(&mut self, random: &mut Random) {
        let Some(number) = self.any(random) else { return };
        let seated = self.seated.get_mut(&number).unwrap();
        match &mut seated.moved {
            None => {
                seated.moved = Some((0, self.now));
                self.admission.moves(number, self.now);
            }
            Some(moved) => *moved = (moved.0 + 1, self.now),
        }
    }

    fn settle(&mut self) {
        let bytes: HashMap<Number, u64> =
            self.seated.iter().filter_map(|(n, it)| Some((*n, it.moved?.0))).collect();
        self.admission.settle(self.now, &|number| bytes[&number]);
        self.polled = self.now;
    }

    /// The first to wait is the first to enter.
    fn let_in(&mut self) {
        while let Some(number) = self.admission.next(&self.limits) {
            assert!(self.limits.most.is_none_or(|most| self.seated.len() < most));
            let (first, client) = self.waiting.pop_front().unwrap();
            assert_eq!(number, first);
            self.seated.insert(number, Seated { client, moved: None, is_ending: false });
        }
    }

    fn of(&self, client: IpAddr) -> usize {
        let seated = self.seated.values().map(|it| it.client);
        seated.chain(self.waiting.iter().map(|(_, client)| *client)).filter(|it| *it == client).count()
    }

    fn any(&self, random: &mut Random) -> Option<Number> {
        let mut numbers: Vec<_> = self.seated.keys().copied().collect();
        numbers.sort_unstable();
        (!numbers.is_empty()).then(|| numbers[random.below(numbers.len() as u64) as usize])
    }

    fn end(mut self, random: &mut Random) {
        while !self.seated.is_empty() || !self.waiting.is_empty() {
            self.goes(random);
            self.gives_up(random);
        }
        self.admission.settle(self.now + Duration::from_secs(30), &|_| 0);
        assert_eq!((self.admission.count(), self.admission.remembered()), ((0, 0), 0));
    }
}

#[test]
fn whatever_comes_and_goes_no_limit_is_passed_and_nothing_is_left() {
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let now = Instant::now();
        let mut life = Life {
            admission: Admission::default(),
            limits: random.limits(),
            seated: HashMap::new(),
            waiting: VecDeque::new(),
            now,
            polled: now,
        };
        for _ in 0..STEPS {
            life.step(&mut random);
            assert_eq!(life.admission.count(), (life.seated.len(), life.waiting.len()), "seed {seed}");
        }
        life.end(&mut random);
    }
}

#[test]
fn a_client_that_connects_too_often_takes_nothing_from_the_others() {
    let (mut admission, start) = (Admission::default(), Instant::now());
    let rate = |text: &str| Some(text.parse::<Frequency>().unwrap().into());
    let limits = EntryLimits { rate: rate("100/s"), rate_per_client: rate("10/s"), ..EntryLimits::default() };
    let mut ask = |last: u8, at: Instant| {
        let client = IpAddr::from([10, 0, 0, last]);
        admission.ask(Some(client.into()), at, &limits, &|_| 0)
    };

    let flood: Vec<_> = (0..1000).map(|_| ask(1, start)).collect();

    assert_eq!(flood.iter().filter(|answer| matches!(answer, Answer::In(_))).count(), 10);
    assert_eq!(flood[999], Answer::Out(Limit::RatePerClient));
    for other in 2..11 {
        assert!(matches!(ask(other, start), Answer::In(_)));
    }
}

#[test]
fn a_smaller_route_ends_as_many_as_a_new_client_needs() {
    let (mut admission, now) = (Admission::default(), Instant::now());
    let mut limits = EntryLimits { most: Some(4), full: WhenFull::EvictIdle, ..EntryLimits::default() };
    for number in 0..4 {
        assert_eq!(admission.ask(None, now, &limits, &|_| 0), Answer::In(number));
        admission.moves(number, now);
    }

    limits.most = Some(2);
    admission.adopt(now, &limits);

    assert_eq!(admission.ask(None, now, &limits, &|_| 0), Answer::Wait(4, vec![0, 1, 2]));
    for evicted in 0..3 {
        assert_eq!(admission.next(&limits), None);
        assert!(admission.leave(evicted, None, now));
    }
    assert_eq!((admission.next(&limits), admission.next(&limits)), (Some(4), None));
}

#[test]
fn a_dry_run_is_over_exactly_where_the_limits_would_refuse() {
    for seed in 0..500 {
        let mut random = Random(seed);
        let real = EntryLimits { full: WhenFull::Refuse, ..random.limits() };
        let dry = EntryLimits { dry_run: true, ..real.clone() };
        let (mut refusing, mut trying) = (Admission::default(), Admission::default());
        let mut now = Instant::now();
        // Those in both, and those that only the dry run has let in.
        let (mut both, mut over) = (Vec::<(Number, Number, IpAddr)>::new(), Vec::<(Number, IpAddr)>::new());
        for _ in 0..200 {
            now += Duration::from_millis(random.below(300));
            let client = IpAddr::from([10, 0, 0, random.below(4) as u8]);
            match random.below(4) {
                0 if !both.is_empty() => {
                    let (a, b, client) = both.swap_remove(random.below(both.len() as u64) as usize);
                    assert!(
                        refusing.leave(a, Some(client.into()), now)
                            && trying.leave(b, Some(client.into()), now)
                    );
                }
                1 if !over.is_empty() => {
                    let (number, client) = over.swap_remove(random.below(over.len() as u64) as usize);
                    assert!(!trying.leave(number, Some(client.into()), now), "it had no place");
                }
                _ => match (
                    refusing.ask(Some(client.into()), now, &real, &|_| 0),
                    trying.ask(Some(client.into()), now, &dry, &|_| 0),
                ) {
                    (Answer::In(a), Answer::In(b)) => both.push((a, b, client)),
                    (Answer::Out(limit), Answer::Over(number, same)) if limit == same => {
                        over.push((number, client));
                    }
                    other => panic!("seed {seed}: {other:?}"),
                },
            }
        }

        // Once it is no dry run any more, all of them count.
        trying.adopt(now, &real);
        assert_eq!(trying.count(), (both.len() + over.len(), 0));
        let later = now + Duration::from_secs(30);
        both.into_iter()
            .for_each(|(_, number, client)| assert!(trying.leave(number, Some(client.into()), later)));
        over.into_iter()
            .for_each(|(number, client)| assert!(trying.leave(number, Some(client.into()), later)));
        trying.settle(later, &|_| 0);
        assert_eq!((trying.count(), trying.remembered()), ((0, 0), 0));
    }
}

#[test]
fn who_waits_enters_when_the_limits_become_a_dry_run() {
    let (mut admission, now) = (Admission::default(), Instant::now());
    let mut limits = EntryLimits { most: Some(1), full: WhenFull::Queue, ..EntryLimits::default() };
    assert_eq!(admission.ask(None, now, &limits, &|_| 0), Answer::In(0));
    assert_eq!(admission.ask(None, now, &limits, &|_| 0), Answer::Wait(1, vec![]));

    limits.dry_run = true;
    admission.adopt(now, &limits);

    assert_eq!((admission.next(&limits), admission.next(&limits)), (Some(1), None));
    assert_eq!(admission.ask(None, now, &limits, &|_| 0), Answer::Over(2, Limit::Connections));
}
