//! Sessions of different behaviour at one bucket, each run from a seed, with a clock that only the test moves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::units::seeded::Random;

/// What a session does with its turns.
#[derive(Clone, Copy)]
enum Temper {
    /// Uses each turn fully and takes the next at once.
    Greedy,
    /// Uses a part of each turn, and takes the next at once.
    Partly,
    /// Sends a little, then nothing for a while.
    Chatty,
}

/// What moved: when, whose, how much.
struct Moved {
    at: Duration,
    who: usize,
    bytes: u64,
}

/// Runs `tempers` at one bucket until `end`. Each is woken up to 3 ms late, as by a timer of a busy machine.
fn play(rate: Rate, tempers: &[Temper], end: Duration, seed: u64) -> (Bucket, Vec<Moved>) {
    let born = Instant::now();
    let bucket = Bucket::new(rate, None, born);
    let mut random = Random(seed);
    let mut moved = Vec::new();
    // Who acts next, and whether it has its turn or only requests one.
    let mut events: BinaryHeap<_> =
        (0..tempers.len()).map(|who| Reverse((Duration::ZERO, who, false))).collect();
    while let Some(Reverse((now, who, has_turn))) = events.pop().filter(|Reverse((now, ..))| *now < end) {
        if !has_turn {
            let turn = bucket.take(bucket.turn(), born + now).saturating_duration_since(born);
            let late = if turn > now { Duration::from_micros(random.below(3000)) } else { Duration::ZERO };
            events.push(Reverse((turn.max(now) + late, who, true)));
            continue;
        }
        let turn = bucket.turn();
        let (bytes, pause) = match tempers[who] {
            Temper::Greedy => (turn, Duration::ZERO),
            Temper::Partly => (1 + random.below(turn as u64) as usize, Duration::ZERO),
            Temper::Chatty => {
                ((1 + random.below(100) as usize).min(turn), Duration::from_millis(random.below(50)))
            }
        };
        bucket.give_back(turn, bytes);
        moved.push(Moved { at: now, who, bytes: bytes as u64 });
        events.push(Reverse((now + pause + Duration::from_nanos(1), who, false)));
    }
    (bucket, moved)
}

/// The largest excess over the rate in any span of time, in bytes.
fn largest_burst(moved: &[Moved], rate: Rate) -> u64 {
    let (mut level, mut last, mut most) = (0.0_f64, Duration::ZERO, 0.0_f64);
    for it in moved {
        level = (level - (it.at - last).as_secs_f64() * rate.bytes() as f64).max(0.0) + it.bytes as f64;
        (last, most) = (it.at, most.max(level));
    }
    most as u64
}

fn total(moved: &[Moved]) -> u64 {
    moved.iter().map(|it| it.bytes).sum()
}

/// From that of a telegraph on.
const RATES: [Rate; 8] = [
    Rate(8),
    Rate(400),
    Rate(2_400),
    Rate(64_000),
    Rate(1_000_000),
    Rate(10_000_000),
    Rate(1_000_000_000),
    Rate(40_000_000_000),
];

/// Long enough that the first burst is less than a tenth of a percent of it.
fn long(rate: Rate) -> Duration {
    Duration::from_secs(match rate.0 {
        1_000_000_000.. => 3,
        64_000.. => 300,
        _ => 50_000,
    })
}

#[test]
fn in_the_long_run_as_much_moves_as_the_rate_says() {
    use Temper::{Chatty, Greedy, Partly};
    for rate in RATES {
        for tempers in [&[Greedy][..], &[Greedy; 50], &[Greedy, Partly, Chatty, Greedy, Chatty], &[Partly; 7]]
        {
            let end = long(rate);
            let (bucket, moved) = play(rate, tempers, end, rate.0);

            let allowed = rate.bytes() as f64 * end.as_secs_f64();
            // The test's clock advances at least a nanosecond per step, which limits very high rates; that is no fault
            // of the bucket.
            let ratio = (total(&moved) as f64 - bucket.burst() as f64) / allowed;
            assert!((0.99..=1.001).contains(&ratio), "{rate}, {} sessions: {ratio}", tempers.len());
        }
    }
}

#[test]
fn no_span_of_time_has_more_than_the_rate_and_one_burst_in_it() {
    use Temper::{Chatty, Greedy, Partly};
    for rate in RATES {
        for seed in 0..20 {
            let tempers = [Greedy, Partly, Chatty, Chatty, Partly, Greedy, Chatty];
            let (bucket, moved) = play(rate, &tempers[..1 + seed as usize % 7], Duration::from_secs(5), seed);

            let burst = largest_burst(&moved, rate);
            assert!(burst <= bucket.burst(), "{rate}, seed {seed}: {burst}");
        }
    }
}

#[test]
fn sessions_that_always_want_more_get_equal_shares() {
    for rate in [Rate(1_000_000), Rate(10_000_000), Rate(1_000_000_000)] {
        let (bucket, moved) = play(rate, &[Temper::Greedy; 25], Duration::from_secs(60), 7);

        let mut shares = [0; 25];
        moved.iter().for_each(|it| shares[it.who] += it.bytes);
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        assert!(most - least <= 2 * bucket.turn() as u64, "{rate}: {least} to {most}");
    }
}

#[test]
fn a_chatty_session_waits_for_at_most_one_turn_of_each_other() {
    let rate = Rate(10_000_000);
    let mut tempers = [Temper::Greedy; 20];
    tempers[7] = Temper::Chatty;

    let (bucket, moved) = play(rate, &tempers, Duration::from_secs(60), 3);

    let turns: Vec<Duration> = moved.iter().filter(|it| it.who == 7).map(|it| it.at).collect();
    let one_turn = Duration::from_secs_f64(bucket.turn() as f64 / rate.bytes() as f64);
    // Its own pause, and the lateness of its wake-up.
    let most = one_turn * 20 + Duration::from_millis(50 + 3 + 1);
    assert!(turns.windows(2).all(|pair| pair[1] - pair[0] <= most), "more than {most:?}");
    assert!(turns.len() > 100, "it had {} turns", turns.len());
}

#[test]
fn a_pause_saves_up_one_burst_and_no_more() {
    let (rate, born) = (Rate(10_000_000), Instant::now());
    let bucket = Bucket::new(rate, None, born);

    let mut now = born;
    for pause in [0, 1, 3600] {
        now += Duration::from_secs(pause);
        let mut at_once = 0;
        while bucket.take(1000, now) <= now {
            at_once += 1000;
        }
        assert_eq!(at_once, 125_000, "after {pause} s");
        bucket.give_back(1000, 0);
    }
}

#[test]
fn what_is_taken_at_one_moment_by_many_threads_is_taken_once() {
    let now = Instant::now();
    let bucket = Bucket::new(Rate(8_000_000), None, now);

    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).map(|_| bucket.take(1000, now)).max());
        }
    });

    // 4,000,000 bytes at 1,000,000 a second, less the 100,000 that were there.
    assert_eq!(bucket.take(0, now) - now, Duration::from_millis(3900));
}

#[test]
fn a_burst_that_is_written_holds_whatever_the_rate() {
    let born = Instant::now();
    for (rate, burst) in [(8, 1), (8_000, 100), (1_000_000, 1500), (1_000_000, 8 << 20)] {
        let bucket = Bucket::new(Rate(rate), Some(Size(burst)), born);

        let mut at_once = 0;
        while bucket.take(1, born) <= born {
            at_once += 1;
        }

        assert_eq!(at_once, burst, "at {rate} bit/s");
        assert!((1..=burst).contains(&(bucket.turn() as u64)), "at {rate} bit/s");
    }
}

#[test]
fn a_turn_of_a_slow_rate_is_a_matter_of_seconds() {
    let born = Instant::now();
    for rate in [8, 300, 2_400, 7_999] {
        let bucket = Bucket::new(Rate(rate), None, born);

        let (turn, burst) = (bucket.turn() as u64 * 8, bucket.burst() * 8);

        assert!(turn <= 3 * rate && burst <= 20 * rate, "{turn} and {burst} bits at {rate} bit/s");
    }
}

#[test]
fn what_moved_without_a_turn_is_owed_for_a_minute_at_most() {
    let (born, minute) = (Instant::now(), Duration::from_secs(60));
    let slow = Bucket::new(Rate(8), Some(Size(1)), born);
    let fast = Bucket::new(Rate(8_000_000), Some(Size(1)), born);

    for bucket in [&slow, &fast] {
        bucket.owe(4 << 20, born);
        bucket.owe(4 << 20, born);
    }

    let wait = |bucket: &Bucket| bucket.take(0, born) - born;
    assert_eq!((wait(&slow), wait(&fast)), (minute, Duration::from_nanos(8_388_607_000)));
    // What waits already is not let off.
    let at = slow.take(100, born);
    slow.owe(1, born);
    assert!(slow.take(0, born) >= at);
}

#[test]
fn a_direction_without_a_rate_has_no_bucket() {
    let rule = BandwidthRule { down: None, ..Rate(8_000).into() };

    let Bandwidth { up, down } = Bandwidth::new(rule, Instant::now());

    assert!(up.is_some() && down.is_none());
}
