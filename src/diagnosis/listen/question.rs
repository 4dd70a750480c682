//! Could a program listen on an address? Answers without starting one.
//!
//! It binds as our listeners do and closes the socket at once. It never listens: it could swallow a client's
//! connection.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::diagnose::{diagnose, subject};
use super::facts::{BindFacts, Blocker, Failed, gather_one, on_port};
use super::judge::decisive;
use crate::diagnosis::finding::{Check, Diagnosis, Fix, Question, Status, Warning};
use crate::diagnosis::own_limits;
use crate::diagnosis::process_text::{names, rough, shell};
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::outcome::Holder;
use crate::probe::network::routing::{self, Address};
use crate::probe::sockets::TcpState;
use crate::probe::sockets::ports::{Sharing, Transport, try_bind};
use crate::probe::system::limits;

/// Whether a listener of ours (for UDP a receiver) could have this address now, and if not, exactly why.
pub fn could_listen(address: SocketAddr, transport: Transport) -> Diagnosis {
    let begun = Instant::now();
    let descriptors = limits::descriptors();
    let tried = try_bind(address, transport, Sharing::No);
    let mut diagnosis = if own_limits::forbids_listening(&descriptors, tried.is_err()) {
        own_limits::too_few(Question::Listen, subject(address, transport), &descriptors)
    } else {
        match &tried {
            Ok(()) => free(address, transport, begun),
            Err(error) => refused(Failed { address, transport, error }),
        }
    };
    if let Err(error) = &tried {
        diagnosis.failed_with(error);
    }
    diagnosis.elapsed = begun.elapsed();
    diagnosis
}

fn refused(failed: Failed<'_>) -> Diagnosis {
    let facts = gather_one(failed);
    let diagnosis = diagnose(&facts);
    // If a bind with SO_REUSEPORT succeeds, the sockets that are already there have set it as well.
    if are_strangers(&facts) && try_bind(failed.address, failed.transport, Sharing::Yes).is_ok() {
        return shared(diagnosis, &facts);
    }
    diagnosis
}

/// Whether two listeners on one address belong to unrelated programs. The workers of one master share by design.
fn are_strangers(facts: &BindFacts) -> bool {
    let listeners: Vec<&Blocker> =
        decisive(facts).into_iter().filter(|blocker| blocker.socket.state == TcpState::Listen).collect();
    let holder = |blocker: &Blocker| {
        facts.held.iter().find(|held| held.inode == blocker.socket.inode).map(|held| &held.holder)
    };
    let pairs = listeners.iter().zip(listeners.iter().skip(1));
    pairs.filter(|(a, b)| a.socket.local == b.socket.local).any(|(a, b)| match (holder(a), holder(b)) {
        (Some(a), Some(b)) => !are_family(a, b),
        _ => false,
    })
}

fn are_family(a: &Holder, b: &Holder) -> bool {
    let parent = |of: &Holder| of.chain.iter().rev().nth(1).map(|parent| parent.comm.clone());
    let one_master = a.parent == b.parent && parent(a).as_ref() == Some(&a.comm);
    a.pid == b.pid || a.parent == b.pid || b.parent == a.pid || one_master
}

fn shared(mut diagnosis: Diagnosis, facts: &BindFacts) -> Diagnosis {
    let holders = facts.holders();
    diagnosis.verdict = Verdict::PortSharedByReuseport;
    diagnosis.certainty = Certainty::Proven;
    let sockets = decisive(facts).len();
    diagnosis.summary = format!(
        "{sockets} sockets share it by SO_REUSEPORT, of {}: each takes a part of the connections",
        names(&holders)
    );
    diagnosis.details.retain(|detail| detail.label != "how");
    diagnosis
        .detail("how", "another socket with SO_REUSEPORT would share it too; loopgate never shares a port");
    let oldest = holders.first().map(|holder| vec!["kill".to_owned(), holder.pid.to_string()]);
    if let (Some(command), Some(holder)) = (oldest, holders.first()) {
        let risk = format!("ends {} (pid {}), the oldest", holder.comm, holder.pid);
        let text = format!("keep one of them; to end the oldest: {}", shell(&command));
        diagnosis.fixes.insert(0, Fix { text, command, root: false, risk });
    }
    diagnosis
}

/// The diagnosis after a bind that succeeded: what is still worth knowing.
fn free(address: SocketAddr, transport: Transport, begun: Instant) -> Diagnosis {
    let mut facts = BindFacts { address, transport, ..BindFacts::of_machine() };
    facts.find_link();
    let table = on_port(address.port(), transport);
    if address.port() != 0 {
        facts.take_blockers(&table);
    }
    let mut diagnosis =
        Diagnosis::new(Question::Listen, subject(address, transport), Verdict::Healthy, Certainty::Proven);
    diagnosis.summary = "could listen".to_owned();
    let what = if transport == Transport::Udp { "receive" } else { "listen" };
    check(
        &mut diagnosis,
        "bind",
        Status::Ok,
        format!("bind(2) succeeds: a program could {what} here"),
        begun,
    );
    add_conflict(&mut diagnosis, &facts, begun);
    add_exposure(&mut diagnosis, &facts, begun);
    add_range(&mut diagnosis, &facts, begun);
    add_network(&mut diagnosis, &facts, begun);
    let (soft, used) = (facts.descriptors.hard, facts.descriptors.used);
    let limit = soft.map_or("no limit".to_owned(), |limit| limit.to_string());
    let used = used.map_or("some".to_owned(), |used| used.to_string());
    check(&mut diagnosis, "limits", Status::Ok, format!("{used} of {limit} descriptors in use"), begun);
    diagnosis.settle();
    diagnosis
}

fn check(diagnosis: &mut Diagnosis, id: &'static str, status: Status, text: String, begun: Instant) {
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    diagnosis.checks.push(Check { id, status, text, ms });
}

/// Other sockets on the port of the free address: closed connections, sockets that are bound but do not listen yet.
fn add_conflict(diagnosis: &mut Diagnosis, facts: &BindFacts, begun: Instant) {
    let of = |wanted: fn(&Blocker) -> bool| facts.blockers.iter().filter(move |blocker| wanted(blocker));
    let waiting = of(|blocker| blocker.socket.state == TcpState::TimeWait);
    let bound =
        of(|blocker| matches!(blocker.socket.state, TcpState::Close | TcpState::BoundInactive)).count();
    let last: Option<Duration> = waiting.clone().filter_map(|blocker| blocker.socket.expires).max();
    if let Some(last) = last {
        let count = waiting.count();
        let connections =
            if count == 1 { "1 old connection expires" } else { &format!("{count} old connections expire") };
        let text = format!("free; {connections} in {} (matters only without SO_REUSEADDR)", rough(last));
        diagnosis.verdict = Verdict::PortInTimeWait;
        diagnosis.summary.clone_from(&text);
        diagnosis.fact("sock_diag", format!("{count} TIME_WAIT"), last.as_secs());
        check(diagnosis, "conflict", Status::Warn, text, begun);
    } else if bound > 0 {
        let sockets = if bound == 1 { "a socket is" } else { "several sockets are" };
        let text = format!("free, but {sockets} bound to it with SO_REUSEADDR and may listen first");
        check(diagnosis, "conflict", Status::Warn, text, begun);
    } else {
        check(diagnosis, "conflict", Status::Ok, "no other socket conflicts".to_owned(), begun);
    }
}

/// The networks from which a listener could be reached; the rules of a firewall are not considered.
fn add_exposure(diagnosis: &mut Diagnosis, facts: &BindFacts, begun: Instant) {
    let ip = facts.address.ip().to_canonical();
    if ip.is_loopback() {
        return check(
            diagnosis,
            "exposure",
            Status::Ok,
            "only this machine could reach it".to_owned(),
            begun,
        );
    }
    let is_up =
        |link: u32| facts.links.iter().any(|known| known.index == link && known.up && !known.loopback);
    let same = |own: &Address| own.ip == ip || ip.is_unspecified() && own.ip.is_ipv4() == ip.is_ipv4();
    let reached =
        routing::addresses().unwrap_or_default().into_iter().filter(|own| same(own) && is_up(own.link));
    let networks: BTreeSet<String> = reached.map(|own| network_of(own.ip, own.prefix)).collect();
    if networks.is_empty() {
        let text = "no interface that is up leads here from another machine".to_owned();
        return check(diagnosis, "exposure", Status::Ok, text, begun);
    }
    let from: Vec<String> = networks.into_iter().take(4).collect();
    let text = format!("reachable from {} unless a firewall forbids it", from.join(", "));
    diagnosis.fact("rtnetlink", "networks", from);
    let local = SocketAddr::new([127, 0, 0, 1].into(), facts.address.port());
    let fix = Fix {
        text: format!("listen on {local}, unless this is intended"),
        command: Vec::new(),
        root: false,
        risk: "none".to_owned(),
    };
    diagnosis.warnings.push(Warning { verdict: Verdict::Exposed, summary: text.clone(), fix: Some(fix) });
    check(diagnosis, "exposure", Status::Warn, text, begun);
}

/// `10.200.6.1` of 24 bits → `10.200.6.0/24`
fn network_of(ip: IpAddr, prefix: u8) -> String {
    let first: IpAddr = match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    };
    format!("{first}/{prefix}")
}

fn add_range(diagnosis: &mut Diagnosis, facts: &BindFacts, begun: Instant) {
    let port = facts.address.port();
    let (first, last) = facts.ports.outgoing;
    if port == 0 {
        check(diagnosis, "range", Status::Ok, "the kernel will choose a free port".to_owned(), begun);
    } else if facts.ports.may_be_drawn(port) {
        let text = format!(
            "{port} lies in the range for outgoing connections, {first}-{last}: one of them may take it first"
        );
        diagnosis.fact("sysctl", "ip_local_port_range", serde_json::json!([first, last]));
        diagnosis.warnings.push(Warning {
            verdict: Verdict::PortInEphemeralRange,
            summary: text.clone(),
            fix: Some(super::fixes::reservation(&facts.ports, port)),
        });
        check(diagnosis, "range", Status::Warn, text, begun);
    } else {
        let text = format!("{port} is outside the range for outgoing connections, {first}-{last}");
        check(diagnosis, "range", Status::Ok, text, begun);
    }
}

/// Checks the link as well: a bind to an IPv4 address succeeds while its link is down, and to any address with
/// ip_nonlocal_bind.
fn add_network(diagnosis: &mut Diagnosis, facts: &BindFacts, begun: Instant) {
    let ip = facts.address.ip();
    let lo_is_down = facts.links.iter().any(|link| link.loopback && !link.up);
    if ip.is_loopback() && lo_is_down {
        diagnosis.verdict = Verdict::LoopbackDown;
        diagnosis.summary =
            "the bind succeeds, but lo is down: nothing could reach a listener here".to_owned();
        diagnosis.fixes.push(super::fixes::root(&["ip", "link", "set", "lo", "up"], "none"));
        return check(diagnosis, "network", Status::Fail, "lo is down: ip link set lo up".to_owned(), begun);
    }
    let (status, text) = match facts.own_link() {
        _ if ip.is_unspecified() => (Status::Ok, "every address of the family".to_owned()),
        Some(link) if !link.up => (Status::Warn, format!("the address is on {}, which is down", link.name)),
        Some(link) => (Status::Ok, format!("the address is on {}", link.name)),
        None if facts.network.has(ip) == Some(false) => {
            (Status::Warn, "no interface has the address yet (ip_nonlocal_bind)".to_owned())
        }
        None => (Status::Ok, "the address is local".to_owned()),
    };
    check(diagnosis, "network", status, text, begun);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_named_by_its_first_address() {
        assert_eq!(network_of("10.200.6.1".parse().unwrap(), 24), "10.200.6.0/24");
        assert_eq!(network_of("fd00:62::5".parse().unwrap(), 64), "fd00:62::/64");
        assert_eq!(network_of("10.0.0.1".parse().unwrap(), 0), "0.0.0.0/0");
    }
}
