//! Which figures a workload gives: their names, which way is better, and what we aim at.

use std::collections::BTreeMap;

use serde::Serialize;

/// One turn's figures, by the key of their column.
pub(crate) type Figures = BTreeMap<&'static str, f64>;

/// One figure of a workload.
#[derive(Serialize)]
pub(crate) struct Column {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) better: Better,
    pub(crate) aim: Aim,
    /// Whether the table shows the lowest and the highest, too; the JSON always does.
    #[serde(skip)]
    pub(crate) extremes: bool,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
pub(crate) enum Better {
    Higher,
    Lower,
}

impl Better {
    /// Whether `one` is better than `other`.
    pub(crate) fn of(self, one: f64, other: f64) -> bool {
        match self {
            Better::Higher => one > other,
            Better::Lower => one < other,
        }
    }
}

#[derive(Clone, Copy, Serialize)]
pub(crate) enum Aim {
    None,
    /// Against the best other forwarder, in this column.
    Ratio(f64),
    AtMost(f64),
    /// Against each of these, in this column.
    Beside([(&'static str, f64); 4]),
}
