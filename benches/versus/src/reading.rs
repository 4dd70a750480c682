//! What was measured, and what it says: medians, spreads, the best other forwarder, aims.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::contestant::DIRECT;
use crate::figures::{Aim, Column, Figures};
use crate::forwarders::OURS;
use crate::spread::spread;
use crate::workload::Workload;
use crate::yardstick::YARDSTICK;

/// One contestant's turn in one round.
#[derive(Serialize)]
pub(crate) struct Reading {
    pub(crate) round: usize,
    pub(crate) contestant: &'static str,
    pub(crate) figures: Figures,
    /// The share of the machine's CPU that programs other than the bench's took during the turn.
    pub(crate) others: f64,
    /// What went wrong within the turn, by cause.
    pub(crate) failures: BTreeMap<String, u64>,
}

/// A turn that gave no figures.
#[derive(Serialize)]
pub(crate) struct Miss {
    pub(crate) round: usize,
    pub(crate) contestant: &'static str,
    pub(crate) why: String,
}

/// All turns of one workload.
pub(crate) struct Sheet {
    pub(crate) workload: &'static Workload,
    pub(crate) rounds: usize,
    pub(crate) readings: Vec<Reading>,
    pub(crate) misses: Vec<Miss>,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// How sure the median is: see [`spread`].
    pub(crate) spread: Option<f64>,
}

/// What Loopgate may cost beside the yardstick.
pub(crate) const WITHIN: f64 = 1.15;

/// How Loopgate does in one column.
#[derive(Serialize)]
pub(crate) struct Verdict {
    pub(crate) ours: f64,
    pub(crate) best_other: Option<(&'static str, f64)>,
    /// Ours divided by the best other's.
    pub(crate) ratio: Option<f64>,
    /// None where there is no aim, or nobody to compare with.
    pub(crate) met: Option<bool>,
}

impl Sheet {
    pub(crate) fn summary(&self, contestant: &str, column: &Column) -> Option<Summary> {
        let theirs = self.readings.iter().filter(|reading| reading.contestant == contestant);
        summarize(theirs.filter_map(|reading| reading.figures.get(column.key).copied()).collect())
    }

    /// The best median among the other forwarders.
    fn best_other(&self, column: &Column) -> Option<(&'static str, f64)> {
        let mut others: Vec<&'static str> = self.readings.iter().map(|reading| reading.contestant).collect();
        others.sort_unstable();
        others.dedup();
        let others = others.into_iter().filter(|name| ![OURS, DIRECT, YARDSTICK].contains(name));
        let medians = others.filter_map(|name| Some((name, self.summary(name, column)?.median)));
        medians.reduce(|best, next| if column.better.of(next.1, best.1) { next } else { best })
    }

    pub(crate) fn verdict(&self, column: &Column) -> Option<Verdict> {
        let ours = self.summary(OURS, column)?.median;
        let best_other = self.best_other(column);
        let ratio = best_other.filter(|(_, best)| *best > 0.0).map(|(_, best)| ours / best);
        let met = match column.aim {
            Aim::None | Aim::Beside(_) => None,
            Aim::AtMost(limit) => Some(ours <= limit),
            Aim::Ratio(limit) => ratio.map(|ratio| !column.better.of(limit, ratio)),
        };
        Some(Verdict { ours, best_other, ratio, met })
    }

    /// The same against each that the column's aim names, and how much of its figure is the aim.
    pub(crate) fn beside(&self, column: &Column) -> Vec<(f64, Verdict)> {
        let Aim::Beside(others) = column.aim else { return Vec::new() };
        let Some(ours) = self.summary(OURS, column).map(|summary| summary.median) else { return Vec::new() };
        let verdicts = others.into_iter().filter_map(|(name, limit)| {
            let other = self.summary(name, column)?.median;
            let ratio = (other > 0.0).then(|| ours / other);
            let met = ratio.map(|ratio| !column.better.of(limit, ratio));
            Some((limit, Verdict { ours, best_other: Some((name, other)), ratio, met }))
        });
        verdicts.collect()
    }

    /// The widest spread among the medians that are compared: rates and CPU of Loopgate and of the best other. None where
    /// nobody is compared, or after a single round.
    pub(crate) fn spread(&self) -> Option<f64> {
        let spreads = self.workload.columns.iter().filter(|column| is_judged(column)).flat_map(|column| {
            let other = self.best_other(column).map(|(name, _)| name);
            [Some(OURS).filter(|_| other.is_some()), other]
                .into_iter()
                .flatten()
                .filter_map(|name| self.summary(name, column)?.spread)
        });
        spreads.reduce(f64::max)
    }

    /// The same against the yardstick, which is no other forwarder: only what work costs is compared.
    pub(crate) fn beside_yardstick(&self, column: &Column) -> Option<Verdict> {
        if column.key != "cpu" {
            return None;
        }
        let ours = self.summary(OURS, column)?.median;
        let yardstick = self.summary(YARDSTICK, column)?.median;
        let ratio = (yardstick > 0.0).then(|| ours / yardstick);
        let met = ratio.map(|ratio| ratio <= WITHIN);
        Some(Verdict { ours, best_other: Some((YARDSTICK, yardstick)), ratio, met })
    }
}

/// Whether a workload's spread is judged by this column: rates and CPU; the slowest of a hundred answers never settles.
fn is_judged(column: &Column) -> bool {
    matches!(column.key, "rate" | "cpu")
}

/// Median and extremes; with an even number of rounds the median lies between the middle two.
fn summarize(mut values: Vec<f64>) -> Option<Summary> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    };
    let spread = spread(&values, median);
    Some(Summary { median, low, high, spread })
}
