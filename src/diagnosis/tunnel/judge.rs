//! The first fault on the way through a tunnel.

use super::facts::{Beyond, Fate, Found, LetIn, Listen, Reached, Try, TryEnd, TunnelFacts};
use super::findings::{self, Refused};
use crate::diagnosis::finding::{Diagnosis, Finding};
use crate::diagnosis::verdict::Severity;

/// What is wrong.
pub(super) enum Fault<'f> {
    /// At an address, which is named first, as its own diagnosis says.
    Diagnosed(String, &'f Diagnosis),
    /// With the tunnel.
    Found(Box<Finding>),
}

/// The first fault; `None` if there is none.
pub(super) fn first_fault(facts: &TunnelFacts) -> Option<Fault<'_>> {
    if facts.connect.is_empty() {
        return of_listeners(facts).or_else(|| of_targets(facts)).or_else(|| of_the_other_end(facts));
    }
    let Some((_, let_in)) = facts.let_in() else {
        return facts.tries.first().and_then(|it| of_try(facts, it));
    };
    of_control(let_in)
        .or_else(|| of_listens(facts, let_in))
        .or_else(|| of_targets(facts))
        .or_else(|| of_beyond(facts, let_in))
}

fn found(finding: Finding) -> Option<Fault<'static>> {
    Some(Fault::Found(Box::new(finding)))
}

fn of_try<'f>(facts: &'f TunnelFacts, it: &'f Try) -> Option<Fault<'f>> {
    let to = it.to.as_str();
    match &it.end {
        TryEnd::Unreached(diagnosis) | TryEnd::Silent(Some(diagnosis)) => {
            Some(Fault::Diagnosed(to.to_owned(), diagnosis))
        }
        TryEnd::ProxyRefused { words, status } => found(findings::proxy_refused(words, *status)),
        TryEnd::Silent(None) => found(findings::silent(to)),
        TryEnd::Closed => found(findings::closed(to)),
        TryEnd::NotTls { protocol, words } => found(findings::not_tls(to, protocol.as_deref(), words)),
        TryEnd::NoKey(shown) => found(findings::no_key(to, shown.as_ref())),
        TryEnd::Version { has_key } => found(findings::version(to, *has_key)),
        TryEnd::WrongKey(key) => found(findings::wrong_key(facts, to, key)),
        TryEnd::UnknownThere => found(findings::unknown_there(facts, to)),
        TryEnd::InUse(words) => found(findings::in_use(words)),
        TryEnd::Other(words) => found(findings::other(to, words)),
        TryEnd::LetIn(_) => None,
    }
}

/// A control with this machine's key that is not this machine's.
fn of_control(let_in: &LetIn) -> Option<Fault<'static>> {
    let control = let_in.control.as_ref().filter(|it| it.may_be_ours == Some(false))?;
    found(findings::in_use_by(control))
}

/// The first reason for which anything there is refused, with every address that is.
fn of_listens(facts: &TunnelFacts, let_in: &LetIn) -> Option<Fault<'static>> {
    let refused = |listen: &&Listen| !matches!(listen.fate, Fate::May(_) | Fate::Offered);
    let first = let_in.listens.iter().find(refused)?;
    let alike: Vec<&Listen> = let_in.listens.iter().filter(|it| it.fate == first.fate).collect();
    found(findings::refused(facts, let_in, &Refused { fate: &first.fate, of: alike }))
}

/// What is dialled there; what was not answered is a fault only if it was what was asked about.
fn of_beyond(facts: &TunnelFacts, let_in: &LetIn) -> Option<Fault<'static>> {
    let wrong = |it: &&Beyond| matches!(it.reached, Reached::Down(_) | Reached::Refused);
    if let Some(wrong) = let_in.beyond.iter().find(wrong) {
        return found(findings::beyond(let_in, wrong));
    }
    let is_known = let_in.beyond.iter().any(|it| it.reached == Reached::May);
    if is_known { None } else { of_the_other_end(facts) }
}

fn of_targets(facts: &TunnelFacts) -> Option<Fault<'_>> {
    let wrong = facts.targets.iter().find(|it| it.found.severity() >= Severity::Unclear)?;
    let at = format!("route {}, {}", wrong.route, wrong.found.subject);
    Some(Fault::Diagnosed(at, &wrong.found))
}

fn of_listeners(facts: &TunnelFacts) -> Option<Fault<'_>> {
    let listeners = facts.listeners.as_ref()?;
    if listeners.is_empty() {
        return found(findings::no_listener());
    }
    let wrong = listeners.iter().find(|it| it.found != Found::Ours)?;
    match &wrong.found {
        Found::Ours => None,
        Found::Nobody => found(findings::nobody_waits(&wrong.address)),
        Found::Other(diagnosis) => {
            Some(Fault::Diagnosed(format!("the tunnel listener {}", wrong.address), diagnosis))
        }
    }
}

fn of_the_other_end(facts: &TunnelFacts) -> Option<Fault<'static>> {
    facts.there.as_deref().and_then(|there| found(findings::there(there)))
}
