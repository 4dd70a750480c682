//! Tells what was measured: on the terminal, as JSON, as a picture.

pub(crate) mod json;
pub(crate) mod svg;
pub(crate) mod table;

use crate::figures::{Aim, Better, Column};
use crate::reading::Verdict;

/// A number with three significant digits or all of its integer part: `0.231`, `4.07`, `312`, `48 213`.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    if size < 0.0005 {
        return "0".to_owned();
    }
    match size {
        ..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        100.0..1_000.0 => format!("{value:.0}"),
        _ => grouped(value),
    }
}

/// Thousands apart by a space: it reads the same in every language.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn aim(column: &Column) -> String {
    let sign = if column.better == Better::Higher { '≥' } else { '≤' };
    match column.aim {
        Aim::None | Aim::Beside(_) => String::new(),
        Aim::Ratio(ratio) => format!("{sign} {ratio:.2}×"),
        Aim::AtMost(limit) => format!("≤ {limit}"),
    }
}

pub(crate) fn met(verdict: &Verdict) -> &'static str {
    match verdict.met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "cannot say",
    }
}
