//! The text for failed listeners: all failures together, each in at most about eight lines.
//!
//! It prints nothing and knows no terminal; `diagnose.rs` turns a failure into the diagnosis whose words it uses.

use std::time::Instant;

use super::judge::BindFinding;
use crate::diagnosis::finding::Diagnosis;
use crate::diagnosis::process_text::pids;
use crate::diagnosis::text;
use crate::diagnosis::verdict::Verdict;

/// This many failures are shown in full, the following `IN_BRIEF` with one line each, and the rest are counted.
const IN_FULL: usize = 8;
const IN_BRIEF: usize = 40;

/// The report on every failed bind, ending in a line break. Failures that one other instance of this program causes are
/// reported as one.
pub fn bind_report(findings: &[BindFinding]) -> String {
    let groups = grouped(findings);
    let mut blocks: Vec<String> =
        groups.iter().take(IN_FULL).map(|group| text::block(&merged(group))).collect();
    let brief: Vec<String> =
        groups.iter().skip(IN_FULL).take(IN_BRIEF).map(|group| text::headline(&merged(group))).collect();
    if !brief.is_empty() {
        blocks.push(brief.concat());
    }
    let omitted = groups.len().saturating_sub(IN_FULL + IN_BRIEF);
    if omitted > 0 {
        blocks.push(format!("and {omitted} more\n"));
    }
    blocks.join("\n")
}

/// Groups the failures that the same other instance causes, at the place of the first.
fn grouped(findings: &[BindFinding]) -> Vec<Vec<&BindFinding>> {
    let mut groups: Vec<Vec<&BindFinding>> = Vec::new();
    for finding in findings {
        let same = groups.iter_mut().find(|group| {
            let first = group[0];
            finding.verdict == Verdict::AlreadyRunning
                && first.verdict == Verdict::AlreadyRunning
                && pids(&first.holders()) == pids(&finding.holders())
        });
        match same {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

/// One diagnosis for a group, which also names the addresses of the others.
fn merged(group: &[&BindFinding]) -> Diagnosis {
    let mut diagnosis = group[0].diagnosis(Instant::now());
    let others = || group.iter().skip(1).map(|finding| place(finding));
    if group.len() > 1 {
        diagnosis.summary = format!("{}, {}", diagnosis.summary, enumerated(others()));
    }
    diagnosis
}

/// `127.0.0.1:8080 (route web)`
fn place(finding: &BindFinding) -> String {
    let address = finding.facts.address;
    match &finding.routes[..] {
        [] => address.to_string(),
        [route] => format!("{address} (route {route})"),
        routes => format!("{address} (routes {})", routes.join(", ")),
    }
}

fn enumerated(places: impl Iterator<Item = String>) -> String {
    let mut shown: Vec<String> = places.collect();
    let rest = shown.len().saturating_sub(IN_FULL);
    shown.truncate(IN_FULL);
    if rest > 0 {
        shown.push(format!("{rest} more"));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests;
