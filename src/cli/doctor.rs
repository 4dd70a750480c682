//! `loopgate doctor`: a report on every route of a configuration and on the machine.

use std::io::{self, Write};
use std::time::SystemTime;

use super::explain::code;
use crate::doctor;
use crate::plan::{self, Sources};
use crate::units::{shown_json, shown_path};

/// Writes the report. The exit code is 0 for healthy, 1 for a fault, 2 for a problem of the configuration, 3 if the
/// answer could not be determined.
pub(super) fn doctor(sources: &Sources, json: bool, strict: bool, out: &mut dyn Write) -> io::Result<u8> {
    let source = sources.file.as_ref().map_or("command line".to_owned(), |file| shown_path(file));
    let plan = plan::load(sources);
    let report = match &plan {
        Ok(plan) => doctor::examine(&source, plan),
        Err(problems) => doctor::unreadable(&source, &problems.render(false)),
    };
    if json {
        let json = format!("{:#}", report.json(SystemTime::now())?);
        writeln!(out, "{}", shown_json(&json))?;
    } else {
        out.write_all(report.text().as_bytes())?;
    }
    Ok(if plan.is_ok() { code(report.severity(), strict) } else { 2 })
}
