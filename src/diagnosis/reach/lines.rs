//! The lines of a report about an address, one fact each. Pure.

use std::time::Duration;

use super::answers::{other_host, protocol};
use super::facts::{Lookup, ReachFacts};
use super::kills::{killed, perhaps_killed};
use super::pastime::waits_for_more;
use super::who::{what_they_do, who};
use crate::diagnosis::finding::Diagnosis;
use crate::diagnosis::process_text::{describe, home, parentage, rough};
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::probe::process::memory::Kill;
use crate::probe::sockets::Socket;
use crate::probe::trace::recognise::line;
use crate::probe::trace::{Connection, Dial, Ending};
use crate::units::counted;

const SHOWN_HOLDERS: usize = 2;

/// Adds the holders, their activity, the proof, what was sent and what could not be read.
pub(super) fn add(facts: &ReachFacts, diagnosis: &mut Diagnosis) {
    let verdict = diagnosis.verdict;
    for holder in facts.holders().into_iter().take(SHOWN_HOLDERS) {
        diagnosis.detail("who", describe(holder));
    }
    if let Some(holder) = facts.holders().first() {
        let home = home(holder).into_iter().chain(parentage(holder)).collect::<Vec<_>>();
        if !home.is_empty() {
            diagnosis.detail("of", home.join(", started by "));
        }
    }
    if let [only] = &facts.candidates[..] {
        diagnosis.detail("who", format!("probably {}", describe(only)));
    }
    match verdict {
        Verdict::TargetOnOtherPort => near_ports(facts, diagnosis),
        Verdict::TargetKilledOom => kill_line("last", killed(facts), diagnosis),
        Verdict::TargetNotRunning => kill_line("perhaps", perhaps_killed(facts), diagnosis),
        Verdict::TargetFlapping => flapping_lines(facts, diagnosis),
        _ => {}
    }
    let silent = facts.first().is_some_and(Connection::is_silent);
    if silent && verdict != Verdict::Healthy {
        for text in what_they_do(facts) {
            diagnosis.detail("does", text);
        }
    }
    let proof = proof(facts);
    if !proof.is_empty() && !matches!(verdict, Verdict::Healthy) {
        diagnosis.detail("proof", proof);
    }
    sent(facts, diagnosis);
    evidence(facts, diagnosis);
    if let Some(hidden) = hidden(facts, diagnosis.certainty, verdict) {
        diagnosis.detail("hidden", hidden);
    }
}

/// `LISTEN 127.0.0.1:80, inode 9, 0 of 64 waiting`
pub(super) fn row(socket: &Socket) -> String {
    let mut text = format!("{} {}", socket.state.name(), socket.local);
    if socket.interface != 0 {
        text.push_str(&format!(" on interface {}", socket.interface));
    }
    text.push_str(&format!(", inode {}", socket.inode));
    if socket.state == crate::probe::sockets::TcpState::Listen {
        text.push_str(&format!(", {} of {} waiting", socket.receive_queue, socket.send_queue));
    }
    text
}

fn proof(facts: &ReachFacts) -> String {
    let mut parts = Vec::new();
    match &facts.after {
        Lookup::Found(socket) => parts.push(row(socket)),
        Lookup::Nobody => parts.push("the kernel's lookup finds no listener for this address".to_owned()),
        Lookup::Unknown => {}
    }
    parts.extend(facts.first().and_then(|first| connection(facts, first)));
    let changes = &facts.changes;
    for (count, name) in [
        (changes.syn_retransmits, "SYN retransmits"),
        (changes.listen_overflows, "ListenOverflows"),
        (changes.icmp_unreachable, "ICMP unreachable"),
        (changes.md5_not_found, "TCPMD5NotFound"),
        (super::way::martians(facts), "in_martian_dst"),
    ] {
        if count > 0 {
            parts.push(format!("{name} +{count}"));
        }
    }
    parts.join("; ")
}

/// What one connection showed.
fn connection(facts: &ReachFacts, first: &Connection) -> Option<String> {
    match (first.dial, first.server, first.ending) {
        (Dial::Failed(..), ..) => None,
        (Dial::TimedOut(after), ..) => Some(format!("no answer in {}", short(after))),
        (Dial::Connected(_), Some(side), Ending::Open) if side.inode == 0 => Some(format!(
            "connected, but no process has the service's end after {}{}",
            short(first.watched),
            if side.half_open { " (SYN_RECV)" } else { " (inode 0)" }
        )),
        (Dial::Connected(_), Some(side), Ending::Open) if first.is_silent() => Some(format!(
            "accepted (inode {}), {} bytes unread after {}",
            side.inode,
            side.unread,
            short(first.watched)
        )),
        (Dial::Connected(_), _, Ending::Closed(after)) if first.received.is_empty() => {
            Some(format!("connected, and closed after {} without a byte", short(after)))
        }
        (Dial::Connected(_), _, Ending::Reset(after)) if first.received.is_empty() => {
            Some(format!("connected, and reset after {} without a byte", short(after)))
        }
        _ => {
            let found = protocol(facts).map(|found| found.text)?;
            Some(found)
        }
    }
}

/// Lists what was sent over all connections, to explain the entries in the service's log.
fn sent(facts: &ReachFacts, diagnosis: &mut Diagnosis) {
    let all = &facts.trace.connections;
    if all.len() < 2 && all.iter().all(|connection| connection.sent.is_none()) {
        return;
    }
    let requests: Vec<String> = all
        .iter()
        .map(|connection| connection.sent.as_ref().map_or("nothing".to_owned(), |sent| sent.name()))
        .collect();
    if diagnosis.verdict != Verdict::Healthy {
        diagnosis.detail("sent", format!("{}: {}", counted(all.len(), "connection"), requests.join("; ")));
    }
    diagnosis.fact("trace", format!("sent {}", requests.join("; ")), requests);
}

/// Adds the facts as evidence.
fn evidence(facts: &ReachFacts, diagnosis: &mut Diagnosis) {
    for (name, lookup) in [("before", &facts.before), ("after", &facts.after)] {
        if let Lookup::Found(socket) = lookup {
            let value = serde_json::to_value(socket).unwrap_or_default();
            diagnosis.fact("sock_diag", format!("listener {name} the trace: {}", row(socket)), value);
        } else if *lookup == Lookup::Nobody {
            diagnosis.fact("sock_diag", format!("no listener {name} the trace"), serde_json::Value::Null);
        }
    }
    for connection in &facts.trace.connections {
        let mut value = serde_json::to_value(connection).unwrap_or_default();
        value["received"] = line(&connection.received).into();
        value["received_bytes"] = connection.received.len().into();
        diagnosis.fact("trace", "a connection", value);
    }
    for text in what_they_do(facts) {
        diagnosis.fact("/proc", text, serde_json::Value::Null);
    }
}

fn hidden(facts: &ReachFacts, certainty: Certainty, verdict: Verdict) -> Option<String> {
    if verdict == Verdict::Healthy {
        return None;
    }
    let mut gaps = Vec::new();
    let nameless = facts.listener().is_some() && facts.holders().is_empty();
    if nameless && facts.closed > 0 {
        gaps.push(format!("descriptors of {} processes, open only to their users and root", facts.closed));
    }
    if facts.maybe_others {
        gaps.push("the search for holders was cut short: others may have it too".to_owned());
    }
    if certainty != Certainty::Proven && facts.absent.looked && !facts.absent.kills.log_readable {
        gaps.push("the kernel's log (root)".to_owned());
    }
    for gap in &facts.not_readable {
        gaps.push(format!("{} ({})", gap.what, gap.why));
    }
    (!gaps.is_empty()).then(|| gaps.join("; "))
}

/// Which process listens, or that none does, as the beginning of a sentence.
pub(super) fn listens(facts: &ReachFacts) -> String {
    match (&facts.after, facts.local) {
        (Lookup::Found(_), _) => format!("{} listens", who(facts)),
        (Lookup::Nobody, _) => "nothing listens".to_owned(),
        _ => "whether anything listens cannot be seen".to_owned(),
    }
}

/// A clause if our request was sent before the connection ended; otherwise empty.
pub(super) fn after_request(facts: &ReachFacts) -> &'static str {
    if facts.first().is_some_and(|first| first.sent.is_some()) { ", after our request" } else { "" }
}

fn near_ports(facts: &ReachFacts, diagnosis: &mut Diagnosis) {
    for socket in facts.absent.near.iter().take(SHOWN_HOLDERS) {
        if let Some(holder) = facts.holders_of(socket.inode).first() {
            diagnosis.detail("near", format!("{} on {}", describe(holder), socket.local));
        }
    }
}

fn kill_line(label: &'static str, kill: Option<&Kill>, diagnosis: &mut Diagnosis) {
    let Some(kill) = kill else { return };
    let name = match kill.pid {
        Some(pid) => format!("{} (pid {pid})", kill.comm),
        None => "a process".to_owned(),
    };
    let limit = kill.limit.map_or(String::new(), |limit| format!(", limit {} MB", limit >> 20));
    let group =
        if kill.cgroup.is_empty() { String::new() } else { format!(", cgroup {}{limit}", kill.cgroup) };
    diagnosis.detail(
        label,
        format!(
            "{name}, killed for memory within the last {}{group}",
            rough(kill.ago.max(Duration::from_secs(1)))
        ),
    );
    diagnosis.fact("kernel", format!("{name} was killed: out of memory"), kill.pid);
}

fn flapping_lines(facts: &ReachFacts, diagnosis: &mut Diagnosis) {
    let Some(watch) = &facts.watch else { return };
    let pids: Vec<String> =
        watch.holders.iter().map(|holder| format!("{} (pid {})", holder.comm, holder.pid)).collect();
    if !pids.is_empty() {
        diagnosis.detail("seen", pids.join(", then "));
    }
    diagnosis.fact("sock_diag", format!("watched for {}", short(watch.lasted)), watch.inodes.clone());
}

pub(super) fn spoken_text(facts: &ReachFacts) -> String {
    protocol(facts).map_or(String::new(), |found| format!(" ({})", found.text))
}

pub(super) fn healthy(facts: &ReachFacts) -> String {
    if waits_for_more(facts) {
        return format!("{} accepted the connection, read the request and waits for more", who(facts));
    }
    let host = other_host(facts).map_or(String::new(), |(_, host, _)| format!(" for Host {host}"));
    protocol(facts).map_or("it answers".to_owned(), |found| format!("it speaks {}{host}", found.protocol))
}

/// `41 us`, `2.1 ms`, `1.5 s`
pub(in crate::diagnosis) fn short(time: std::time::Duration) -> String {
    match time.as_micros() {
        micros @ 0..1000 => format!("{micros} us"),
        micros @ 1000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        micros => format!("{:.1} s", micros as f64 / 1e6),
    }
}
