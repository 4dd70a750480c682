//! What lies between a client and a listening service: links, routes, the packet filter, the kernel's tables.
//!
//! Pure rules over facts. Each finding names its evidence. If the filter's rules cannot be read, a filter is concluded
//! by elimination; if they can be read and none fits, the cause is unknown: BPF programs of cgroups and security
//! modules cannot be seen.

use super::finding::Finding;
use super::verdict::{Certainty, Verdict};

mod attempt;
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

pub use attempt::{Attempt, Listener, Surroundings};
pub use checks::{firewall_check, network_check};
pub use exposure::{Exposure, exposure};
pub use shaping::{large_packets, shaped};

/// Why an attempt failed, if the network caused it; `None` if it did not, or if there is no evidence that it did.
pub fn failure(attempt: &Attempt, around: &Surroundings<'_>) -> Option<Finding> {
    let errno = attempt.errno?;
    links::failure(attempt, around)
        .or_else(|| signatures(attempt, around))
        .or_else(|| tables(attempt, around))
        .or_else(|| blocked::by_rule(attempt, around))
        .or_else(|| shaping::lost(attempt, around))
        .or_else(|| blocked::by_elimination(attempt, around, errno))
}

/// A listener that demands signed segments ignores all others.
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
    // The counters cover the whole machine. If the listener exists and is not full, their change is due to this
    // attempt.
    let stable = matches!(attempt.listener, Listener::Stable { .. });
    let certainty = if stable { Certainty::Proven } else { Certainty::Likely };
    let summary = format!("the listener ignores connections without a {kind} signature");
    Some(
        Finding::new(Verdict::ListenerIgnoresSyn, certainty, summary)
            .detail(
                "proof",
                format!("{count} segments without the signature were dropped during the attempt"),
            )
            .detail("how", "routers sign their BGP sessions this way; other clients get no answer at all")
            .fact("/proc/net/netstat", format!("{kind} signatures missing"), count)
            .advice(format!("connect with the {kind} key, or have the service listen without it")),
    )
}

/// Full kernel tables: tracked connections, half-open connections, memory.
fn tables(attempt: &Attempt, around: &Surroundings<'_>) -> Option<Finding> {
    (attempt.errno == Some(libc::ETIMEDOUT)).then_some(())?;
    conntrack(around).or_else(|| half_open(attempt, around)).or_else(|| memory(around))
}

fn conntrack(around: &Surroundings<'_>) -> Option<Finding> {
    let (count, most) = around.settings.conntrack?;
    let dropped = around.changes.conntrack_drop;
    // Entries expire between the drop and the reading, so a nearly full table counts as full if packets were dropped.
    let full = count >= most;
    let nearly = count >= most.saturating_sub(most / 20);
    if !(full || nearly && dropped > 0) {
        return None;
    }
    let certainty = if dropped > 0 { Certainty::Proven } else { Certainty::Likely };
    let summary = format!("the table of tracked connections is full ({count} of {most})");
    Some(
        Finding::new(Verdict::ConntrackFull, certainty, summary)
            .detail("how", "new connections of the whole machine are dropped; existing ones continue")
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
            .detail("proof", format!("{dropped} SYNs dropped during the attempt{limit}"))
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
            .fact("sysctl", "net.ipv4.tcp_mem, third value", most)
            .advice("find the sockets with full queues (ss -tm), or raise net.ipv4.tcp_mem"),
    )
}
