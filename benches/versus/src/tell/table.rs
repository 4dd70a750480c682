//! On the terminal: a table per workload as soon as it is measured, and the aims at the end.

use crate::figures::Aim;
use crate::forwarders::OURS;
use crate::lineup::Lineup;
use crate::machine::Machine;
use crate::options::Options;
use crate::reading::{Sheet, WITHIN};
use crate::rounds::Run;
use crate::setting::Setting;

use super::{aim, figure, met};

/// The share of the machine that other programs may take before a turn counts as disturbed.
const DISTURBED: f64 = 0.05;

pub(crate) fn opening(machine: &Machine, setting: &Setting, lineup: &Lineup, options: &Options) {
    println!("versus, {}: Linux {}, {}", machine.date, machine.kernel, machine.processor);
    println!("{setting}");
    if let Some(why) = setting.why_host() {
        println!("  no namespace of its own: {why}");
    }
    for contestant in &lineup.contestants {
        println!("  {}", [contestant.name, &contestant.version].join(" ").trim_end());
    }
    for (name, why) in &lineup.skipped {
        println!("  skipped: {name}: {why}");
    }
    let (warm_up, measured) = (options.warm_up().as_secs_f64(), options.measured().as_secs_f64());
    println!("rounds: {}; {warm_up:.2} s warm-up and {measured:.2} s measured per turn", options.rounds());
    if let Some(bound) = options.spread() {
        println!(
            "requests and short connections: more rounds until medians are known to within {}",
            percent(bound)
        );
    }
    println!("figures: the median [lowest .. highest] of the rounds");
    if options.smoke {
        println!("smoke: everything runs once and briefly; the figures mean nothing");
    }
}

/// One row per contestant, one column per figure with its extremes beside it.
pub(crate) fn sheet(sheet: &Sheet, lineup: &Lineup, bound: Option<f64>) {
    println!("\n{} ({}); rounds: {}", sheet.workload.title, sheet.workload.name, sheet.rounds);
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(sheet.workload.columns.iter().map(|column| column.title.to_owned()));
    for contestant in &lineup.contestants {
        if sheet.readings.iter().any(|reading| reading.contestant == contestant.name) {
            rows.push(row(sheet, contestant.name));
        }
    }
    print_aligned(&rows);
    if let Some(spread) = sheet.spread() {
        println!("  {}", self::spread(spread, bound.filter(|_| sheet.workload.is_small())));
    }
    for (contestant, cause, count) in failures(sheet) {
        println!("  {contestant}: {count} × {cause}");
    }
    let disturbed = sheet.readings.iter().filter(|reading| reading.others > DISTURBED).count();
    if disturbed > 0 {
        let most = sheet.readings.iter().map(|reading| reading.others).fold(0.0, f64::max) * 100.0;
        let turns = sheet.readings.len();
        println!(
            "  disturbed: other programs took up to {most:.0} % of the machine in {disturbed} of {turns} turns"
        );
    }
    for miss in &sheet.misses {
        println!("  {} gave no figures in round {}: {}", miss.contestant, miss.round + 1, miss.why);
    }
}

/// How sure the medians are that are compared, and whether that is as sure as was asked for.
fn spread(spread: f64, bound: Option<f64>) -> String {
    let told =
        format!("the medians of rate and CPU that are compared are known to within {}", percent(spread));
    match bound {
        Some(bound) if spread > bound => format!("spread of {} not reached: {told}", percent(bound)),
        _ => format!("spread: {told}"),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn row(sheet: &Sheet, contestant: &str) -> Vec<String> {
    let mut row = vec![contestant.to_owned()];
    for column in sheet.workload.columns {
        row.push(match sheet.summary(contestant, column) {
            None => "-".to_owned(),
            Some(summary) if !column.extremes || summary.low == summary.high => figure(summary.median),
            Some(summary) => {
                format!("{} [{} .. {}]", figure(summary.median), figure(summary.low), figure(summary.high))
            }
        });
    }
    row
}

/// What failed within turns, summed over the rounds.
fn failures(sheet: &Sheet) -> Vec<(&'static str, String, u64)> {
    let mut sums = std::collections::BTreeMap::<(&'static str, &str), u64>::new();
    for reading in &sheet.readings {
        for (cause, count) in &reading.failures {
            *sums.entry((reading.contestant, cause)).or_default() += count;
        }
    }
    sums.retain(|_, count| *count > 0);
    sums.into_iter().map(|((contestant, cause), count)| (contestant, cause.to_owned(), count)).collect()
}

/// Loopgate against the best other forwarder, wherever there is an aim; and what was left undone.
pub(crate) fn closing(run: &Run, lineup: &Lineup) {
    let mut rows = vec![["aims", "", OURS, "best other", "", "ratio", "aim", ""].map(str::to_owned).to_vec()];
    for sheet in &run.sheets {
        for column in sheet.workload.columns.iter().filter(|column| !matches!(column.aim, Aim::None)) {
            let verdicts = [
                sheet.verdict(column).map(|verdict| (verdict, aim(column))),
                sheet.beside_yardstick(column).map(|verdict| (verdict, format!("≤ {WITHIN:.2}×"))),
            ];
            let beside = sheet.beside(column).into_iter();
            let beside = beside.map(|(limit, verdict)| (verdict, format!("≤ {limit:.2}×")));
            let verdicts = verdicts.into_iter().flatten().filter(|_| !matches!(column.aim, Aim::Beside(_)));
            for (verdict, aim) in verdicts.chain(beside) {
                let (name, best) =
                    verdict.best_other.map_or(("-", String::new()), |(name, best)| (name, figure(best)));
                let ratio = verdict.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}×"));
                let cells = [sheet.workload.name, column.title, &figure(verdict.ours), &best, name, &ratio];
                let mut row = cells.map(str::to_owned).to_vec();
                row.extend([aim, met(&verdict).to_owned()]);
                rows.push(row);
            }
        }
    }
    println!();
    if rows.len() > 1 {
        print_aligned(&rows);
    } else {
        println!("no aim can be judged: loopgate gave no figures");
    }
    println!("\nall workloads took {} s", run.took.as_secs());
    for (name, why) in lineup.skipped.iter().chain(&run.skipped) {
        println!("skipped: {name}: {why}");
    }
}

/// The first cell of a row to the left, the others to the right.
fn print_aligned(rows: &[Vec<String>]) {
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column).unwrap_or(0);
            let cell = if column == 0 { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") };
            line.push_str(&cell);
        }
        println!("{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn a_spread_that_was_not_reached_is_said() {
        let told = "the medians of rate and CPU that are compared are known to within";
        assert_eq!(spread(0.031, Some(0.05)), format!("spread: {told} 3.1 %"));
        assert_eq!(spread(0.07, Some(0.05)), format!("spread of 5.0 % not reached: {told} 7.0 %"));
        assert_eq!(spread(0.07, None), format!("spread: {told} 7.0 %"));
    }
}
