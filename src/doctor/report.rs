//! What was found, area by area, and how bad it is.

use crate::diagnosis::{Diagnosis, Severity, Status};

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What the configuration is called: a file, or the command line.
    pub source: String,
    /// How many routes it has; 0 where it could not be read.
    pub routes: usize,
    /// What was looked at, in order.
    pub areas: Vec<Area>,
}

/// One thing that was looked at, over every route.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// `config`, `listeners`, `targets`, `loops`, `exposure`, `ports`, `limits`, and `tls` where a route speaks it; never changes its meaning.
    pub id: &'static str,
    /// The gravest of what was found.
    pub status: Status,
    /// One line for a person.
    pub text: String,
    /// What else should be said, a line each.
    pub notes: Vec<String>,
    /// What is wrong or should be known, of one address each.
    pub diagnoses: Vec<Diagnosis>,
}

impl Area {
    pub(super) fn new(id: &'static str, status: Status, text: impl Into<String>) -> Area {
        Area { id, status, text: text.into(), notes: Vec::new(), diagnoses: Vec::new() }
    }
}

impl Report {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        let of = |status: Status| match status {
            Status::Ok | Status::Skip => Severity::Fine,
            Status::Warn => Severity::Warning,
            Status::Fail => Severity::Error,
        };
        let unclear = |area: &Area| {
            let unclear = |told: &Diagnosis| told.severity() == Severity::Unclear;
            area.diagnoses.iter().any(unclear).then_some(Severity::Unclear)
        };
        let areas =
            self.areas.iter().map(|area| of(area.status).max(unclear(area).unwrap_or(Severity::Fine)));
        areas.max().unwrap_or(Severity::Fine)
    }
}
