//! The chart `versus.svg`: one small panel per figure, one bar per forwarder.
//!
//! It carries its own background and both sets of colours, so that it can be read on a light and on a dark page.

use std::fmt::Write;

use crate::contestant::DIRECT;
use crate::figures::{Better, Column};
use crate::forwarders::OURS;
use crate::lineup::Lineup;
use crate::machine::Machine;
use crate::options::Options;
use crate::reading::Sheet;
use crate::rounds::Run;
use crate::setting::Setting;

use super::figure;

/// Which figures are shown, in this order, as far as they were measured: workload, column, title.
const PANELS: [(&str, &str, &str); 16] = [
    ("bulk-1", "rate", "1 stream, GB/s"),
    ("bulk-1", "all", "1 stream, CPU s per GB of all"),
    ("bulk-8", "rate", "8 streams, GB/s"),
    ("bulk-8", "all", "8 streams, CPU s per GB of all"),
    ("bulk-up-1", "rate", "1 stream up, GB/s"),
    ("bulk-up-1", "all", "1 stream up, CPU s per GB of all"),
    ("bulk-up-8", "rate", "8 streams up, GB/s"),
    ("bulk-up-8", "all", "8 streams up, CPU s per GB of all"),
    ("request-50", "rate", "50 clients, requests/s"),
    ("request-50", "p99", "50 clients, p99 in µs"),
    ("request-50", "cpu", "50 clients, CPU µs per request"),
    ("request-50x16", "cpu", "pipelined, CPU µs per request"),
    ("connect", "rate", "short connections/s"),
    ("connect", "cpu", "CPU µs per connection"),
    ("idle", "memory", "kB per idle connection"),
    ("routes", "start", "ms to start 1,000 routes"),
];

const ACROSS: usize = 4;
const PANEL: f64 = 236.0;
const GAP: f64 = 24.0;
const MARGIN: f64 = 24.0;
const HEAD: f64 = 108.0;
const PANEL_HEAD: f64 = 40.0;
const ROW: f64 = 21.0;
/// Where bars begin, after the names; and how long the longest is, which leaves room for its figure.
const NAMES: f64 = 68.0;
const LONGEST: f64 = 110.0;

const STYLE: &str = "\
  text { font: 12px -apple-system, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', sans-serif; fill: #3b4350 }
  .page { fill: #ffffff; stroke: #d9dee5 }
  .title { font-size: 17px; font-weight: 600; fill: #14181f }
  .panel { font-weight: 600; fill: #14181f }
  .quiet { font-size: 11px; fill: #6b7480 }
  .bar { fill: #b9c2cd }
  .ours { fill: #0f7b6c }
  .name { font-weight: 600; fill: #0b5e52 }
  @media (prefers-color-scheme: dark) {
    text { fill: #c3cad4 }
    .page { fill: #12161c; stroke: #2c343f }
    .title, .panel { fill: #f0f3f7 }
    .quiet { fill: #8c96a3 }
    .bar { fill: #4a5563 }
    .ours { fill: #2fb8a3 }
    .name { fill: #5fd6c3 }
  }
";

/// One panel's bars, best first.
struct Panel {
    title: &'static str,
    better: Better,
    bars: Vec<(&'static str, f64)>,
    direct: Option<f64>,
}

pub(crate) fn chart(
    machine: &Machine,
    setting: &Setting,
    lineup: &Lineup,
    run: &Run,
    options: &Options,
) -> String {
    let panels: Vec<Panel> = PANELS
        .iter()
        .filter_map(|(workload, key, title)| {
            let sheet = run.sheets.iter().find(|sheet| sheet.workload.name == *workload)?;
            let column = sheet.workload.columns.iter().find(|column| column.key == *key)?;
            panel(sheet, column, title, lineup)
        })
        .collect();
    let tallest = panels.iter().map(|panel| panel.bars.len()).max().unwrap_or(0);
    let height_of_panel = PANEL_HEAD + tallest as f64 * ROW + GAP;
    let width = 2.0 * MARGIN + ACROSS as f64 * PANEL + (ACROSS - 1) as f64 * GAP;
    let height = HEAD + panels.len().div_ceil(ACROSS) as f64 * height_of_panel + MARGIN / 2.0 - GAP / 2.0;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\">\n<title>Loopgate beside other forwarders</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n",
        width - 1.0,
        height - 1.0
    );
    text(&mut svg, MARGIN, 35.0, "title", "Loopgate beside other forwarders");
    text(&mut svg, MARGIN, 54.0, "quiet", &circumstances(machine, run, options));
    text(&mut svg, MARGIN, 70.0, "quiet", &setting.to_string());
    text(&mut svg, MARGIN, 86.0, "quiet", &versions(lineup));
    for (index, panel) in panels.iter().enumerate() {
        let x = MARGIN + (index % ACROSS) as f64 * (PANEL + GAP);
        let y = HEAD + (index / ACROSS) as f64 * height_of_panel;
        draw(&mut svg, panel, x, y);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(sheet: &Sheet, column: &Column, title: &'static str, lineup: &Lineup) -> Option<Panel> {
    let median = |name: &str| sheet.summary(name, column).map(|summary| summary.median);
    let forwarders = lineup.contestants.iter().filter(|contestant| contestant.name != DIRECT);
    let bars = forwarders.filter_map(|contestant| Some((contestant.name, median(contestant.name)?)));
    let mut bars: Vec<(&'static str, f64)> = bars.collect();
    bars.sort_by(|one, other| match column.better {
        Better::Higher => other.1.total_cmp(&one.1),
        Better::Lower => one.1.total_cmp(&other.1),
    });
    let direct = median(DIRECT);
    (!bars.is_empty()).then_some(Panel { title, better: column.better, bars, direct })
}

fn circumstances(machine: &Machine, run: &Run, options: &Options) -> String {
    let rounds = run.sheets.iter().map(|sheet| sheet.rounds).max().unwrap_or(0);
    let how = if options.smoke { " · a smoke run: the figures mean nothing" } else { "" };
    format!("{} · Linux {} · medians of up to {rounds} interleaved rounds{how}", machine.date, machine.kernel)
}

fn versions(lineup: &Lineup) -> String {
    let forwarders = lineup.contestants.iter().filter(|contestant| contestant.name != DIRECT);
    // What follows a hyphen is a distribution's own numbering.
    let short = |version: &str| version.split('-').next().unwrap_or_default().to_owned();
    let versions = forwarders.map(|contestant| format!("{} {}", contestant.name, short(&contestant.version)));
    versions.collect::<Vec<_>>().join(", ")
}

fn draw(svg: &mut String, panel: &Panel, x: f64, y: f64) {
    let wanted = if panel.better == Better::Higher { "longer is better" } else { "shorter is better" };
    let direct = panel.direct.map_or_else(String::new, |direct| format!(" · direct {}", figure(direct)));
    text(svg, x, y + 12.0, "panel", panel.title);
    text(svg, x, y + 28.0, "quiet", &format!("{wanted}{direct}"));
    let most = panel.bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    for (index, (name, value)) in panel.bars.iter().enumerate() {
        let top = y + PANEL_HEAD + index as f64 * ROW;
        let length = (value.max(0.0) / most * LONGEST).max(1.5);
        let (bar, label) = if *name == OURS { ("bar ours", "name") } else { ("bar", "") };
        text(svg, x, top + 11.5, label, name);
        let left = x + NAMES;
        let _ = writeln!(
            svg,
            "<rect class=\"{bar}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"15\" rx=\"2\"/>"
        );
        text(svg, left + length + 6.0, top + 11.5, label, &figure(*value));
    }
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
}
