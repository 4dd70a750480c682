//! A report as a terminal shows it. Pure.

mod block;
mod chart;
mod look;
mod numbers;

use super::load::Load;
use super::report::Report;
use super::rounds::{Progress, Way};
use super::route::Through;
use super::setup::Target;
use crate::units::counted;
pub(crate) use look::Look;
use look::wrapped;

/// The width of the words before the heading's lines.
const LABEL: usize = 9;

impl Report {
    /// The whole report.
    pub(crate) fn text(&self, look: Look) -> String {
        let mut text = String::new();
        for (label, words) in self.heading() {
            text.push_str(&wrapped(&format!("{label:<LABEL$}"), &words, look.width()));
        }
        for sheet in &self.sheets {
            text.push('\n');
            block::write(sheet, self.has_detour(), look, &mut text);
        }
        let mut last: Vec<String> = self.price().into_iter().collect();
        last.extend(self.notes());
        for line in last {
            text.push('\n');
            text.push_str(&wrapped("", &line, look.width()));
        }
        text
    }

    fn heading(&self) -> Vec<(&'static str, String)> {
        let began = self.began.clone().unwrap_or_default();
        let target = match &self.target {
            Target::BuiltIn => "built in: one process sends, one echoes".to_owned(),
            Target::Service(place, service) => format!("{place}: {service}"),
        };
        let mut lines = vec![("target", target)];
        if self.has_detour() {
            let route = match &self.through {
                None => "a route on 127.0.0.1".to_owned(),
                Some(Through::Own { spec }) => format!("{spec}, on {}", began.through.join(", ")),
                Some(Through::Running { route, listen, .. }) => format!("route {route}, on {listen}"),
            };
            lines.push(("through", format!("{route}: {}", began.who)));
        }
        let machine = &self.machine;
        let processors =
            machine.processors.map_or("an unknown number of processors".to_owned(), |processors| {
                counted(processors, "processor")
            });
        let congestion = machine.congestion_control.as_deref().unwrap_or("unknown");
        lines.push((
            "machine",
            format!(
                "{processors}, shared by load, target and forwarder; Linux {}; net.ipv4.tcp_congestion_control={congestion}",
                machine.kernel
            ),
        ));
        let turns = if self.has_detour() { ", directly and through the route in turn" } else { "" };
        let rounds =
            format!("{} in {} s{turns}", counted(self.rounds as usize, "round"), numbers::seconds(self.took));
        let medians =
            if self.rounds > 1 { "; medians (lowest to highest)" } else { "; a longer --for makes more" };
        lines.push(("load", rounds + medians));
        lines
    }

    /// The detour in one sentence.
    fn price(&self) -> Option<String> {
        let costs = self.sheets.iter().filter_map(|sheet| {
            let detour = sheet.detour()?;
            Some(match sheet.load {
                Load::Requests(1) => format!("{} a request", numbers::signed_time(detour.p50_us?.median)),
                Load::Requests(_) => return None,
                Load::Connects { .. } => {
                    format!("{} a connection", numbers::signed_time(detour.time_us.median))
                }
                Load::Silent => format!("{} a connection", numbers::signed_time(detour.p50_us?.median)),
                _ => format!("{} with {}", numbers::percent(detour.rate_percent.median), sheet.load.name()),
            })
        });
        let costs: Vec<String> = costs.collect();
        (!costs.is_empty()).then(|| format!("The detour: {}.", costs.join(", ")))
    }
}

impl Progress {
    /// One line for a terminal.
    pub(crate) fn text(&self, columns: usize) -> String {
        let way = match self.way {
            None => "",
            Some(Way::Direct) => ", directly",
            Some(Way::Through) => ", through the route",
        };
        let percent = self.done * 100 / self.all.max(1);
        let text = format!("{percent:>3} %  round {} of {}: {}{way}", self.round + 1, self.rounds, self.what);
        text.chars().take(columns.saturating_sub(1)).collect()
    }
}

#[cfg(test)]
mod tests;
