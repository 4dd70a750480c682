//! The checks of the screen: one line per part of the path. Pure.

use super::answers::protocol;
use super::facts::{Lookup, ReachFacts};
use super::lines::short;
use super::who::who;
use super::{network, sentences};
use crate::diagnosis::finding::{Check, Finding, Status, Subject};
use crate::diagnosis::own_limits::sessions;
use crate::diagnosis::process_text::describe;
use crate::diagnosis::verdict::{Severity, Verdict};
use crate::probe::trace::{Connection, Dial, Ending};

/// The checks, in the order of the screen.
pub(super) fn checks(facts: &ReachFacts, verdict: Verdict, found: Option<&Finding>) -> Vec<Check> {
    let mut checks = vec![listener(facts, verdict)];
    if !super::who::is_unix(facts) {
        checks.push(conflict(facts));
        match network::checks(facts, found) {
            lines if lines.is_empty() => checks.push(network(facts, verdict)),
            lines => checks.extend(lines),
        }
        checks.push(localhost(facts, verdict));
    }
    checks.push(path(facts, verdict));
    checks.push(limits(facts, verdict));
    checks
}

fn check(id: &'static str, status: Status, text: impl Into<String>) -> Check {
    Check { id, status, text: text.into(), ms: 0.0 }
}

fn listener(facts: &ReachFacts, verdict: Verdict) -> Check {
    let holder_on = |socket: String| match facts.holders().first() {
        Some(holder) => format!("{} on {socket}", describe(holder)),
        None => format!("{} on {socket}", who(facts)),
    };
    match &facts.subject {
        Subject::Tcp(_) => match (&facts.after, facts.local) {
            (Lookup::Found(socket), _) => check("listener", Status::Ok, holder_on(socket.local.to_string())),
            (_, false) => {
                check("listener", Status::Skip, "not this machine's address: its sockets cannot be seen")
            }
            (Lookup::Nobody, _) => check("listener", Status::Fail, "nothing listens at this address"),
            (Lookup::Unknown, _) => {
                check("listener", Status::Skip, "the kernel's socket table cannot be read")
            }
        },
        Subject::Udp(_) => match facts.udp.as_ref().and_then(|udp| udp.receiver.as_ref()) {
            Some(socket) => check("listener", Status::Ok, holder_on(socket.local.to_string())),
            None => check("listener", Status::Fail, "nothing receives at this address"),
        },
        Subject::Unix(_) => match facts.unix.as_ref().and_then(|unix| unix.after.as_ref()) {
            Some(listening) => check("listener", Status::Ok, holder_on(listening.name.clone())),
            None if verdict.severity() == Severity::Fine => {
                check("listener", Status::Skip, "it answers from outside this network namespace")
            }
            None => check("listener", Status::Fail, "nothing listens on it"),
        },
        Subject::Tunnel { .. } => check("listener", Status::Skip, "at the other end of a tunnel"),
    }
}

fn conflict(facts: &ReachFacts) -> Check {
    let answering = facts.listener().map(|socket| socket.inode);
    let alike =
        facts.listener().map_or(0, |one| facts.listening().filter(|row| row.local == one.local).count());
    if alike > 1 {
        return check("conflict", Status::Ok, format!("{alike} sockets share the port by SO_REUSEPORT"));
    }
    let others: Vec<String> = facts
        .listening()
        .filter(|row| Some(row.inode) != answering)
        .map(|row| row.local.to_string())
        .collect();
    match &others[..] {
        [] => check("conflict", Status::Ok, "no other socket listens on the port"),
        others => {
            check("conflict", Status::Ok, format!("others listen on the port at {}", others.join(", ")))
        }
    }
}

fn network(facts: &ReachFacts, verdict: Verdict) -> Check {
    let broken =
        matches!(verdict, Verdict::LoopbackDown | Verdict::LoopbackRouteLost | Verdict::Ipv6Disabled);
    let Some(routing) = &facts.routing else {
        return check("network", Status::Skip, "not read");
    };
    let status = if broken { Status::Fail } else { Status::Ok };
    let way = routing.way_out().or_else(|| routing.loopback());
    match way {
        Some(link) => {
            let state = if link.up { "up" } else { "down" };
            let place = if facts.local { "an address of this machine" } else { "not of this machine" };
            check("network", status, format!("{} {state}, MTU {}, {place}", link.name, link.mtu))
        }
        None => check("network", status, "no route to this address"),
    }
}

fn localhost(facts: &ReachFacts, verdict: Verdict) -> Check {
    let addresses: Vec<String> = facts.localhost.addresses().iter().map(ToString::to_string).collect();
    let took = facts
        .localhost
        .answer
        .as_ref()
        .map_or(String::new(), |answer| format!(", in {}", short(answer.took)));
    if matches!(verdict, Verdict::LocalhostRemapped) {
        return check("localhost", Status::Fail, sentences::remapped(facts));
    }
    if addresses.is_empty() {
        let text = match facts.localhost.lines {
            None => "/etc/hosts cannot be read".to_owned(),
            Some(_) => format!("not in /etc/hosts{took}; 127.0.0.1 and ::1 are used anyway"),
        };
        let failed = verdict == Verdict::LocalhostUnresolvable;
        return check("localhost", if failed { Status::Fail } else { Status::Warn }, text);
    }
    let usual = addresses.iter().all(|ip| ip == "127.0.0.1" || ip == "::1");
    if !usual {
        return check("localhost", Status::Warn, sentences::remapped(facts));
    }
    check("localhost", Status::Ok, format!("means {}{took}", addresses.join(", ")))
}

fn path(facts: &ReachFacts, verdict: Verdict) -> Check {
    if let Some(udp) = &facts.udp {
        let answer = udp.sending.answer.as_ref();
        let came =
            answer.map_or("no answer".to_owned(), |(text, after)| format!("{text} after {}", short(*after)));
        let failed = verdict.severity() == Severity::Error;
        return check(
            "path",
            if failed { Status::Fail } else { Status::Ok },
            format!("sent {}; {came}", udp.sending.sent),
        );
    }
    let Some(first) = facts.first() else {
        return check("path", Status::Skip, "no descriptor is left to connect with");
    };
    let failed = verdict.severity() >= Severity::Unclear && verdict != Verdict::OwnFdLimit;
    check("path", if failed { Status::Fail } else { Status::Ok }, steps(facts, first))
}

/// `connect 41 us, accepted 55 us, first byte 2.1 ms, HTTP/1.1 200 OK`
fn steps(facts: &ReachFacts, first: &Connection) -> String {
    let mut steps = Vec::new();
    match first.dial {
        Dial::Connected(after) => steps.push(format!("connect {}", short(after))),
        Dial::Failed(errno, after) => {
            let error = std::io::Error::from_raw_os_error(errno).to_string();
            let text = error.split(" (os error").next().unwrap_or_default().to_lowercase();
            steps.push(format!("{text} after {}", short(after)));
        }
        Dial::TimedOut(after) => steps.push(format!("no answer within {}", short(after))),
    }
    steps.extend(first.accepted.map(|after| format!("accepted {}", short(after))));
    if first.is_waiting() {
        steps.push("not accepted".to_owned());
    }
    let asked = if first.said.is_some() { " after our request" } else { "" };
    steps.extend(first.answer_time().map(|after| format!("first byte {}{asked}", short(after))));
    match first.ending {
        Ending::Closed(after) if first.received.is_empty() => {
            steps.push(format!("closed after {}", short(after)))
        }
        Ending::Reset(after) if first.received.is_empty() => {
            steps.push(format!("reset after {}", short(after)))
        }
        _ if first.is_silent() => steps.push(format!("no byte within {}", short(first.watched))),
        _ => {}
    }
    match protocol(facts) {
        Some(found) => steps.push(found.text),
        None if !first.received.is_empty() => {
            steps.push(format!("{} bytes of an unknown protocol", first.received.len()));
        }
        None => {}
    }
    steps.join(", ")
}

fn limits(facts: &ReachFacts, verdict: Verdict) -> Check {
    let number = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |limit| limit.to_string());
    let own = match facts.descriptors.used {
        Some(used) => format!("this process {used} of {}", number(facts.descriptors.hard)),
        None => format!("this process an unknown number of {}", number(facts.descriptors.hard)),
    };
    let theirs = facts.life.first().and_then(|life| {
        let used = life.after.descriptors?;
        Some(format!("{} {used} of {} descriptors; ", life.after.comm, number(life.after.descriptor_limit)))
    });
    let status = match verdict {
        Verdict::OwnFdLimit
        | Verdict::TargetOutOfFds
        | Verdict::TargetCannotFork
        | Verdict::SystemFileLimit => Status::Fail,
        _ => Status::Ok,
    };
    let room = sessions(&facts.descriptors).filter(|_| verdict == Verdict::OwnFdLimit);
    let room = room.map_or(String::new(), |sessions| format!(", room for {sessions} sessions"));
    check("limits", status, format!("{}{own}{room}", theirs.unwrap_or_default()))
}
