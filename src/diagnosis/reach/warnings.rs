//! Warnings: not faults, but worth knowing. A warning becomes the verdict only if nothing fails. Pure.

use std::collections::BTreeSet;

use super::facts::ReachFacts;
use super::fixes::advice;
use super::network::exposed;
use crate::diagnosis::finding::{Diagnosis, Warning};
use crate::diagnosis::process_text::since;
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::outcome::Holder;
use crate::probe::sockets::Socket;

/// This many connections that their peer has closed are no coincidence.
const MANY_LEFT_OPEN: usize = 20;

/// Adds the warnings, the most important first.
pub(super) fn add(facts: &ReachFacts, diagnosis: &mut Diagnosis) {
    let mut warnings: Vec<Warning> =
        [shared(facts), leaks(facts), outdated(facts), proxy(facts), exposed(facts)]
            .into_iter()
            .flatten()
            .collect();
    if diagnosis.verdict == Verdict::Healthy && !warnings.is_empty() {
        let first = warnings.remove(0);
        diagnosis.verdict = first.verdict;
        diagnosis.certainty = Certainty::Proven;
        diagnosis.summary = first.summary;
        diagnosis.fixes.extend(first.fix);
    }
    diagnosis.warnings = warnings;
}

/// Unrelated programs share one port, and the kernel distributes the connections over them.
fn shared(facts: &ReachFacts) -> Option<Warning> {
    let answering = facts.listener()?;
    let alike: Vec<&Socket> = facts.listening().filter(|row| row.local == answering.local).collect();
    let mut strangers: Vec<&Holder> = Vec::new();
    for holder in alike.iter().filter_map(|row| facts.holders_of(row.inode).first().copied()) {
        if !strangers.iter().any(|other| are_related(other, holder)) {
            strangers.push(holder);
        }
    }
    if alike.len() < 2 || strangers.len() < 2 {
        return None;
    }
    let described: Vec<String> = strangers
        .iter()
        .take(3)
        .map(|holder| {
            let since = since(holder).map_or(String::new(), |since| format!(" {since}"));
            format!("{} (pid {}){since}", holder.comm, holder.pid)
        })
        .collect();
    Some(Warning {
        verdict: Verdict::PortSharedByReuseport,
        summary: format!(
            "{} programs share this port (SO_REUSEPORT): {}; each gets a part of the connections",
            strangers.len(),
            described.join(", ")
        ),
        fix: Some(advice(format!("end the unwanted one: kill {}", strangers[0].pid))),
    })
}

/// Whether they are a master and its worker, or workers of one master.
fn are_related(a: &Holder, b: &Holder) -> bool {
    let ancestors =
        |holder: &Holder| -> BTreeSet<u32> { holder.chain.iter().map(|ancestor| ancestor.pid).collect() };
    a.pid == b.pid
        || ancestors(a).contains(&b.pid)
        || ancestors(b).contains(&a.pid)
        || a.parent == b.parent && a.parent > 1 && a.comm == b.comm && a.cmdline == b.cmdline
}

fn leaks(facts: &ReachFacts) -> Option<Warning> {
    if facts.left_open < MANY_LEFT_OPEN {
        return None;
    }
    let limit = facts.life.first().and_then(|life| life.after.descriptor_limit);
    let limit = limit.map_or(String::new(), |limit| format!("; at {limit} descriptors it stops accepting"));
    Some(Warning {
        verdict: Verdict::TargetLeaksCloseWait,
        summary: format!(
            "{} leaks connections: {} in CLOSE_WAIT{limit}",
            super::who::who(facts),
            facts.left_open
        ),
        fix: Some(advice("the service must close the connections its clients have closed")),
    })
}

fn outdated(facts: &ReachFacts) -> Option<Warning> {
    let old = facts.outdated.first()?;
    let what = if old.deleted { "was deleted or replaced" } else { "was changed" };
    let holder = facts.holders().into_iter().find(|holder| holder.pid == old.pid);
    let started = holder.and_then(since).map_or(String::new(), |since| format!(" (running {since})"));
    Some(Warning {
        verdict: Verdict::TargetRunsOldBinary,
        summary: format!(
            "{} (pid {}) runs a program file that {what} since: {}{started}",
            old.comm, old.pid, old.file
        ),
        fix: Some(advice("restart it to run the new one")),
    })
}

fn proxy(facts: &ReachFacts) -> Option<Warning> {
    let captured =
        facts.ip().is_some_and(|ip| facts.local && facts.proxies.capture(ip, facts.name.as_deref()));
    captured.then(|| Warning {
        verdict: Verdict::ProxyEnvCapturesLoopback,
        summary: format!("{} sends clients of this address to a proxy", facts.proxies.set.join(", ")),
        fix: Some(advice("export no_proxy=localhost,127.0.0.1,::1")),
    })
}
