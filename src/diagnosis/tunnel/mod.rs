//! Whether a tunnel can do what it is for, and if not, why: from this machine's key to the targets behind its routes.
//!
//! The rules are pure: [`TunnelFacts`] are gathered by whoever can dial the other end. The first fault on the way wins, and
//! what works before it is listed.

pub(super) mod advice;
mod checks;
mod facts;
mod findings;
mod judge;
mod lines;
#[cfg(test)]
mod tests;

pub use facts::{
    Beyond, Control, Fate, Found, Issuer, LetIn, Listen, Listener, Offer, Reached, Shown, TargetHere, Try,
    TryEnd, TunnelFacts,
};
pub use lines::{let_in_lines, may_listen_line};

use super::finding::{Diagnosis, Finding, Question, Subject, Warning};
use super::verdict::{Certainty, Verdict};
use judge::Fault;

/// The diagnosis of these facts.
pub fn diagnose(facts: &TunnelFacts) -> Diagnosis {
    let subject = Subject::Tunnel { name: facts.name.clone(), connect: facts.connect.clone() };
    let mut diagnosis = Diagnosis::new(Question::Reach, subject, Verdict::Healthy, Certainty::Proven);
    match judge::first_fault(facts) {
        // Whatever was found out about an address is told as for any other.
        Some(Fault::Diagnosed(at, found)) => take(&mut diagnosis, &at, found),
        Some(Fault::Found(finding)) => diagnosis.take(*finding),
        None => {}
    }
    diagnosis.checks = checks::checks(facts);
    if let Some(exposed) = &facts.exposed {
        let fix = Finding::new(Verdict::TunnelExposed, Certainty::Proven, "")
            .advice(format!("write allow under [tunnels.{}.defaults]", lines::key_of(&facts.name)));
        let summary = exposed.clone();
        let fix = fix.fixes.into_iter().next();
        diagnosis.warnings.push(Warning { verdict: Verdict::TunnelExposed, summary, fix });
    }
    diagnosis.settle();
    diagnosis
}

/// The diagnosis of an address on the way is that of the tunnel.
fn take(diagnosis: &mut Diagnosis, at: &str, found: &Diagnosis) {
    let found = found.clone();
    diagnosis.verdict = found.verdict;
    diagnosis.certainty = found.certainty;
    diagnosis.errno = found.errno;
    diagnosis.os_message = found.os_message;
    diagnosis.summary = format!("{at}: {}", found.summary);
    diagnosis.details = found.details;
    diagnosis.holders = found.holders;
    diagnosis.evidence = found.evidence;
    diagnosis.not_readable = found.not_readable;
    diagnosis.fixes = found.fixes;
    diagnosis.next_free_port = found.next_free_port;
}
