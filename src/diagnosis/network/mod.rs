//! What stands between a client and a service that listens: links, routes, the packet filter, the tables of the kernel.
//!
//! Pure rules over facts. Each names what it rests on; where the rules of the filter cannot be read, it is by elimination,
//! and where they can and none fits, it is unknown: BPF programs of cgroups and security modules cannot be seen.

use std::net::{IpAddr, SocketAddr};

use super::filter::{Device, Packet, Way};
use super::finding::{Finding, NotReadable};
use super::verdict::{Certainty, Verdict};
use crate::probe::firewall::Firewall;
use crate::probe::network::counters::Changes;
use crate::probe::network::routing::{Route, RouteKind, Routing};
use crate::probe::system::sysctl::Settings;

mod blocked;
mod checks;
mod exposure;
mod links;
#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod samples;
mod shaping;
#[cfg(test)]
mod tests;

pub use checks::{firewall_check, network_check};
pub use exposure::{Exposure, exposure};
pub use shaping::{large_packets, shaped};

/// An attempt to reach an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whom it was for.
    pub to: SocketAddr,
    /// Our end; an unspecified address and port 0 are not known.
    pub from: SocketAddr,
    /// How it failed: ETIMEDOUT where it was given up; `None` where it succeeded.
    pub errno: Option<i32>,
    /// The user who tried.
    pub uid: u32,
    /// His group.
    pub gid: u32,
    /// What the kernel's look-up says about a listener.
    pub listener: Listener,
}

/// What the kernel's look-up says about a listener at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// It could not be asked, as on another machine.
    Unknown,
    /// Nobody would answer.
    Nobody,
    /// Somebody would, and it was the same socket before and after the attempt.
    Stable {
        /// The connections that wait to be accepted.
        waiting: u32,
        /// How many may.
        limit: u32,
    },
    /// It came, went or changed meanwhile.
    Changing,
}

/// Where the source port of a failed attempt is not known, one of those that could have been drawn.
const STAND_IN: u16 = 40_000;

/// What is known about the network around an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Links, addresses, routes.
    pub routing: &'a Routing,
    /// The kernel's settings.
    pub settings: &'a Settings,
    /// What was counted during the attempt.
    pub changes: &'a Changes,
    /// The packet filter before the attempt.
    pub before: &'a Firewall,
    /// The same after it; equal to the one before where it was read once.
    pub after: &'a Firewall,
}

/// Why an attempt failed, as far as the network has to do with it; `None` where it has not, or nothing says so.
pub fn failure(attempt: &Attempt, around: &Surroundings<'_>) -> Option<Finding> {
    let errno = attempt.errno?;
    links::failure(attempt, around)
        .or_else(|| signatures(attempt, around))
        .or_else(|| tables(attempt, around))
        .or_else(|| blocked::by_rule(attempt, around))
        .or_else(|| shaping::lost(attempt, around))
        .or_else(|| blocked::by_elimination(attempt, around, errno))
}

impl Attempt {
    /// Whether both ends are on this machine: then no packet of it leaves, and a time-out is never "the network".
    pub fn is_local(&self, routing: &Routing) -> bool {
        let local = matches!(&routing.route, Route::Way(path) if path.kind == RouteKind::Local);
        local || self.to.ip().to_canonical().is_loopback()
    }

    /// The packet that asks.
    fn first_packet(&self) -> Packet {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (to, mut from) = (canonical(self.to), canonical(self.from));
        // A local connection without another wish comes from the address it goes to.
        if from.ip().is_unspecified() && to.ip().is_loopback() {
            from.set_ip(loopback_of(to.ip()));
        }
        if from.port() == 0 {
            from.set_port(STAND_IN);
        }
        Packet::first(from, to, self.uid, self.gid)
    }

    fn way(&self, routing: &Routing) -> Option<Way> {
        let device = |link: &crate::probe::network::routing::Link| Device {
            index: link.index,
            name: link.name.clone(),
        };
        if self.is_local(routing) {
            return routing.loopback().map(|link| Way::Loopback(device(link)));
        }
        routing.way_out().map(|link| Way::Out(device(link)))
    }
}

/// The kernel gives 127.0.0.1 to whoever dials 127.0.0.9 as well: the address with the local route, fib_prefsrc.
fn loopback_of(to: IpAddr) -> IpAddr {
    match to {
        IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

/// A listener that demands signed segments answers no others.
fn signatures(attempt: &Attempt, around: &Surroundings<'_>) -> Option<Finding> {
    let changes = around.changes;
    if attempt.errno != Some(libc::ETIMEDOUT) || !changes.signature_missing() {
        return None;
    }
    let (kind, count) = if changes.md5_not_found + changes.md5_unexpected > 0 {
        ("TCP-MD5", changes.md5_not_found + changes.md5_unexpected)
    } else {
        ("TCP-AO", changes.ao_required + changes.ao_bad)
    };
    // The counters are everybody's; a listener that is there and not full makes them ours.
    let stable = matches!(attempt.listener, Listener::Stable { .. });
    let certainty = if stable { Certainty::Proven } else { Certainty::Likely };
    let summary = format!("the listener ignores connections without a {kind} signature");
    Some(
        Finding::new(Verdict::ListenerIgnoresSyn, certainty, summary)
            .detail(
                "proof",
                format!("{count} segments without the signature were dropped during the attempt"),
            )
            .detail("how", "routers sign their BGP sessions so; other clients get no answer at all")
            .fact("/proc/net/netstat", format!("{kind} signatures missing"), count)
            .advice(format!("connect with the {kind} key, or have the service listen without it")),
    )
}

/// Full tables of the kernel: tracked connections, half-open connections, memory.
fn tables(attempt: &Attempt, around: &Surroundings<'_>) -> Option<Finding> {
    (attempt.errno == Some(libc::ETIMEDOUT)).then_some(())?;
    conntrack(around).or_else(|| half_open(attempt, around)).or_else(|| memory(around))
}

fn conntrack(around: &Surroundings<'_>) -> Option<Finding> {
    let (count, most) = around.settings.conntrack?;
    let dropped = around.changes.conntrack_drop;
    // Entries end while one looks: nearly full is full, where packets were dropped for it.
    let full = count >= most;
    let nearly = count >= most.saturating_sub(most / 20);
    if !(full || nearly && dropped > 0) {
        return None;
    }
    let certainty = if dropped > 0 { Certainty::Proven } else { Certainty::Likely };
    let summary = format!("the table of tracked connections is full ({count} of {most})");
    Some(
        Finding::new(Verdict::ConntrackFull, certainty, summary)
            .detail("how", "new connections of the whole machine are dropped; old ones go on")
            .detail(
                "proof",
                format!("{count} of {most} entries, {dropped} packets dropped during the attempt"),
            )
            .fact("sysctl", "nf_conntrack_count, nf_conntrack_max", vec![count, most])
            .fact("/proc/net/stat/nf_conntrack", "drop", dropped)
            .fix(
                &["sysctl", "-w", &format!("net.netfilter.nf_conntrack_max={}", most.saturating_mul(2))],
                true,
                "needs more memory",
            ),
    )
}

fn half_open(attempt: &Attempt, around: &Surroundings<'_>) -> Option<Finding> {
    let dropped = around.changes.request_queue_full;
    if dropped == 0 || !matches!(attempt.listener, Listener::Stable { .. }) {
        return None;
    }
    let most = around.settings.max_syn_backlog;
    let limit = most.map_or(String::new(), |most| format!(" (net.ipv4.tcp_max_syn_backlog {most})"));
    let summary = "too many connections to the listener are half open, and new ones are dropped";
    Some(
        Finding::new(Verdict::AcceptQueueFull, Certainty::Proven, summary)
            .detail("proof", format!("{dropped} first segments dropped during the attempt{limit}"))
            .fact("/proc/net/netstat", "TCPReqQFullDrop", dropped)
            .fix(&["sysctl", "-w", "net.ipv4.tcp_syncookies=1"], true, "none"),
    )
}

fn memory(around: &Surroundings<'_>) -> Option<Finding> {
    let (used, most) = around.settings.tcp_pages?;
    if used < most {
        return None;
    }
    let summary = format!("the memory for TCP is used up ({used} of {most} pages)");
    Some(
        Finding::new(Verdict::TcpMemoryFull, Certainty::Likely, summary)
            .fact("/proc/net/sockstat", "TCP mem", used)
            .fact("sysctl", "net.ipv4.tcp_mem, the third", most)
            .advice("find the sockets with full queues (ss -tm), or raise net.ipv4.tcp_mem"),
    )
}

/// What could not be read of the filter, for whom it would have told more.
fn unread(attempt: &Attempt, firewall: &Firewall) -> Vec<NotReadable> {
    let of = |what: &String| {
        let (what, why) = what.split_once(" (").unwrap_or((what, ""));
        // "Operation not permitted", without the "(os error 1)" that std adds.
        let why = why.split(" (os error").next().unwrap_or_default();
        // Root reads them with the program they are written by; anybody else has to become root first.
        let how = match what.strip_suffix("-legacy rules") {
            Some(program) => format!("sudo {program}-legacy -vnL"),
            None => format!("sudo loopgate explain {}", attempt.to),
        };
        NotReadable { what: what.to_owned(), why: why.trim_end_matches(')').to_owned(), how }
    };
    firewall.not_readable.iter().map(of).collect()
}
