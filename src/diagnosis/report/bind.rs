//! The text for failed listeners: all failures together, each in at most about eight lines.
//!
//! It prints nothing and knows no terminal.

use super::text;
use crate::diagnosis::finding::{Diagnosis, Subject};
use crate::diagnosis::process_text::pids;
use crate::diagnosis::verdict::Verdict;

/// This many ports are shown in full, the following `IN_BRIEF` with one line each, and the rest are counted. Of Unix
/// sockets, no more are shown.
const IN_FULL: usize = 8;
const IN_BRIEF: usize = 40;

/// The report on every failed bind, ending in a line break: ports, then Unix sockets. Failures of ports that one other
/// instance of this program causes are reported as one.
pub fn bind_report(diagnoses: &[Diagnosis]) -> String {
    let is_unix = |diagnosis: &&Diagnosis| matches!(diagnosis.subject, Subject::Unix(_));
    let (sockets, ports): (Vec<_>, Vec<_>) = diagnoses.iter().partition(is_unix);
    let groups = grouped(&ports);
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
    blocks.extend(sockets.into_iter().take(IN_FULL).map(text::block));
    blocks.join("\n")
}

/// Groups the failures that the same other instance causes, at the place of the first.
fn grouped<'a>(ports: &[&'a Diagnosis]) -> Vec<Vec<&'a Diagnosis>> {
    let holders = |diagnosis: &Diagnosis| pids(&diagnosis.holders.iter().collect::<Vec<_>>());
    let mut groups: Vec<Vec<&Diagnosis>> = Vec::new();
    for diagnosis in ports {
        let same = groups.iter_mut().find(|group| {
            let first = group[0];
            diagnosis.verdict == Verdict::AlreadyRunning
                && first.verdict == Verdict::AlreadyRunning
                && holders(first) == holders(diagnosis)
        });
        match same {
            Some(group) => group.push(diagnosis),
            None => groups.push(vec![diagnosis]),
        }
    }
    groups
}

/// One diagnosis for a group, which also names the addresses of the others.
fn merged(group: &[&Diagnosis]) -> Diagnosis {
    let mut diagnosis = group[0].clone();
    if group.len() > 1 {
        let others = group.iter().skip(1).map(|other| place(other));
        diagnosis.summary = format!("{}, {}", diagnosis.summary, enumerated(others));
    }
    diagnosis
}

/// `127.0.0.1:8080 (route web)`
fn place(diagnosis: &Diagnosis) -> String {
    match &diagnosis.subject {
        Subject::Tcp(address) | Subject::Udp(address) => text::with_routes(address, &diagnosis.routes),
        unix => text::with_routes(unix, &diagnosis.routes),
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
