//! A report for a person and for a program.

use std::fmt::Write as _;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::report::{Area, Report};
use crate::diagnosis::{self, Severity, Status};
use crate::units;

/// The schema's id; each diagnosis in it is a `loopgate.diagnosis/1`.
pub const SCHEMA: &str = "loopgate.doctor/1";

/// So many faults of one area are told in full.
const IN_FULL: usize = 8;

impl Report {
    /// One line per area, what is wrong under its area, and a last line that sums up.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.source);
        for area in &self.areas {
            let _ = writeln!(text, "{} {:<10} {}", mark(area.status), area.id, area.text);
            for note in &area.notes {
                let _ = writeln!(text, "         {note}");
            }
            for told in area.diagnoses.iter().take(IN_FULL) {
                for line in diagnosis::block(told).lines() {
                    let _ = writeln!(text, "         {line}");
                }
            }
            let untold = area.diagnoses.len().saturating_sub(IN_FULL);
            if untold > 0 {
                let _ = writeln!(text, "         and {untold} more");
            }
        }
        let _ = writeln!(text, "{}", self.sum());
        text
    }

    fn sum(&self) -> String {
        let count = |status: Status| -> usize {
            let of = |area: &Area| if area.status == status { area.diagnoses.len().max(1) } else { 0 };
            self.areas.iter().map(of).sum()
        };
        let (faults, warnings) = (count(Status::Fail), count(Status::Warn));
        format!("{}, {}", counted(faults, "fault"), counted(warnings, "warning"))
    }

    /// The same for a program.
    ///
    /// # Errors
    /// None in practice: nothing in a diagnosis has a key that is not a string.
    pub fn json(&self, now: SystemTime) -> serde_json::Result<Value> {
        let mut areas = Vec::new();
        for area in &self.areas {
            let told: Vec<Value> =
                area.diagnoses.iter().map(|told| diagnosis::json(told, now)).collect::<Result<_, _>>()?;
            areas.push(json!({
                "id": area.id, "status": area.status, "text": area.text, "notes": area.notes, "diagnoses": told,
            }));
        }
        let healthy = self.severity() <= Severity::Warning;
        Ok(json!({
            "schema": SCHEMA,
            "time": humantime::format_rfc3339_millis(now).to_string(),
            "source": self.source,
            "routes": self.routes,
            "severity": self.severity(),
            "healthy": healthy,
            "areas": areas,
        }))
    }
}

/// `no fault`, `1 fault`, `2 faults`
pub(super) fn counted(number: usize, word: &str) -> String {
    if number == 0 { format!("no {word}") } else { units::counted(number, word) }
}

fn mark(status: Status) -> &'static str {
    match status {
        Status::Ok => "[ok]  ",
        Status::Warn => "[warn]",
        Status::Fail => "[fail]",
        Status::Skip => "[skip]",
    }
}
