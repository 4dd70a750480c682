//! The turns: every load directly and through the route, round after round.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use loopgate_load::{Fallible, PATIENCE, Span, Tally, measure as cost, spent};

use super::forwarder::Cost;
use super::load::{Ends, Load, Unit};
use super::setup::{Running, Setup, Target};

/// A turn in which nothing was done is taken again, so many times as long, until it was as long as this.
const LONGER: u32 = 4;
const LONG_ENOUGH: Duration = Duration::from_secs(1);

/// Directly, or through the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    Through,
}

/// What a bench tells while it runs.
pub(crate) struct Event(pub(super) Kind);

pub(super) enum Kind {
    /// All processes run; how the route's are known.
    Began(Began),
    /// The share of the processors that programs beside the bench took.
    Others(f64),
    /// The next turn.
    Turn(Progress),
    /// What a turn came to, or why it gave nothing.
    Read { load: usize, way: Way, round: u32, read: Result<Reading, String> },
}

/// What is known once the processes run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Began {
    /// The addresses of the target.
    pub(super) target: Vec<String>,
    /// The addresses of the route; empty if there is none.
    pub(super) through: Vec<String>,
    /// Who the forwarder is, and its processes.
    pub(super) who: String,
    pub(super) processes: Vec<i32>,
    pub(super) cpu: bool,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(super) round: u32,
    pub(super) rounds: u32,
    pub(super) what: String,
    pub(super) way: Option<Way>,
    /// Turns that are done, and all turns.
    pub(super) done: usize,
    pub(super) all: usize,
}

/// What one turn came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// Units a second.
    pub(super) rate: f64,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    pub(super) p999_us: Option<f64>,
    /// Seconds of the forwarder's CPU for one unit.
    pub(super) cpu: Option<f64>,
    /// What failed beside what was done: how often, and the most frequent reason.
    pub(super) failed: Option<(u64, String)>,
}

/// Measures; `tell` hears of every step.
///
/// # Errors
/// What a process said that could not start.
pub(crate) fn measure(setup: &Setup, mut tell: impl FnMut(Event)) -> Result<(), String> {
    let meter = Meter::start();
    let running = Running::start(setup)?;
    tell(Event(Kind::Began(began(&running))));
    let through = running.forwarder.as_ref();
    let ways: Vec<(Way, Ends, Option<&Cost>)> = [(Way::Direct, running.direct, None)]
        .into_iter()
        .chain(through.map(|forwarder| (Way::Through, forwarder.ends, Some(&forwarder.cost))))
        .collect();
    let rounds = setup.schedule.rounds;
    let all = setup.loads.len() * ways.len() * rounds as usize;
    let mut given_up: Vec<(usize, Way)> = Vec::new();
    let mut done = 0;
    for round in 0..rounds {
        for (load, what) in setup.loads.iter().enumerate() {
            for (way, ends, cost) in &ways {
                let told = (ways.len() > 1).then_some(*way);
                let progress = Progress { round, rounds, what: what.name(), way: told, done, all };
                tell(Event(Kind::Turn(progress)));
                done += 1;
                // Who answered nothing is not waited for again.
                if given_up.contains(&(load, *way)) {
                    continue;
                }
                let read = turn(*what, *ends, *cost, setup.schedule.span());
                if read.is_err() {
                    given_up.push((load, *way));
                }
                tell(Event(Kind::Read { load, way: *way, round, read }));
            }
        }
    }
    drop(running);
    // What a service and its forwarder took cannot be told from the others.
    if setup.target == Target::BuiltIn {
        tell(Event(Kind::Others(meter.others())));
    }
    Ok(())
}

/// What the machine did, and how much of it was the bench.
struct Meter {
    began: Instant,
    busy: f64,
}

impl Meter {
    fn start() -> Meter {
        Meter { began: Instant::now(), busy: Meter::busy() }
    }

    /// Busy seconds that were neither ours nor those of a child that has ended.
    fn busy() -> f64 {
        cost::machine_busy_seconds() - spent() - cost::own_cpu_seconds()
    }

    fn others(&self) -> f64 {
        let processors = thread::available_parallelism().map_or(1.0, |number| number.get() as f64);
        ((Meter::busy() - self.busy) / (self.began.elapsed().as_secs_f64() * processors)).clamp(0.0, 1.0)
    }
}

fn began(running: &Running) -> Began {
    let both = |ends: Ends| {
        let mut both = vec![ends.stream.to_string(), ends.exchange.to_string()];
        both.dedup();
        both
    };
    let target = both(running.direct);
    match &running.forwarder {
        None => Began { target, ..Began::default() },
        Some(forwarder) => Began {
            target,
            through: both(forwarder.ends),
            who: forwarder.cost.who(),
            processes: forwarder.cost.processes(),
            cpu: forwarder.cost.seconds().is_some(),
        },
    }
}

fn turn(load: Load, ends: Ends, cost: Option<&Cost>, span: Span) -> Result<Reading, String> {
    let mut span = span;
    loop {
        let before = cost.and_then(Cost::seconds);
        let began = Instant::now();
        let tally = played(load, ends, span).map_err(|error| error.to_string())?;
        let after = cost.and_then(Cost::seconds);
        let spent = before.zip(after).map(|(before, after)| after - before);
        // On a machine that has others to serve, a short turn may be over before the first answer.
        // One that was long all the same waited for a service that does nothing.
        let is_idle = began.elapsed() >= PATIENCE;
        let was_short = tally.measured == 0 && tally.failed.is_empty() && !is_idle;
        if !was_short || span.measured >= LONG_ENOUGH {
            return read(load, tally, spent);
        }
        span = Span { warm_up: span.warm_up * LONGER, measured: span.measured * LONGER };
    }
}

fn played(load: Load, ends: Ends, span: Span) -> Fallible<Tally> {
    let mut player = load.part(ends, span).start(Stdio::null())?;
    let tally: Result<Tally, String> = player.hear()?;
    Ok(tally?)
}

/// The reading of a tally. Pure.
fn read(load: Load, tally: Tally, spent: Option<f64>) -> Result<Reading, String> {
    let failures: u64 = tally.failed.values().sum();
    // Where no stream or connection lasted, the time is that of a load and the work is that of a part of it. (Short
    // connections are begun anew.)
    let none_lasted = load.unit() != Unit::Connections && failures >= load.at_once() as u64;
    let reason = tally.failed.into_iter().max_by_key(|(_, count)| *count).map(|(reason, _)| reason);
    if tally.measured == 0 || tally.seconds <= 0.0 || none_lasted {
        return Err(reason.unwrap_or_else(|| "nothing came through".to_owned()));
    }
    Ok(Reading {
        rate: tally.measured as f64 / tally.seconds,
        p50_us: tally.p50_us,
        p99_us: tally.p99_us,
        p999_us: tally.p999_us,
        cpu: spent.filter(|_| tally.all > 0).map(|seconds| seconds.max(0.0) / tally.all as f64),
        failed: reason.map(|reason| (failures, reason)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_shared_among_all_work_and_the_rate_is_that_of_the_measured_time() {
        let tally = Tally { all: 1000, measured: 800, seconds: 0.5, ..Tally::default() };

        let reading = read(Load::Take(1), tally, Some(0.01)).unwrap();

        assert_eq!((reading.rate, reading.cpu), (1600.0, Some(0.00001)));
    }

    #[test]
    fn streams_that_all_broke_have_no_rate_and_short_connections_have_one() {
        let broken = |failures| {
            let failed = [("closed".to_owned(), failures)].into();
            Tally { all: 1000, measured: 1000, seconds: 1.0, failed, ..Tally::default() }
        };

        assert_eq!(read(Load::Take(8), broken(8), None), Err("closed".to_owned()));
        assert_eq!(read(Load::Requests(1), broken(1), None), Err("closed".to_owned()));
        assert_eq!(read(Load::Requests(50), broken(49), None).map(|it| it.rate), Ok(1000.0));
        assert_eq!(read(Load::Silent, broken(300), None).map(|it| it.rate), Ok(1000.0));
    }

    #[test]
    fn work_that_only_failed_is_no_reading() {
        let failed = [("Connection refused".to_owned(), 7), ("timed out".to_owned(), 2)].into();
        let tally = Tally { failed, ..Tally::default() };

        assert_eq!(read(Load::Take(8), tally, None), Err("Connection refused".to_owned()));
    }
}
