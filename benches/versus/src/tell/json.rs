//! Everything that was measured, round by round, with what it was measured on.

use serde_json::{Map, Value, json};

use crate::contestant::Contestant;
use crate::figures::Column;
use crate::lineup::Lineup;
use crate::machine::Machine;
use crate::options::Options;
use crate::reading::{Sheet, Verdict};
use crate::rounds::Run;
use crate::setting::Setting;

pub(crate) fn document(
    machine: &Machine,
    setting: &Setting,
    lineup: &Lineup,
    run: &Run,
    options: &Options,
) -> String {
    let skipped = lineup.skipped.iter().chain(&run.skipped);
    let skipped: Vec<Value> = skipped.map(|(name, why)| json!({ "name": name, "why": why })).collect();
    let document = json!({
        "schema": "loopgate.versus/1",
        "machine": machine,
        "setting": setting,
        "contestants": lineup.contestants.iter().map(contestant).collect::<Vec<_>>(),
        "skipped": skipped,
        "smoke": options.smoke,
        "spread": options.spread(),
        "warm_up_s": options.warm_up().as_secs_f64(),
        "measured_s": options.measured().as_secs_f64(),
        "took_s": run.took.as_secs_f64(),
        "workloads": run.sheets.iter().map(|sheet| workload(sheet, lineup)).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn contestant(contestant: &Contestant) -> Value {
    let program = contestant.forwarder.as_ref().map(|(_, program)| program.display().to_string());
    json!({ "name": contestant.name, "version": contestant.version, "program": program })
}

fn workload(sheet: &Sheet, lineup: &Lineup) -> Value {
    let mut summaries = Map::new();
    for contestant in &lineup.contestants {
        let figures = sheet.workload.columns.iter().filter_map(|column| {
            let summary = sheet.summary(contestant.name, column)?;
            Some((column.key.to_owned(), json!(summary)))
        });
        let figures: Map<String, Value> = figures.collect();
        if !figures.is_empty() {
            summaries.insert(contestant.name.to_owned(), figures.into());
        }
    }
    let of_columns = |verdict: fn(&Sheet, &Column) -> Option<Verdict>| -> Map<String, Value> {
        let columns = sheet.workload.columns.iter();
        columns.filter_map(|column| Some((column.key.to_owned(), json!(verdict(sheet, column)?)))).collect()
    };
    let each = |(aim, verdict): (f64, Verdict)| json!({ "aim": aim, "verdict": verdict });
    let beside = sheet.workload.columns.iter().filter_map(|column| {
        let beside: Vec<Value> = sheet.beside(column).into_iter().map(each).collect();
        (!beside.is_empty()).then(|| (column.key.to_owned(), beside.into()))
    });
    let beside: Map<String, Value> = beside.collect();
    json!({
        "name": sheet.workload.name,
        "title": sheet.workload.title,
        "columns": sheet.workload.columns,
        "rounds": sheet.rounds,
        "spread": sheet.spread(),
        "summaries": summaries,
        "verdicts": of_columns(Sheet::verdict),
        "beside_yardstick": of_columns(Sheet::beside_yardstick),
        "beside": beside,
        "readings": sheet.readings,
        "misses": sheet.misses,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;
    use crate::contestant::DIRECT;
    use crate::figures::Figures;
    use crate::forwarders::{self, OURS};
    use crate::reading::Reading;
    use crate::workload::chosen;

    /// Of two forwarders: one carries twice as much for half the CPU of all.
    fn readings() -> Vec<Reading> {
        let readings =
            [(OURS, 2.0, 1.0), ("haproxy", 1.0, 2.0)].into_iter().flat_map(|(contestant, rate, all)| {
                [1.0, 1.25, 0.75].into_iter().enumerate().map(move |(round, noise)| Reading {
                    round,
                    contestant,
                    figures: Figures::from([
                        ("rate", rate * noise),
                        ("all", all),
                        ("client", 0.25),
                        ("target", 0.5),
                    ]),
                    others: 0.0,
                    failures: BTreeMap::new(),
                })
            });
        readings.collect()
    }

    #[test]
    fn a_workload_tells_medians_with_their_extremes_and_spread_the_cpu_of_everybody_and_the_verdict() {
        let options = Options::parse_from(["versus", "--only", "bulk-1"]);
        let sheet = Sheet {
            workload: chosen(&options).unwrap()[0],
            rounds: 3,
            readings: readings(),
            misses: Vec::new(),
        };
        let others = forwarders::all().filter(|forwarder| [OURS, "haproxy"].contains(&forwarder.name));
        let others = others.map(|forwarder| Contestant {
            name: forwarder.name,
            version: String::new(),
            forwarder: Some((forwarder, PathBuf::new())),
        });
        let direct = Contestant { name: DIRECT, version: String::new(), forwarder: None };
        let lineup = Lineup { contestants: others.chain([direct]).collect(), skipped: Vec::new() };

        let told = workload(&sheet, &lineup);
        let summary = &told["summaries"][OURS];
        assert_eq!(summary["rate"], json!({ "median": 2.0, "low": 1.5, "high": 2.5, "spread": 0.5 }));
        assert_eq!(summary["client"]["median"], 0.25);
        assert_eq!(summary["target"]["median"], 0.5);
        assert_eq!(told["verdicts"]["all"]["ratio"], 0.5);
        assert_eq!(told["verdicts"]["all"]["met"], true);
        assert_eq!(told["rounds"], 3);
        assert_eq!(told["spread"], 0.5);
    }
}
