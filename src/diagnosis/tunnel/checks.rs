//! The lines of the screen: one per step, up to the first that fails.

use std::net::SocketAddr;
use std::time::Duration;

use super::facts::{Beyond, Control, Fate, Found, LetIn, Listen, Reached, Try, TryEnd, TunnelFacts};
use crate::diagnosis::finding::{Check, Diagnosis, Status};
use crate::diagnosis::reach::short;
use crate::diagnosis::verdict::Severity;

/// The checks, in the order of the walk.
pub(super) fn checks(facts: &TunnelFacts) -> Vec<Check> {
    let mut checks = vec![check("key", Status::Ok, facts.own_key.clone())];
    for it in &facts.tries {
        of_try(&mut checks, facts, it);
    }
    if let Some((_, let_in)) = facts.let_in() {
        of_let_in(&mut checks, let_in);
    }
    if facts.connect.is_empty() {
        of_waiting(&mut checks, facts);
    }
    for target in &facts.targets {
        checks.push(of_target(&target.route, &target.found));
    }
    checks
}

fn check(id: &'static str, status: Status, text: impl Into<String>) -> Check {
    Check { id, status, text: text.into(), ms: 0.0 }
}

fn timed(id: &'static str, status: Status, text: String, took: Duration) -> Check {
    Check { id, status, text, ms: took.as_secs_f64() * 1e3 }
}

fn of_try(checks: &mut Vec<Check>, facts: &TunnelFacts, it: &Try) {
    // One that fails is no fault where another lets this machine in.
    let bad = if facts.let_in().is_some() { Status::Warn } else { Status::Fail };
    let to = &it.to;
    if let Some((addresses, took)) = &it.resolved {
        let name = to.rsplit_once(':').map_or(to.as_str(), |(name, _)| name);
        let text = match &addresses[..] {
            [] => format!("{name} has no address"),
            all => format!("{name} is {}", listed(all)),
        };
        let status = if addresses.is_empty() { bad } else { Status::Ok };
        checks.push(timed("name", status, text, *took));
    }
    match (&it.connected, &it.end) {
        (Some((address, took)), _) => {
            checks.push(timed("tcp", Status::Ok, format!("{address} answers in {}", short(*took)), *took));
        }
        (None, TryEnd::Unreached(found)) => {
            // The verdict has the whole sentence.
            let why =
                if found.errno.is_some() { found.os_message.to_lowercase() } else { found.summary.clone() };
            checks.push(check("tcp", bad, format!("{to}: {why}")));
            return;
        }
        (None, _) => {}
    }
    let (tls, fails) = match &it.end {
        TryEnd::Unreached(_) => return,
        TryEnd::ProxyRefused { .. } => (false, ("proxy", "refuses")),
        TryEnd::Silent(_) => (false, ("tls", "no answer")),
        TryEnd::Closed => (false, ("tls", "closed without a handshake")),
        TryEnd::NotTls { .. } => (false, ("tls", "another protocol")),
        TryEnd::NoKey(_) => (true, ("loopgate", "it proves no key")),
        TryEnd::Version { .. } => (true, ("loopgate", "it speaks another version")),
        TryEnd::Other(_) => (true, ("loopgate", "it does not answer as one")),
        TryEnd::WrongKey(_) => {
            checks.push(loopgate());
            (false, ("their_key", "another than public_key here"))
        }
        TryEnd::UnknownThere | TryEnd::InUse(_) => {
            checks.push(loopgate());
            checks.push(check("their_key", Status::Ok, "as expected"));
            let is_unknown = it.end == TryEnd::UnknownThere;
            let text = if is_unknown { "this machine's key is unknown there" } else { "this key is in use" };
            (false, ("let_in", text))
        }
        TryEnd::LetIn(let_in) => {
            checks.push(loopgate());
            checks.push(check("their_key", Status::Ok, let_in.key.clone()));
            return;
        }
    };
    if tls {
        checks.push(check("tls", Status::Ok, "it answers"));
    }
    checks.push(check(fails.0, bad, fails.1));
}

fn loopgate() -> Check {
    check("loopgate", Status::Ok, "it speaks loopgate/1")
}

fn of_let_in(checks: &mut Vec<Check>, it: &LetIn) {
    let name = it.name.as_ref().map_or(String::new(), |name| format!("as {name}, "));
    let text = format!("{name}from {}, in {}", it.seen, short(it.rtt));
    checks.push(timed("let_in", Status::Ok, text, it.rtt));
    checks.push(match &it.control {
        Some(control) => of_control(control),
        None => check("control", Status::Ok, "none is connected with this key now"),
    });
    checks.extend(it.listens.iter().map(of_listen));
    checks.extend(it.beyond.iter().map(of_beyond));
    if it.unasked > 0 {
        checks.push(check("listen", Status::Skip, format!("{} more were not asked about", it.unasked)));
    }
}

fn of_control(control: &Control) -> Check {
    let Control { from, since, may_be_ours } = control;
    match may_be_ours {
        Some(true) => check("control", Status::Ok, format!("connected since {since}")),
        Some(false) => check("control", Status::Fail, format!("another machine, from {from}")),
        None => {
            check("control", Status::Skip, format!("one from {from}; this machine's connections are hidden"))
        }
    }
}

fn of_listen(listen: &Listen) -> Check {
    let route = &listen.route;
    let asked = listen.asked.as_deref().unwrap_or_default();
    let refused = |why: &str| check("listen", Status::Fail, format!("{route}: {asked} {why}"));
    match &listen.fate {
        Fate::May(address) => {
            check("listen", Status::Ok, format!("{route}: {address} may be listened on there"))
        }
        Fate::Offered => check("listen", Status::Ok, format!("{route}: offered by its name")),
        Fate::NotPermitted => refused("is not permitted there"),
        Fate::TooMany => refused("is one listener too many there"),
        Fate::Held => refused("is held by something there"),
        Fate::NotThere => refused("is on no interface there"),
        Fate::Privileged => refused("needs a right there"),
        Fate::Other(word) => refused(word),
    }
}

fn of_beyond(it: &Beyond) -> Check {
    let to = &it.to;
    match &it.reached {
        Reached::Unasked => check("dial", Status::Skip, format!("{to}: only the other end knows")),
        Reached::May => check("dial", Status::Ok, format!("{to} may be dialled there")),
        Reached::Down(cause) => check("dial", Status::Fail, format!("{to} is down there: {cause}")),
        Reached::Refused => check("dial", Status::Fail, format!("{to} is not offered or permitted there")),
    }
}

fn of_waiting(checks: &mut Vec<Check>, facts: &TunnelFacts) {
    for listener in facts.listeners.iter().flatten() {
        let address = &listener.address;
        checks.push(match &listener.found {
            Found::Ours => check("listener", Status::Ok, format!("a Loopgate with this key on {address}")),
            Found::Nobody => check("listener", Status::Fail, format!("nothing on {address}")),
            Found::Other(found) => check("listener", Status::Fail, format!("{address}: {}", found.summary)),
        });
    }
    if facts.listeners.as_ref().is_some_and(Vec::is_empty) {
        checks.push(check("listener", Status::Fail, "[tunnel] has no listen"));
    }
    let them: Vec<&str> = facts.their_keys.iter().map(String::as_str).collect();
    checks.push(check("their_key", Status::Ok, format!("lets in {}", them.join(", "))));
    let status = if facts.exposed.is_some() { Status::Warn } else { Status::Ok };
    let text =
        if facts.exposed.is_some() { "may_listen opens to everybody" } else { "nothing open to everybody" };
    checks.push(check("exposure", status, text));
    checks.push(check(
        "connect",
        Status::Skip,
        "the other end does that: ask there, loopgate explain tunnel:NAME",
    ));
}

fn of_target(route: &str, found: &Diagnosis) -> Check {
    let subject = &found.subject;
    let (status, text) = match found.severity() {
        Severity::Fine => (Status::Ok, "answers".to_owned()),
        Severity::Warning => (Status::Warn, found.summary.clone()),
        Severity::Unclear | Severity::Error => (Status::Fail, found.summary.clone()),
    };
    check("target", status, format!("{route}: {subject} {text}"))
}

/// The most addresses of a name that are shown.
const MAX_SHOWN: usize = 3;

fn listed(addresses: &[SocketAddr]) -> String {
    let shown: Vec<String> = addresses.iter().take(MAX_SHOWN).map(|it| it.ip().to_string()).collect();
    let more = addresses.len().saturating_sub(MAX_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}
