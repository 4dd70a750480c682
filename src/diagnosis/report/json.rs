//! A diagnosis as JSON: schema `loopgate.diagnosis/1`.
//!
//! Fields may be added; none changes its meaning within /1. Lists are never null.

use std::time::SystemTime;

use serde::Serialize;

use crate::diagnosis::finding::{Check, Diagnosis, Evidence, Fix, NotReadable, Question, Subject, Warning};
use crate::diagnosis::verdict::{Certainty, Severity, Verdict};
use crate::outcome::Holder;

/// The schema's id.
pub const SCHEMA: &str = "loopgate.diagnosis/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    time: String,
    question: Question,
    address: &'a Subject,
    routes: &'a [String],
    verdict: Verdict,
    severity: Severity,
    certainty: Certainty,
    errno: Option<&'a str>,
    os_message: &'a str,
    summary: &'a str,
    holders: &'a [Holder],
    evidence: &'a [Evidence],
    not_readable: &'a [NotReadable],
    fixes: &'a [Fix],
    next_free_port: Option<u16>,
    checks: &'a [Check],
    warnings: &'a [Warning],
    elapsed_ms: f64,
}

/// The JSON object of one diagnosis made at `now`.
///
/// # Errors
/// None in practice: every map key in a diagnosis is a string.
pub fn json(diagnosis: &Diagnosis, now: SystemTime) -> serde_json::Result<serde_json::Value> {
    serde_json::to_value(Document {
        schema: SCHEMA,
        time: humantime::format_rfc3339_millis(now).to_string(),
        question: diagnosis.question,
        address: &diagnosis.subject,
        routes: &diagnosis.routes,
        verdict: diagnosis.verdict,
        severity: diagnosis.severity(),
        certainty: diagnosis.certainty,
        errno: diagnosis.errno.as_deref(),
        os_message: &diagnosis.os_message,
        summary: &diagnosis.summary,
        holders: &diagnosis.holders,
        evidence: &diagnosis.evidence,
        not_readable: &diagnosis.not_readable,
        fixes: &diagnosis.fixes,
        next_free_port: diagnosis.next_free_port,
        checks: &diagnosis.checks,
        warnings: &diagnosis.warnings,
        elapsed_ms: diagnosis.elapsed.as_secs_f64() * 1e3,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_never_null() {
        let address = ([127, 0, 0, 1], 80).into();
        let empty =
            Diagnosis::new(Question::Reach, Subject::Tcp(address), Verdict::Healthy, Certainty::Proven);

        let object = json(&empty, SystemTime::UNIX_EPOCH).unwrap();

        for list in ["routes", "holders", "evidence", "not_readable", "fixes", "checks", "warnings"] {
            assert!(object[list].is_array(), "{list}");
        }
        assert_eq!(object["address"], serde_json::json!({"ip": "127.0.0.1", "port": 80, "proto": "tcp"}));
    }
}
