//! Round after round, everybody once, in an order that changes.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::contestant::Contestant;
use crate::lineup::Lineup;
use crate::options::Options;
use crate::reading::{Miss, Reading, Sheet};
use crate::setting::Setting;
use crate::tell;
use crate::workload::{Measured, Scene, Workload};
use loopgate_load::{measure, spent};

/// A contestant that failed so often in a workload is left out of its other rounds.
const CHANCES: usize = 2;

/// So many times as many rounds as planned are made for a spread, and no more: what is not sure then has another reason.
const AT_MOST_TIMES: usize = 3;

pub(crate) struct Run {
    pub(crate) sheets: Vec<Sheet>,
    /// What was not done, and why.
    pub(crate) skipped: Vec<(&'static str, String)>,
    pub(crate) took: Duration,
}

pub(crate) fn run(
    workloads: &[&'static Workload],
    lineup: &Lineup,
    setting: &Setting,
    options: &Options,
    scratch: &Path,
) -> Run {
    let began = Instant::now();
    let mut run = Run { sheets: Vec::new(), skipped: Vec::new(), took: Duration::ZERO };
    let rounds = affordable_rounds(workloads, lineup, options);
    if rounds < options.rounds() {
        let why = format!("{rounds} instead of {}: more would not fit into the budget", options.rounds());
        run.skipped.push(("rounds", why));
    }
    for (index, workload) in workloads.iter().enumerate() {
        if let Some(why) = workload.missing() {
            run.skipped.push((workload.name, why));
        } else if began.elapsed() > options.budget() {
            run.skipped.push((workload.name, "the time is up".to_owned()));
        } else {
            let scene = Scene { setting, options, scratch };
            // Rounds are added from what the workloads to come do not need.
            let later = cost(&workloads[index + 1..], lineup, options, rounds);
            let end = began + options.budget().saturating_sub(later);
            let sheet = sheet(workload, lineup, &scene, workload.rounds(rounds), end);
            tell::table::sheet(&sheet, lineup, options.spread());
            run.sheets.push(sheet);
        }
    }
    run.took = began.elapsed();
    run
}

/// As many rounds as asked for, or as many as fit into the budget, but one.
fn affordable_rounds(workloads: &[&'static Workload], lineup: &Lineup, options: &Options) -> usize {
    let affordable = |rounds: &usize| cost(workloads, lineup, options, *rounds) <= options.budget();
    (1..=options.rounds()).rev().find(affordable).unwrap_or(1)
}

/// About how long so many rounds of these workloads take.
fn cost(workloads: &[&'static Workload], lineup: &Lineup, options: &Options, rounds: usize) -> Duration {
    let rounds = workloads.iter().map(|workload| {
        round_of(workload, lineup, options) * u32::try_from(workload.rounds(rounds)).unwrap_or(u32::MAX)
    });
    rounds.sum()
}

/// About how long one takes.
fn round_of(workload: &Workload, lineup: &Lineup, options: &Options) -> Duration {
    let takers = lineup.contestants.iter().filter(|contestant| workload.takes(contestant)).count();
    Duration::from_secs_f64(workload.seconds(options) * takers as f64)
}

/// As many rounds as planned; of small work more, while its medians are not sure enough and a round fits before `end`.
fn sheet(workload: &'static Workload, lineup: &Lineup, scene: &Scene, planned: usize, end: Instant) -> Sheet {
    let mut sheet = Sheet { workload, rounds: 0, readings: Vec::new(), misses: Vec::new() };
    let one_more = round_of(workload, lineup, scene.options);
    let not_sure = |sheet: &Sheet| {
        let bound = scene.options.spread().filter(|_| workload.is_small());
        bound.zip(sheet.spread()).is_some_and(|(bound, spread)| spread > bound)
    };
    while sheet.rounds < planned
        || sheet.rounds < AT_MOST_TIMES * planned && Instant::now() + one_more <= end && not_sure(&sheet)
    {
        add_round(&mut sheet, lineup, scene);
    }
    sheet
}

fn add_round(sheet: &mut Sheet, lineup: &Lineup, scene: &Scene) {
    let (workload, round) = (sheet.workload, sheet.rounds);
    sheet.rounds += 1;
    for contestant in order(lineup, round) {
        let misses = sheet.misses.iter().filter(|miss| miss.contestant == contestant.name).count();
        if !workload.takes(contestant) || misses >= CHANCES {
            continue;
        }
        let watch = Watch::start(&scene.setting.cpus);
        match workload.turn(contestant, scene) {
            Ok(Measured { figures, failures }) => {
                let (contestant, others) = (contestant.name, watch.share_of_others());
                sheet.readings.push(Reading { round, contestant, figures, others, failures });
            }
            Err(why) => {
                let why = why.to_string();
                sheet.misses.push(Miss { round, contestant: contestant.name, why });
            }
        }
    }
}

/// Watches whether the machine is ours: a turn beside somebody's compiler shows lower rates and says nothing.
struct Watch<'a> {
    cpus: &'a [usize],
    began: Instant,
    busy: f64,
    ours: f64,
}

impl Watch<'_> {
    fn start(cpus: &[usize]) -> Watch<'_> {
        Watch { cpus, began: Instant::now(), busy: measure::busy_seconds(cpus), ours: Watch::ours() }
    }

    /// To be asked when every group of the turn has ended.
    fn share_of_others(&self) -> f64 {
        let others = measure::busy_seconds(self.cpus) - self.busy - (Watch::ours() - self.ours);
        let whole = self.began.elapsed().as_secs_f64() * self.cpus.len() as f64;
        (others / whole).clamp(0.0, 1.0)
    }

    fn ours() -> f64 {
        spent() + measure::own_cpu_seconds()
    }
}

/// The same shuffle for the same round in every run: nobody always follows the same neighbour, and a run can be
/// repeated.
fn order(lineup: &Lineup, round: usize) -> Vec<&Contestant> {
    let mut order: Vec<&Contestant> = lineup.contestants.iter().collect();
    let mut state = round as u64 + 1;
    for last in (1..order.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (state >> 33) as usize % (last + 1));
    }
    order
}
