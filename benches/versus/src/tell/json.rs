//! Everything that was measured, round by round, with what it was measured on.

use serde_json::{Map, Value, json};

use crate::contestant::Contestant;
use crate::lineup::Lineup;
use crate::machine::Machine;
use crate::options::Options;
use crate::reading::Sheet;
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
    let verdicts = sheet
        .workload
        .columns
        .iter()
        .filter_map(|column| Some((column.key.to_owned(), json!(sheet.verdict(column)?))));
    json!({
        "name": sheet.workload.name,
        "title": sheet.workload.title,
        "columns": sheet.workload.columns,
        "rounds": sheet.rounds,
        "spread": sheet.spread(),
        "summaries": summaries,
        "verdicts": verdicts.collect::<Map<String, Value>>(),
        "readings": sheet.readings,
        "misses": sheet.misses,
    })
}
