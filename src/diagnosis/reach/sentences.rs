//! Sentences about where else a service is, and about what its program does. Pure.

use super::facts::ReachFacts;
use super::lines::short;
use super::listener::accepts_others;
use super::nearby::{near, other_address, other_family};
use super::pastime::{Pastime, pastime};
use super::who::user;
use crate::diagnosis::finding::Subject;
use crate::diagnosis::process_text::{home, names, rough};
use crate::diagnosis::verdict::Verdict;
use crate::probe::trace::{Connection, Dial};

pub(super) fn remapped(facts: &ReachFacts) -> String {
    let addresses: Vec<String> = facts.localhost.addresses().iter().map(ToString::to_string).collect();
    let lines: Vec<String> = facts
        .localhost
        .lines
        .iter()
        .flatten()
        .filter(|line| {
            !line.ip.is_loopback() || line.ip.to_string() != "127.0.0.1" && line.ip.to_string() != "::1"
        })
        .map(|line| line.number.to_string())
        .collect();
    let place =
        if lines.is_empty() { String::new() } else { format!(" (/etc/hosts, line {})", lines.join(", ")) };
    format!("localhost means {} here{place}", addresses.join(", "))
}

/// Where the service was searched for, as the end of a sentence.
pub(super) fn looked_at(facts: &ReachFacts) -> String {
    let others = match facts.absent.elsewhere.looked {
        0 => "this network namespace".to_owned(),
        1 => "this or the one other network namespace".to_owned(),
        more => format!("this or {more} other network namespaces"),
    };
    format!(": TCP or UDP, IPv4 or IPv6, in {others}")
}

/// `, by leaky-app (pid 13)`, `, in TIME_WAIT`
pub(super) fn port_holders(facts: &ReachFacts) -> String {
    let ports = &facts.source_ports;
    if let [(name, pid, count), ..] = &ports.owners[..]
        && *count * 2 >= ports.used()
    {
        return format!(", by {name} (pid {pid})");
    }
    let most = ports.states.iter().max_by_key(|(_, count)| *count);
    most.map_or(String::new(), |(state, count)| format!(", {count} of them in {}", state.name()))
}

/// The resolver's answer for localhost.
pub(super) fn unresolvable(facts: &ReachFacts) -> String {
    let missing = facts.localhost.lines.as_ref().is_some_and(Vec::is_empty);
    let place = if missing { "localhost is not in /etc/hosts, and " } else { "" };
    let took =
        facts.localhost.answer.as_ref().map_or(String::new(), |answer| format!(" in {}", short(answer.took)));
    let works = facts.trace.connections.iter().any(Connection::connected);
    let works = if works { "; the service itself answers on 127.0.0.1" } else { "" };
    format!("{place}the resolver finds no address for it{took}{works}")
}

/// What a namespace does with packets redirected to its loopback address.
pub(super) fn martian(facts: &ReachFacts) -> String {
    let interface = facts.beyond.as_ref().and_then(|(beyond, _)| beyond.interface.clone());
    let interface = interface.map_or(String::new(), |name| format!(" on {name}"));
    format!(
        "a redirection to 127.0.0.1 needs route_localnet{interface}; {} martian packets dropped",
        super::way::martians(facts)
    )
}

pub(super) fn elsewhere(facts: &ReachFacts, verdict: Verdict) -> String {
    if let Some(socket) = super::nearby::loopback_beyond(facts) {
        let port = facts.port();
        return format!(
            "the other network namespace listens on {} only, and not on its port {port} for others",
            socket.local
        );
    }
    let found =
        if verdict == Verdict::TargetOnOtherAddress { other_address(facts) } else { other_family(facts) };
    let Some(socket) = found else { return String::new() };
    let holders = facts.holders_of(socket.inode);
    let who = if holders.is_empty() { format!("a process of {}", user(socket.uid)) } else { names(&holders) };
    let dialled = facts.ip().map_or(String::new(), |ip| ip.to_string());
    let local = socket.local;
    if socket.interface != 0 {
        let link = facts.routing.as_ref().and_then(|routing| routing.link(socket.interface));
        let name = link.map_or(format!("{}", socket.interface), |link| link.name.clone());
        return format!("{who} listens on {local} for the interface {name} only, not for {dialled}");
    }
    if local.ip().is_unspecified() && local.is_ipv6() {
        return format!("{who} listens on {local}, which is IPv6-only (v6only), not on {dialled}");
    }
    format!("{who} listens on {local} only, not on {dialled}")
}

pub(super) fn is_udp(facts: &ReachFacts) -> String {
    let Some(receiver) = facts.absent.udp.first() else { return String::new() };
    let holders = facts.holders_of(receiver.socket.inode);
    let who = if holders.is_empty() { user(receiver.socket.uid) } else { names(&holders) };
    format!("the port is open for UDP ({who} on {}), not for TCP", receiver.socket.local)
}

pub(super) fn other_namespace(facts: &ReachFacts) -> String {
    let Some((pid, socket)) = facts.absent.elsewhere.listeners.first() else { return String::new() };
    let holders = facts.holders_of(socket.inode);
    let home =
        holders.first().and_then(|holder| home(holder)).map_or(String::new(), |home| format!(" ({home})"));
    let who = match holders.is_empty() {
        true => format!(
            "a process in the namespace of {} (pid {pid})",
            crate::probe::process::process_stats::name_of(*pid)
        ),
        false => names(&holders),
    };
    format!("{who} listens on {} inside another network namespace{home}", socket.local)
}

pub(super) fn is_unix(facts: &ReachFacts) -> String {
    let Some(listening) = facts.absent.unix.first() else { return String::new() };
    let holders = facts.holders_of(listening.inode);
    let who = if holders.is_empty() { "a process".to_owned() } else { names(&holders) };
    format!("{who} listens on the Unix socket {} only", listening.name)
}

pub(super) fn other_port(facts: &ReachFacts) -> String {
    let Some(socket) = near(facts) else { return String::new() };
    let holders = facts.holders_of(socket.inode);
    let who = if holders.is_empty() { format!("a process of {}", user(socket.uid)) } else { names(&holders) };
    let age = holders
        .first()
        .and_then(|holder| holder.age)
        .map_or(String::new(), |age| format!(" since {}", rough(age)));
    let (port, other) = (facts.port(), socket.local.port());
    format!("nothing listens on {port}, but {who} listens on {other}{age}: did you mean that?")
}

pub(super) fn flapping(facts: &ReachFacts) -> String {
    match &facts.watch {
        Some(watch) if watch.went > 0 => format!(
            "restarting: it appeared {} and disappeared {} in {}",
            times(watch.came),
            times(watch.went),
            short(watch.lasted)
        ),
        _ => "it listened during the dial, but not a moment later".to_owned(),
    }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// `3 wait, limit 2`
pub(super) fn queue(facts: &ReachFacts) -> String {
    let (waiting, limit) = match (&facts.unix, facts.after.socket()) {
        (Some(unix), _) => {
            unix.after.as_ref().map_or((0, 0), |listening| (listening.waiting, listening.limit))
        }
        (None, Some(socket)) => (socket.receive_queue, socket.send_queue),
        _ => (0, 0),
    };
    format!("its queue is full: {waiting} waiting, limit {limit}")
}

pub(super) fn suspended(facts: &ReachFacts) -> String {
    let Some(life) = facts.life.iter().find(|life| life.after.state == 'T' || life.after.frozen) else {
        return String::new();
    };
    let who = format!("{} (pid {})", life.after.comm, life.after.pid);
    if life.after.state != 'T' {
        return format!("{who} is frozen with its cgroup");
    }
    let terminal = facts.holders().iter().find_map(|holder| holder.terminal.clone());
    let terminal = terminal.map_or(String::new(), |terminal| format!(", terminal {terminal}"));
    format!("{who} is suspended (state T{terminal})")
}

pub(super) fn traced(facts: &ReachFacts) -> String {
    let Some(life) = facts.life.iter().find(|life| life.after.state == 't') else { return String::new() };
    let debugger = life.after.tracer.as_ref();
    let debugger = debugger.map_or("a debugger".to_owned(), |(pid, name)| format!("{name} (pid {pid})"));
    format!("{} (pid {}) is held in a debugger: {debugger}", life.after.comm, life.after.pid)
}

pub(super) fn out_of_descriptors(facts: &ReachFacts) -> String {
    let Some(life) = facts.life.iter().find(|life| life.after.out_of_descriptors()) else {
        return String::new();
    };
    let limit = life.after.descriptor_limit.unwrap_or(0);
    let used = life.after.descriptors.unwrap_or(limit).min(limit);
    format!("{} (pid {}) is at its descriptor limit ({used} of {limit})", life.after.comm, life.after.pid)
}

pub(super) fn denied(facts: &ReachFacts) -> String {
    let Some(walk) = facts.unix.as_ref().map(|unix| &unix.walk) else { return String::new() };
    if let Some(missing) = &walk.missing {
        return format!("there is no {}", printable(missing));
    }
    match &walk.closed {
        Some(closed) => format!(
            "{} has mode {:04o} and belongs to {}; you are {}",
            printable(&closed.path),
            closed.mode,
            closed.owner,
            user(rustix::process::geteuid().as_raw())
        ),
        None => "the system denies it, by a policy that the path does not show".to_owned(),
    }
}

/// Why no socket has a name.
pub(super) fn no_socket(facts: &ReachFacts) -> String {
    let Subject::Unix(path) = &facts.subject else { return String::new() };
    let walk = facts.unix.as_ref().map(|unix| unix.walk.clone()).unwrap_or_default();
    let too_long = matches!(facts.first().map(|first| first.dial), Some(Dial::Failed(libc::ENAMETOOLONG, _)));
    match (&walk.missing, &walk.leads_to) {
        _ if too_long => {
            let length = path.as_os_str().len();
            format!("no socket can have this name: it has {length} bytes, and unix(7) allows {LONGEST_PATH}")
        }
        _ if walk.is_socket == Some(false) => format!("{} is a file, but not a socket", printable(path)),
        (Some(link), Some(to)) => {
            format!("{} is a link to {}, which does not exist", printable(link), printable(to))
        }
        (Some(missing), None) => format!("there is no {}", printable(missing)),
        _ => "nothing listens on a socket of this name".to_owned(),
    }
}

/// The length in bytes of sun_path without its terminating zero byte.
const LONGEST_PATH: usize = 107;

/// The kind of the socket behind a path, if it is not a stream socket.
pub(super) fn no_stream(facts: &ReachFacts) -> Option<&'static str> {
    let wrong = matches!(facts.first()?.dial, Dial::Failed(libc::EPROTOTYPE, _));
    let listening = facts.unix.as_ref()?.after.as_ref();
    wrong.then(|| match listening.map(|listening| listening.kind) {
        Some(5) => "the socket is a packet socket (SOCK_SEQPACKET), not a stream socket",
        _ => "the socket is a datagram socket (SOCK_DGRAM), not a stream socket",
    })
}

fn printable(path: &std::path::Path) -> String {
    crate::probe::printable_path(path)
}

/// A slow service; the sentence states the time of an answer that came too late.
pub(super) fn slow(facts: &ReachFacts, who: &str) -> String {
    let limit = facts.timeout;
    if accepts_others(facts) {
        let waiting = facts.before.socket().map_or(0, |socket| socket.receive_queue);
        return format!(
            "{who} is slow: it accepts one connection after another, and {waiting} waited before this one"
        );
    }
    let late = facts.first().and_then(|first| Some(first.late?.saturating_sub(first.said?)));
    match late {
        Some(late) => {
            format!("{who} is alive and slow: first byte after {}, your limit is {limit:?}", short(late))
        }
        None => {
            format!("{who} is alive and slow: it read the request, no answer within your limit of {limit:?}")
        }
    }
}

/// An open connection without an answer, if the cause is unknown.
pub(super) fn silent(facts: &ReachFacts, who: &str) -> String {
    if facts.first().is_none_or(|first| first.server.is_none()) {
        return "the connection is open but unanswered; the other end cannot be seen from here".to_owned();
    }
    let why = match pastime(facts) {
        Pastime::Hidden => "only its user and root can see what it does",
        _ => "it waits for input, whether from the client or from elsewhere cannot be seen",
    };
    format!("{who} read the request and sent nothing: {why}")
}

pub(super) fn ring(facts: &ReachFacts) -> String {
    if facts.ring.is_empty() {
        let made = facts.multiplied;
        return format!("forwards lead back to themselves: one connection became {}", made + 1);
    }
    let way: Vec<String> =
        facts.ring.iter().map(|hop| format!("{} ({} pid {})", hop.port, hop.comm, hop.pid)).collect();
    format!("forwards lead back to themselves: {} -> {}", way.join(" -> "), facts.port())
}
