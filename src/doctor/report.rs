//! What the examination found, by area, and how bad it is.

use crate::diagnosis::{Diagnosis, Severity, Status};

/// The result of one examination.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The name of the configuration: a file, or the command line.
    pub source: String,
    /// How many routes it has; 0 if it could not be read.
    pub routes: usize,
    /// The areas, in the order they are shown.
    pub areas: Vec<Area>,
}

/// One aspect, examined over every route.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// `config`, `listeners`, `targets`, `tunnels` if there are any, `loops`, `exposure`, `ports`, `limits`, `congestion` if a route
    /// carries connections over the network, and `tls` if a route speaks it. An id never changes its meaning.
    pub id: &'static str,
    /// The worst status found.
    pub status: Status,
    /// One line for a person.
    pub text: String,
    /// Further lines for a person.
    pub notes: Vec<String>,
    /// The faults and warnings, one address each.
    pub diagnoses: Vec<Diagnosis>,
}

impl Area {
    pub(super) fn new(id: &'static str, status: Status, text: impl Into<String>) -> Area {
        Area { id, status, text: text.into(), notes: Vec::new(), diagnoses: Vec::new() }
    }
}

/// The status of an area whose gravest finding is this.
pub(super) fn area_status(severity: Severity) -> Status {
    match severity {
        Severity::Fine => Status::Ok,
        Severity::Warning => Status::Warn,
        Severity::Unclear | Severity::Error => Status::Fail,
    }
}

impl Report {
    /// The worst severity of all areas.
    pub fn severity(&self) -> Severity {
        let of = |status: Status| match status {
            Status::Ok | Status::Skip => Severity::Fine,
            Status::Warn => Severity::Warning,
            Status::Fail => Severity::Error,
        };
        let unclear = |area: &Area| {
            let unclear = |diagnosis: &Diagnosis| diagnosis.severity() == Severity::Unclear;
            area.diagnoses.iter().any(unclear).then_some(Severity::Unclear)
        };
        let areas =
            self.areas.iter().map(|area| of(area.status).max(unclear(area).unwrap_or(Severity::Fine)));
        areas.max().unwrap_or(Severity::Fine)
    }
}
