//! The words for a failed bind: a summary, the lines of detail, what to do. Pure.
//!
//! Every fact a line names was read; what was not read is said in the line `hidden`. A fix names only commands that
//! exist.

use std::net::IpAddr;
use std::time::Duration;

use super::bind::{BindFinding, decisive};
use super::facts::{BindFacts, Blocker};
use super::overlap::Overlap;
use crate::diagnosis::verdict::Verdict;
use crate::outcome::Holder;
use crate::probe::sockets::TcpState;

/// What follows "cannot listen on ADDRESS: ".
pub(super) fn summary(finding: &BindFinding) -> String {
    let facts = &finding.facts;
    let port = facts.address.port();
    let who = names(&finding.holders());
    match finding.verdict {
        Verdict::PortHeld | Verdict::PortHeldByGroup => format!("taken by {who}"),
        Verdict::AlreadyRunning => format!("already running: {who}"),
        Verdict::PortHeldByWildcard => format!("taken by {who}, which has every {} address", family(facts)),
        Verdict::PortHeldByDualStack => {
            format!("taken by {who}, whose IPv6 socket [::]:{port} takes IPv4 too")
        }
        Verdict::WildcardBlockedBySpecific => format!("only {} is taken, by {who}", blocked_addresses(facts)),
        Verdict::PortHeldBySuspended => format!("taken by {who}, which is suspended"),
        Verdict::PortHeldHidden => format!("taken by a process of user {}", owner(facts)),
        Verdict::PortHeldByOutgoing => "in use as source port of an outgoing connection".to_owned(),
        Verdict::PortHeldByOldConnections => "connections of a server that ended still have it".to_owned(),
        Verdict::PortInTimeWait => {
            format!("closed connections still have it, for {} at most", time_wait(facts))
        }
        Verdict::PortPrivileged => format!("ports below {} need a privilege", facts.ports.first_unprivileged),
        Verdict::AddressNotLocal => "no interface of this machine has this address".to_owned(),
        Verdict::AddressTentative => "the address is still being checked for a double".to_owned(),
        Verdict::Ipv6Disabled => "IPv6 is off on this machine".to_owned(),
        Verdict::MissingScope => "a link-local address needs its interface".to_owned(),
        Verdict::OwnFdLimit => "this process has no descriptor left".to_owned(),
        Verdict::SystemFileLimit => "the machine has no file left".to_owned(),
        Verdict::EphemeralPortsExhausted => "no free port is left to choose".to_owned(),
        Verdict::BindDeniedBySandbox => "a sandbox or security policy forbids it".to_owned(),
        Verdict::Unknown if facts.errno == libc::EADDRINUSE => "held, but I cannot see by whom".to_owned(),
        _ => facts.os_message.clone(),
    }
}

/// `who`, `how`, `proof` and their like, in the order of a report.
pub(super) fn details(finding: &BindFinding) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(&str, String)> = who(finding);
    lines.extend(how(finding).map(|text| ("how", text)));
    lines.extend(proof(finding).map(|text| ("proof", text)));
    lines.extend(hidden(finding).map(|text| ("hidden", text)));
    lines
}

const SHOWN_HOLDERS: usize = 2;

fn who(finding: &BindFinding) -> Vec<(&'static str, String)> {
    let holders = finding.holders();
    let mut lines: Vec<_> =
        holders.iter().take(SHOWN_HOLDERS).map(|holder| ("who", describe(holder))).collect();
    if holders.len() > SHOWN_HOLDERS {
        let rest = &holders[SHOWN_HOLDERS..];
        lines.push(("", format!("and {} more: {}", rest.len(), pids(rest).join(", "))));
    }
    if let [only] = &finding.facts.candidates[..] {
        lines.push(("who", format!("probably {}: the only process that fits", describe(only))));
    } else if !finding.facts.candidates.is_empty() {
        let candidates: Vec<&Holder> = finding.facts.candidates.iter().collect();
        lines.push(("who", format!("one of {}, or another", names(&candidates))));
    }
    lines
}

/// `python3 -m http.server (pid 4711), user ana, for 42 min`
fn describe(holder: &Holder) -> String {
    let command = holder.command();
    let user = holder.user.clone().unwrap_or_else(|| format!("uid {}", holder.uid));
    let mut text = format!("{command} (pid {}), user {user}", holder.pid);
    text.extend(holder.age.map(|age| format!(", for {}", rough(age))));
    if holder.this_process {
        text.push_str(", this very process");
    } else if holder.same_program {
        text.push_str(", this same program");
    }
    if holder.suspended() {
        text.push_str(", suspended");
    }
    text
}

/// `python3 (pid 7)`, `nginx (pid 7) and 4 more processes`
pub(super) fn names(holders: &[&Holder]) -> String {
    match holders {
        [] => "a process that could not be named".to_owned(),
        [one] if one.this_process => format!("this very process (pid {})", one.pid),
        [one] => format!("{} (pid {})", one.comm, one.pid),
        [first, rest @ ..] => {
            let plural = if rest.len() == 1 { "" } else { "es" };
            format!("{} (pid {}) and {} more process{plural}", first.comm, first.pid, rest.len())
        }
    }
}

fn how(finding: &BindFinding) -> Option<String> {
    let facts = &finding.facts;
    let port = facts.address.port();
    let (first_port, last_port) = facts.ports.outgoing;
    Some(match finding.verdict {
        Verdict::PortHeldByOutgoing if facts.ports.may_be_drawn(port) => {
            format!(
                "nobody listens; {port} lies in the range for outgoing connections, {first_port}-{last_port}"
            )
        }
        Verdict::PortHeldByOutgoing => "nobody listens; a program chose this source port itself".to_owned(),
        Verdict::PortHeldByOldConnections => "nobody listens; they were made without SO_REUSEADDR".to_owned(),
        Verdict::PortInTimeWait => {
            "nobody listens and no process has it; they were made without SO_REUSEADDR".to_owned()
        }
        Verdict::PortPrivileged => {
            format!("user {} lacks CAP_NET_BIND_SERVICE here; {port} is low", facts.rights.uid)
        }
        Verdict::AddressNotLocal => format!("this machine has {}", own_addresses(facts)),
        Verdict::Ipv6Disabled => format!("{} does not exist while disable_ipv6 is 1", facts.address.ip()),
        Verdict::MissingScope => format!("{} may be on every link; see `fix`", facts.address.ip()),
        Verdict::OwnFdLimit => descriptors(facts),
        Verdict::BindDeniedBySandbox => restraints(facts),
        _ => overlap_in_words(decisive(facts).first()?, facts),
    })
}

fn overlap_in_words(blocker: &Blocker, facts: &BindFacts) -> String {
    let verb =
        if blocker.socket.state == TcpState::Listen { "listens" } else { "is bound, not yet listening," };
    let local = blocker.socket.local;
    match blocker.overlap {
        Overlap::Exact => format!("{verb} on exactly this address"),
        Overlap::Wildcard => {
            format!("{verb} on {local}: no other {} address of the port is free", family(facts))
        }
        Overlap::DualStack => format!("{verb} on {local} without IPV6_V6ONLY: IPv4 tables do not show it"),
        Overlap::Specific => format!("{verb} on {local} alone, which {} would cover", facts.address),
    }
}

fn proof(finding: &BindFinding) -> Option<String> {
    let facts = &finding.facts;
    let blockers = decisive(facts);
    let Some(Blocker { socket, .. }) = blockers.first() else {
        let looked = facts.errno == libc::EADDRINUSE && facts.address.port() != 0;
        return looked.then(|| "no TCP socket of this network namespace shows this port".to_owned());
    };
    let mut text = format!("{} {}", socket.state.name(), socket.local);
    if socket.remote.port() != 0 {
        text.push_str(&format!(" -> {}", socket.remote));
    }
    if socket.inode != 0 {
        text.push_str(&format!(", inode {}", socket.inode));
    }
    if let Some(held) = facts.held.iter().find(|held| held.inode == socket.inode) {
        text.push_str(&format!(" = /proc/{}/fd/{}", held.holder.pid, held.descriptor));
    }
    if socket.state == TcpState::Listen {
        text.push_str(&format!(", {} waiting", socket.receive_queue));
    }
    if blockers.len() > 1 {
        text.push_str(&format!("; {} sockets in all", blockers.len()));
    }
    Some(text)
}

/// What could not be seen, so that nobody takes "not seen" for "not there".
fn hidden(finding: &BindFinding) -> Option<String> {
    let facts = &finding.facts;
    let mut gaps = Vec::new();
    let unnamed =
        finding.holders().is_empty() && decisive(facts).first().is_some_and(|b| b.socket.inode != 0);
    if unnamed && facts.closed > 0 {
        gaps.push(format!("descriptors of {} processes, open to their users and root only", facts.closed));
    } else if unnamed && !facts.maybe_others {
        gaps.push(
            "no process visible here has it: another PID namespace (a container) or the kernel".to_owned(),
        );
    }
    if facts.maybe_others {
        gaps.push("the search was cut short: maybe others hold it as well".to_owned());
    }
    if !facts.not_readable.is_empty() {
        gaps.push(format!("not readable: {}", facts.not_readable.join(", ")));
    }
    if finding.verdict == Verdict::Unknown && facts.errno == libc::EADDRINUSE && gaps.is_empty() {
        gaps.push("it may be gone by now, or be bound without listening (shown since Linux 6.8)".to_owned());
    }
    (!gaps.is_empty()).then(|| gaps.join("; "))
}

fn blocked_addresses(facts: &BindFacts) -> String {
    let mut addresses: Vec<String> =
        decisive(facts).iter().map(|b| b.socket.local.ip().to_string()).collect();
    addresses.dedup();
    addresses.truncate(4);
    addresses.join(", ")
}

fn own_addresses(facts: &BindFacts) -> String {
    let own: Vec<String> = facts.network.addresses().iter().take(6).map(IpAddr::to_string).collect();
    if own.is_empty() {
        "no address at all: its loopback interface is down".to_owned()
    } else {
        own.join(", ")
    }
}

fn descriptors(facts: &BindFacts) -> String {
    let number = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |limit| limit.to_string());
    let used = facts.descriptors.used.map_or("all".to_owned(), |used| used.to_string());
    format!(
        "{used} of {} in use; the hard limit is {}",
        number(facts.descriptors.soft),
        number(facts.descriptors.hard)
    )
}

fn restraints(facts: &BindFacts) -> String {
    let rights = &facts.rights;
    let mut signs = Vec::new();
    signs.extend(rights.label.as_ref().map(|label| format!("confined as {label}")));
    signs.extend(rights.seccomp.then(|| "a seccomp filter is active".to_owned()));
    signs.extend(rights.no_new_privs.then(|| "no_new_privs is set, as Landlock needs".to_owned()));
    if signs.is_empty() {
        signs.push(
            "no sign of which: look for SELinux, AppArmor, Landlock, a BPF filter of the cgroup".to_owned(),
        );
    }
    format!("this process may bind the port by its rights; {}", signs.join(", "))
}

fn time_wait(facts: &BindFacts) -> String {
    let longest = decisive(facts).iter().filter_map(|blocker| blocker.socket.expires).max();
    longest.map_or("a minute".to_owned(), rough)
}

pub(super) fn owner(facts: &BindFacts) -> String {
    let uid = facts.blockers.first().map_or(0, |blocker| blocker.socket.uid);
    facts.owner.as_ref().map_or(format!("{uid}"), |name| format!("{name} (uid {uid})"))
}

fn family(facts: &BindFacts) -> &'static str {
    if facts.address.is_ipv4() { "IPv4" } else { "IPv6" }
}

pub(super) fn pids(holders: &[&Holder]) -> Vec<String> {
    const SHOWN: usize = 8;
    holders.iter().take(SHOWN).map(|holder| holder.pid.to_string()).collect()
}

/// Two digits are enough for a person.
fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
