//! Renders a report as text and as JSON.

use std::fmt::Write as _;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::report::{Area, Report};
use crate::diagnosis::{self, Severity, Status};
use crate::units;

/// The schema id of the JSON; each diagnosis in it follows `loopgate.diagnosis/1`.
pub const SCHEMA: &str = "loopgate.doctor/1";

/// At most this many faults of one area are shown in full.
const IN_FULL: usize = 8;

impl Report {
    /// One line per area, its faults below it, and a last line with the totals.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.source);
        for area in &self.areas {
            let _ = writeln!(text, "{} {:<10} {}", diagnosis::mark(area.status), area.id, area.text);
            for note in &area.notes {
                let _ = writeln!(text, "         {note}");
            }
            for fault in area.diagnoses.iter().take(IN_FULL) {
                for line in diagnosis::block(fault).lines() {
                    let _ = writeln!(text, "         {line}");
                }
            }
            let omitted = area.diagnoses.len().saturating_sub(IN_FULL);
            if omitted > 0 {
                let _ = writeln!(text, "         and {omitted} more");
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

    /// The report as JSON, stamped with `now`.
    ///
    /// # Errors
    /// None in practice: every map key in a diagnosis is a string.
    pub fn json(&self, now: SystemTime) -> serde_json::Result<Value> {
        let mut areas = Vec::new();
        for area in &self.areas {
            let diagnoses: Vec<Value> =
                area.diagnoses.iter().map(|it| diagnosis::json(it, now)).collect::<Result<_, _>>()?;
            areas.push(json!({
                "id": area.id, "status": area.status, "text": area.text, "notes": area.notes, "diagnoses": diagnoses,
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
