//! Words a failed bind: a summary and the lines of detail. Pure.
//!
//! Every fact that a line states was read; the line `hidden` lists what could not be read.

use std::net::IpAddr;

use super::facts::{BindFacts, Blocker};
use super::judge::{decisive, on_another_link};
use super::overlap::Overlap;
use crate::diagnosis::process_text::{describe, home, names, parentage, pids, rough, since};
use crate::diagnosis::verdict::Verdict;
use crate::outcome::Holder;
use crate::probe::sockets::TcpState;
use crate::probe::sockets::ports::Transport;

/// The clause after "cannot listen on ADDRESS: ", such as `taken by python3 (pid 4711)`; for `already-running` a whole
/// sentence.
pub(super) fn summary(facts: &BindFacts, verdict: Verdict) -> String {
    let port = facts.address.port();
    let who = names(&facts.holders());
    match verdict {
        Verdict::PortHeld | Verdict::PortHeldByGroup => format!("taken by {who}"),
        Verdict::AlreadyRunning => already_running(facts),
        Verdict::PortHeldByLeftoverChild => {
            format!("taken by {who}, which inherited the socket from a server that ended")
        }
        Verdict::ReuseportOtherUser => {
            format!("taken by {who}, which shares it by SO_REUSEPORT only with its own user {}", owner(facts))
        }
        Verdict::PortHeldByWildcard => format!("taken by {who}, which has every {} address", family(facts)),
        Verdict::PortHeldByDualStack => {
            format!("taken by {who}, whose IPv6 socket [::]:{port} takes IPv4 too")
        }
        Verdict::WildcardBlockedBySpecific => format!("only {} is taken, by {who}", blocked_addresses(facts)),
        Verdict::PortHeldBySuspended if in_debugger(facts).is_some() => {
            format!("taken by {who}, which is held in a debugger")
        }
        Verdict::PortHeldBySuspended => format!("taken by {who}, which is suspended"),
        Verdict::PortHeldHidden => format!("taken by a process of user {}", owner(facts)),
        Verdict::PortHeldByOutgoing => format!(
            "nothing listens, but {who} has it as the source port of a connection to {}",
            decisive(facts).first().map_or("another address".to_owned(), |b| b.socket.remote.to_string())
        ),
        Verdict::PortHeldByOldConnections => {
            format!("nothing listens, but {who} still serves a connection of a server that ended")
        }
        Verdict::PortInTimeWait => {
            format!("{} expires in {}", old_connections(facts), time_wait(facts))
        }
        Verdict::PortPrivileged => format!("ports below {} need a privilege", facts.ports.first_unprivileged),
        Verdict::AddressNotLocal if facts.errno == libc::ENODEV => {
            "the interface it names does not exist".to_owned()
        }
        Verdict::AddressNotLocal if facts.own_link().is_some_and(|link| !link.up) => {
            "the interface that has this address is down".to_owned()
        }
        Verdict::AddressNotLocal if on_another_link(facts) => "another interface has this address".to_owned(),
        Verdict::AddressNotLocal => "no interface of this machine has this address".to_owned(),
        Verdict::AddressTentative if is_double(facts) => "another machine has this address".to_owned(),
        Verdict::AddressTentative => "the kernel still checks it for a duplicate".to_owned(),
        Verdict::LoopbackDown => "the loopback interface is down".to_owned(),
        Verdict::LoopbackRouteLost => "it was removed from the loopback interface".to_owned(),
        Verdict::Ipv6Disabled => "IPv6 is off on this machine".to_owned(),
        Verdict::MissingScope => "a link-local address needs its interface".to_owned(),
        Verdict::OwnFdLimit => "this process has no descriptor left".to_owned(),
        Verdict::SystemFileLimit => "the machine's table of open files is full".to_owned(),
        Verdict::EphemeralPortsExhausted => "no free port is left".to_owned(),
        Verdict::BindDeniedBySandbox => "a sandbox or security policy forbids it".to_owned(),
        Verdict::Unknown if facts.errno == libc::EADDRINUSE => "held, but its holder is hidden".to_owned(),
        Verdict::Unknown if facts.errno == libc::EAGAIN => "no thread can be started for it".to_owned(),
        _ => facts.os_message.clone(),
    }
}

fn already_running(facts: &BindFacts) -> String {
    let holders = facts.holders();
    let Some(first) = holders.first() else { return "already running".to_owned() };
    let since = since(first).map(|since| format!(", {since}")).unwrap_or_default();
    format!("{} is already running (pid {}{since}) and holds {}", first.comm, first.pid, facts.address)
}

/// The debugger that holds the holders.
pub(super) fn in_debugger(facts: &BindFacts) -> Option<u32> {
    facts.holders().iter().find(|holder| holder.state == 't').and_then(|holder| holder.tracer)
}

fn is_double(facts: &BindFacts) -> bool {
    facts.network.ipv6.iter().flatten().any(|own| own.ip == facts.address.ip() && own.duplicate)
}

/// The labelled lines (`who`, `how`, `proof` …), in the order of a report.
pub(super) fn details(facts: &BindFacts, verdict: Verdict) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(&str, String)> = who(facts);
    if let [only] = facts.holders()[..] {
        lines.extend(home(only).map(|text| ("lives", text)));
        lines.extend(parentage(only).map(|text| ("parent", text)));
    }
    lines.extend(how(facts, verdict).map(|text| ("how", text)));
    lines.extend(beside(facts).map(|text| ("beside", text)));
    lines.extend(proof(facts).map(|text| ("proof", text)));
    lines.extend(hidden(facts, verdict).map(|text| ("hidden", text)));
    lines
}

const SHOWN_HOLDERS: usize = 2;

fn who(facts: &BindFacts) -> Vec<(&'static str, String)> {
    let holders = facts.holders();
    let mut lines: Vec<_> =
        holders.iter().take(SHOWN_HOLDERS).map(|holder| ("who", describe(holder))).collect();
    if holders.len() > SHOWN_HOLDERS {
        let rest = &holders[SHOWN_HOLDERS..];
        lines.push(("", format!("and {} more: {}", rest.len(), pids(rest).join(", "))));
    }
    let candidates: Vec<&Holder> = facts.candidates.iter().collect();
    if let [only] = candidates[..] {
        lines.push(("who", format!("probably {}: the only process that fits", describe(only))));
    } else if !candidates.is_empty() {
        lines.push(("who", format!("one of {}, or another", names(&candidates))));
    }
    lines
}

fn how(facts: &BindFacts, verdict: Verdict) -> Option<String> {
    let port = facts.address.port();
    let (first_port, last_port) = facts.ports.outgoing;
    Some(match verdict {
        Verdict::PortHeldByOutgoing if facts.ports.may_be_drawn(port) => {
            format!(
                "nothing listens; {port} lies in the range for outgoing connections, {first_port}-{last_port}"
            )
        }
        Verdict::PortHeldByOutgoing => "nothing listens; a program chose this source port itself".to_owned(),
        Verdict::PortHeldByOldConnections => "nothing listens; made without SO_REUSEADDR".to_owned(),
        Verdict::PortInTimeWait => {
            "nothing listens and no process has it; made without SO_REUSEADDR".to_owned()
        }
        Verdict::PortPrivileged => {
            format!("user {} lacks CAP_NET_BIND_SERVICE here; {port} is low", facts.rights.uid)
        }
        Verdict::AddressNotLocal if facts.link.is_some() => on_link(facts)?,
        Verdict::AddressNotLocal => format!("this machine has {}", own_addresses(facts)),
        Verdict::Ipv6Disabled => format!("{} does not exist while disable_ipv6 is 1", facts.address.ip()),
        Verdict::MissingScope => format!("{} may be on every link; see `fix`", facts.address.ip()),
        Verdict::OwnFdLimit => descriptors(facts),
        Verdict::BindDeniedBySandbox => restraints(facts),
        Verdict::LoopbackDown => "::1 exists only while lo is up".to_owned(),
        Verdict::LoopbackRouteLost => "lo is up and IPv6 is on, so ::1 existed once".to_owned(),
        Verdict::AddressTentative => on_link(facts)?,
        Verdict::PortHeldBySuspended if let Some(debugger) = in_debugger(facts) => {
            format!("{}; pid {debugger} traces it", overlap_in_words(decisive(facts).first()?, facts))
        }
        Verdict::PortHeldByLeftoverChild => format!(
            "{}, but its program accepts nothing: it imports neither listen nor accept",
            overlap_in_words(decisive(facts).first()?, facts)
        ),
        Verdict::PortHeldByGroup => format!(
            "{}; {} processes share it, and ending one does not free it",
            overlap_in_words(decisive(facts).first()?, facts),
            facts.holders().len()
        ),
        Verdict::ReuseportOtherUser => {
            format!("you are uid {}; the kernel shares a port only within one user", facts.rights.uid)
        }
        _ => overlap_in_words(decisive(facts).first()?, facts),
    })
}

/// `[::1] and 127.0.0.2 are free`: the same port elsewhere on this machine.
fn beside(facts: &BindFacts) -> Option<String> {
    const SHOWN: usize = 3;
    let written = |ip: &IpAddr| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    let free: Vec<String> = facts.free_beside.iter().take(SHOWN).map(written).collect();
    match &free[..] {
        [] => None,
        [one] => Some(format!("{one} is free on this port")),
        more => Some(format!("{} are free on this port", more.join(", "))),
    }
}

/// The link of the address, and whether it is up.
fn on_link(facts: &BindFacts) -> Option<String> {
    let link = facts.own_link()?;
    Some(format!("it is on {}, which is {}", link.name, if link.up { "up" } else { "down" }))
}

fn overlap_in_words(blocker: &Blocker, facts: &BindFacts) -> String {
    let verb = match (facts.transport, blocker.socket.state) {
        (Transport::Udp, _) => "receives",
        (_, TcpState::Listen) => "listens",
        _ => "is bound, not yet listening,",
    };
    let local = blocker.socket.local;
    let device = blocker.device.as_ref().map(|name| format!(", on interface {name}")).unwrap_or_default();
    let place = match blocker.overlap {
        // The same address as an IPv4-mapped IPv6 address, or the reverse.
        Overlap::Exact if local.ip() != facts.address.ip() => format!("on {local}, which is this address"),
        Overlap::Exact => "on exactly this address".to_owned(),
        Overlap::Wildcard => format!("on {local}: no other {} address of the port is free", family(facts)),
        Overlap::DualStack => format!("on {local} without IPV6_V6ONLY: IPv4 tables do not show it"),
        Overlap::Specific => format!("on {local} alone, which {} would cover", facts.address),
    };
    format!("{verb} {place}{device}")
}

fn proof(facts: &BindFacts) -> Option<String> {
    let blockers = decisive(facts);
    let Some(Blocker { socket, .. }) = blockers.first() else {
        let looked = facts.errno == libc::EADDRINUSE && facts.address.port() != 0;
        return looked.then(|| {
            let kind = if facts.transport == Transport::Udp { "UDP" } else { "TCP" };
            format!("no {kind} socket of this network namespace shows this port")
        });
    };
    let state = if facts.transport == Transport::Udp { "UDP" } else { socket.state.name() };
    let mut text = format!("{state} {}", socket.local);
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

/// What could not be seen, so that a reader does not take "not seen" for "not there".
fn hidden(facts: &BindFacts, verdict: Verdict) -> Option<String> {
    let mut gaps = Vec::new();
    let unnamed = facts.holders().is_empty() && decisive(facts).first().is_some_and(|b| b.socket.inode != 0);
    if unnamed && facts.closed > 0 {
        gaps.push(format!("descriptors of {} processes, open only to their users and root", facts.closed));
    } else if unnamed && facts.hidepid {
        gaps.push("the processes of other users: /proc is mounted with hidepid".to_owned());
    } else if unnamed && !facts.maybe_others && facts.not_readable.is_empty() {
        gaps.push(
            "no process visible here has it: another PID namespace (a container) or the kernel".to_owned(),
        );
    }
    if facts.maybe_others {
        gaps.push("the search was cut short: others may hold it as well".to_owned());
    }
    if !facts.not_readable.is_empty() {
        gaps.push(format!("not readable: {}", facts.not_readable.join(", ")));
    }
    if verdict == Verdict::Unknown && facts.errno == libc::EADDRINUSE && gaps.is_empty() {
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

/// The addresses of this machine, the one with the longest common prefix with the wanted one first.
pub(super) fn nearest_first(facts: &BindFacts) -> Vec<IpAddr> {
    let mut own = facts.network.addresses();
    own.sort_by_key(|ip| std::cmp::Reverse(common_bits(*ip, facts.address.ip())));
    own
}

fn common_bits(a: IpAddr, b: IpAddr) -> u32 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => 1 + (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => 1 + (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => 0,
    }
}

fn own_addresses(facts: &BindFacts) -> String {
    let own: Vec<String> = nearest_first(facts).iter().take(6).map(IpAddr::to_string).collect();
    if own.is_empty() {
        "no address at all: its loopback interface is down".to_owned()
    } else {
        own.join(", ")
    }
}

fn descriptors(facts: &BindFacts) -> String {
    let number = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |limit| limit.to_string());
    let used = facts.descriptors.used.map_or("an unknown number".to_owned(), |used| used.to_string());
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
            "no sign of which: check SELinux, AppArmor, Landlock, a BPF filter of the cgroup".to_owned(),
        );
    }
    format!("this process may bind the port by its rights; {}", signs.join(", "))
}

fn old_connections(facts: &BindFacts) -> String {
    match decisive(facts).len() {
        1 => "1 old connection still has it and".to_owned(),
        more => format!("{more} old connections still have it; the last"),
    }
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
