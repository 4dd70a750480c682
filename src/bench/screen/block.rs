//! One load: a bar for each way, latencies, the detour.

use std::fmt::Write as _;

use super::chart::bar;
use super::look::{Look, wrapped};
use super::numbers::{cpu, percent, rate, signed, signed_three, signed_time, three};
use crate::bench::figures::{Detour, Figures, Summary};
use crate::bench::load::Unit;
use crate::bench::report::Sheet;
use crate::bench::rounds::Way;

/// The width of a bar's label, indented.
const LABEL: usize = 11;
/// From this width on, latencies stand behind the bar, not below it.
const WIDE: usize = 100;
/// The room for them there.
const LATENCIES: usize = 43;
/// Longer bars say no more.
const LONGEST: usize = 60;

pub(super) fn write(sheet: &Sheet, has_detour: bool, look: Look, text: &mut String) {
    let unit = sheet.load.unit();
    let _ = writeln!(text, "{}", look.bold(&sheet.load.name()));
    let direct = sheet.figures(Way::Direct);
    let through = sheet.figures(Way::Through).filter(|_| has_detour);
    let both: Vec<&Figures> = direct.iter().chain(&through).collect();
    let values =
        both.iter().map(|figures| rate(unit, figures.rate.median).chars().count()).max().unwrap_or(0);
    let most = both.iter().map(|figures| figures.rate.median).fold(0.0, f64::max);
    let is_wide = look.width() >= WIDE && both.iter().any(|figures| figures.p50_us.is_some());
    let room = look.width() - LABEL - values - 2 - if is_wide { LATENCIES } else { 0 };
    let row = Row { unit, most, bars: room.min(LONGEST), values, is_wide, look };
    row.write("direct", 34, direct.as_ref(), sheet.why_not(Way::Direct), text);
    if let Some(spread) =
        direct.map(|figures| figures.rate).filter(|rate| !has_detour && rate.low < rate.high)
    {
        let _ = writeln!(text, "  rounds   {} to {}", rate(unit, spread.low), rate(unit, spread.high));
    }
    if has_detour {
        row.write("through", 36, through.as_ref(), sheet.why_not(Way::Through), text);
    }
    if let Some(detour) = sheet.detour() {
        let at_once = sheet.load.at_once();
        let price = price(unit, at_once, detour, through.and_then(|figures| figures.cpu_seconds));
        text.push_str(&wrapped(&format!("{:<LABEL$}", "  detour"), &price, look.width()));
    }
}

struct Row {
    unit: Unit,
    most: f64,
    bars: usize,
    values: usize,
    is_wide: bool,
    look: Look,
}

impl Row {
    fn write(
        &self,
        label: &str,
        colour: u8,
        figures: Option<&Figures>,
        why: Option<&str>,
        text: &mut String,
    ) {
        let Some(figures) = figures else {
            let why = format!("not measured: {}", why.unwrap_or("the bench ended before"));
            text.push_str(&wrapped(&format!("  {label:<9}"), &why, self.look.width()));
            return;
        };
        let drawn = bar(figures.rate.median, self.most, self.bars);
        let gap = " ".repeat(self.bars - drawn.chars().count());
        let drawn = if self.look.colour { format!("\x1b[{colour}m{drawn}\x1b[0m") } else { drawn };
        let value = rate(self.unit, figures.rate.median);
        let _ = write!(text, "  {label:<9}{drawn}{gap}  {value:>width$}", width = self.values);
        match latencies(figures) {
            Some([p50, p99, p999]) if self.is_wide => {
                let _ = writeln!(text, "  p50 {p50:>6}  p99 {p99:>7}  p99.9 {p999:>7} µs");
            }
            Some([p50, p99, p999]) => _ = write!(text, "\n    p50 {p50}  p99 {p99}  p99.9 {p999} µs\n"),
            None => text.push('\n'),
        }
    }
}

/// Those of half, of 99 and of 99.9 per cent of the answers.
fn latencies(figures: &Figures) -> Option<[String; 3]> {
    let at = |summary: Option<Summary>| summary.map(|summary| three(summary.median));
    Some([at(figures.p50_us)?, at(figures.p99_us)?, at(figures.p999_us)?])
}

/// `+31.4 µs (+29.0 to +33.1), -51.6 %, CPU 7.10 µs each`
fn price(unit: Unit, at_once: usize, detour: Detour, spent: Option<Summary>) -> String {
    let spread = |summary: Summary, words: fn(f64) -> String| match summary.low == summary.high {
        true => String::new(),
        false => format!(" ({} to {})", words(summary.low), words(summary.high)),
    };
    let change = detour.rate_percent;
    let mut parts = match (unit, detour.p50_us) {
        (Unit::Bytes, _) => vec![format!("{}{}", percent(change.median), spread(change, signed))],
        // One at a time: what a client waits longer. Of many at once, each waits for the others as well.
        (_, Some(later)) if at_once == 1 => {
            vec![
                format!("{}{}", signed_time(later.median), spread(later, signed_three)),
                percent(change.median),
            ]
        }
        _ => {
            let time = detour.time_us;
            vec![
                format!("{} each{}", signed_time(time.median), spread(time, signed_three)),
                percent(change.median),
            ]
        }
    };
    parts.extend(spent.map(|spent| format!("CPU {}", cpu(unit, spent.median))));
    parts.join(", ")
}
