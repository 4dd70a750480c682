//! A report as JSON; docs/benchmarks.md has its fields.

use serde_json::{Value, json};

use super::load::{Load, Unit};
use super::report::{Report, Sheet};
use super::rounds::Way;
use super::route::Through;
use super::setup::Target;

/// The schema of this form. A field is never taken away, nor does its meaning change, under one number.
const SCHEMA: &str = "loopgate.bench/1";

impl Report {
    /// The whole report.
    pub(crate) fn json(&self) -> Value {
        let began = self.began.clone().unwrap_or_default();
        let (written, service) = match &self.target {
            Target::BuiltIn => (None, json!({ "kind": "built-in" })),
            Target::Service(place, service) => {
                (Some(place.written.clone()), json!({ "kind": service.id(), "said": service.to_string() }))
            }
        };
        let through = self.has_detour().then(|| {
            let (route, spec) = match &self.through {
                Some(Through::Running { route, .. }) => (Some(route.clone()), None),
                Some(Through::Own { spec }) => (None, Some(spec.clone())),
                None => (None, None),
            };
            json!({
                "route": route, "spec": spec, "listen": began.through, "processes": began.processes,
                "cpu_readable": began.cpu,
            })
        });
        let measurements: Vec<Value> =
            self.sheets.iter().map(|sheet| measurement(sheet, self.has_detour())).collect();
        json!({
            "schema": SCHEMA,
            "version": env!("CARGO_PKG_VERSION"),
            "complete": self.is_whole(),
            "target": { "address": written, "at": began.target, "service": service },
            "through": through,
            "machine": self.machine,
            "rounds": self.rounds,
            "others_share": self.others,
            "seconds": self.took.as_secs_f64(),
            "measurements": measurements,
            "notes": self.notes(),
        })
    }
}

fn measurement(sheet: &Sheet, has_detour: bool) -> Value {
    let way = |way| match (sheet.figures(way), sheet.why_not(way)) {
        (Some(figures), _) => json!(figures),
        (None, why) => json!({ "not_measured": why }),
    };
    let mut value = json!({
        "load": sheet.load.id(),
        "at_once": sheet.load.at_once(),
        "what": sheet.load.name(),
        "unit": unit(sheet.load),
        "direct": way(Way::Direct),
    });
    if has_detour {
        value["through"] = way(Way::Through);
        value["detour"] = json!(sheet.detour());
    }
    value
}

fn unit(load: Load) -> &'static str {
    match load.unit() {
        Unit::Bytes => "bytes",
        Unit::Requests => "requests",
        Unit::Connections => "connections",
    }
}
