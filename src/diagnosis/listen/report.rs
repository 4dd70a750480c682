//! The text a user reads when listening failed: all failures together, each in at most some eight lines.
//!
//! It prints nothing, colours nothing and knows no terminal; the words are `wording.rs`'s, what to do is here.

use std::fmt::Write as _;

use super::bind::BindFinding;
use super::wording::{details, names, pids, summary};
use crate::diagnosis::finding::errno_name;
use crate::diagnosis::verdict::Verdict;
use crate::outcome::Holder;

/// More failures than this are listed with one line each, and the second limit ends that list.
const IN_FULL: usize = 8;
const IN_BRIEF: usize = 40;

/// The report over every failed bind, ending in a line break; failures that one instance of this program causes are
/// one finding to a reader, and told as one.
pub fn bind_report(findings: &[BindFinding]) -> String {
    let groups = grouped(findings);
    let mut blocks: Vec<String> = groups.iter().take(IN_FULL).map(|group| block(group)).collect();
    let brief: Vec<String> =
        groups.iter().skip(IN_FULL).take(IN_BRIEF).map(|group| headline(group)).collect();
    if !brief.is_empty() {
        blocks.push(brief.concat());
    }
    let untold = groups.len().saturating_sub(IN_FULL + IN_BRIEF);
    if untold > 0 {
        blocks.push(format!("and {untold} more\n"));
    }
    blocks.join("\n")
}

/// Failures in the hands of the same other instance stand together, at the place of the first.
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

fn block(group: &[&BindFinding]) -> String {
    let first = group[0];
    let mut text = headline(group);
    for (name, line) in details(first) {
        let _ = writeln!(text, "  {name:<7} {line}");
    }
    if let Some(fix) = fix(first) {
        let _ = writeln!(text, "  fix     {fix}");
    }
    let errno = errno_name(first.facts.errno);
    let _ = writeln!(text, "  [{}, {errno} \"{}\"]", first.verdict, first.facts.os_message);
    text
}

fn headline(group: &[&BindFinding]) -> String {
    let first = group[0];
    if first.verdict == Verdict::AlreadyRunning {
        let addresses = enumerated(group.iter().map(|finding| place(finding)));
        return format!("error: already running: {} holds {addresses}\n", names(&first.holders()));
    }
    format!("error: cannot listen on {}: {}\n", place(first), summary(first))
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

fn enumerated(places: impl ExactSizeIterator<Item = String>) -> String {
    let rest = places.len().saturating_sub(IN_FULL);
    let mut shown: Vec<String> = places.take(IN_FULL).collect();
    if rest > 0 {
        shown.push(format!("{rest} more"));
    }
    shown.join(", ")
}

/// One proposal, at most with an alternative.
fn fix(finding: &BindFinding) -> Option<String> {
    let facts = &finding.facts;
    let port = facts.address.port();
    let other = facts.next_free.map(|free| {
        let mut address = facts.address;
        address.set_port(free);
        format!("listen on {address}, which is free now")
    });
    let either = |first: String| Some(other.iter().fold(first, |text, other| format!("{text}; or {other}")));
    match finding.verdict {
        Verdict::AlreadyRunning => Some(format!("nothing to do; to stop it: {}", end(finding)?)),
        Verdict::PortHeldBySuspended => {
            either(format!("{}, or resume it: kill -CONT {}", end_stopped(finding), all(finding)))
        }
        Verdict::PortHeldHidden => either("run this again as root to see which process it is".to_owned()),
        Verdict::PortHeldByOutgoing if facts.ports.may_be_drawn(port) => {
            let first = end(finding).map_or("wait".to_owned(), |end| format!("wait, or {end}"));
            Some(format!(
                "{first}; for good: sysctl -w net.ipv4.ip_local_reserved_ports={}",
                reserved_with(finding)
            ))
        }
        Verdict::PortInTimeWait => either("wait".to_owned()),
        Verdict::AddressTentative => {
            Some("wait two seconds; if it stays, another machine has the address".to_owned())
        }
        Verdict::Ipv6Disabled => Some(format!("listen on 127.0.0.1:{port}")),
        Verdict::AddressNotLocal => {
            Some(format!("listen on one of those, or on 0.0.0.0:{port} for all of them"))
        }
        Verdict::MissingScope => Some(with_scope(finding)),
        Verdict::OwnFdLimit => {
            Some("raise the limit: ulimit -n, or LimitNOFILE= in a systemd unit".to_owned())
        }
        Verdict::SystemFileLimit => Some("raise it: sysctl -w fs.file-max=NUMBER".to_owned()),
        Verdict::EphemeralPortsExhausted => {
            Some("name a port, or widen net.ipv4.ip_local_port_range".to_owned())
        }
        Verdict::PortPrivileged => {
            let grant =
                "grant it: setcap cap_net_bind_service=+ep FILE, or AmbientCapabilities= in a systemd unit";
            Some(other.map_or(grant.to_owned(), |other| format!("{other}; or {grant}")))
        }
        Verdict::BindDeniedBySandbox => Some("allow the port in that policy; root does not help".to_owned()),
        Verdict::Unknown if facts.errno != libc::EADDRINUSE => None,
        _ => match end(finding) {
            Some(end) => either(end),
            None => other,
        },
    }
}

/// `kill 7 8`; nothing where that would end this process or the init of the system.
fn end(finding: &BindFinding) -> Option<String> {
    let holders = finding.holders();
    let unfit = |holder: &&Holder| holder.this_process || holder.pid == 1;
    (!holders.is_empty() && !holders.iter().any(unfit)).then(|| format!("kill {}", all(finding)))
}

/// A stopped process acts on a signal only once it goes on (signal(7)).
fn end_stopped(finding: &BindFinding) -> String {
    format!("end it: kill {0}; kill -CONT {0}", all(finding))
}

fn all(finding: &BindFinding) -> String {
    pids(&finding.holders()).join(" ")
}

/// The setting replaces the whole list, so what it holds already is repeated.
fn reserved_with(finding: &BindFinding) -> String {
    let mut ranges: Vec<String> = Vec::new();
    for (first, last) in &finding.facts.ports.reserved {
        ranges.push(if first == last { first.to_string() } else { format!("{first}-{last}") });
    }
    ranges.push(finding.facts.address.port().to_string());
    ranges.join(",")
}

fn with_scope(finding: &BindFinding) -> String {
    let address = finding.facts.address;
    let own = finding.facts.network.ipv6.iter().flatten().find(|own| own.ip == address.ip());
    let interface = own.map_or("INTERFACE", |own| own.interface.as_str());
    format!("write [{}%{interface}]:{}", address.ip(), address.port())
}

#[cfg(test)]
mod tests;
