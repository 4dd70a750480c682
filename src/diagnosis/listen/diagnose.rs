//! Finds out why binds failed: the facts of each, its verdict and its words make a diagnosis.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::json;

use super::facts::{BindFacts, Failed, gather};
use super::fixes::fixes;
use super::judge::{decisive, judge};
use super::overlap::Overlap;
use super::wording::{details, summary};
use crate::diagnosis::errno::errno_name;
use crate::diagnosis::finding::{Diagnosis, NotReadable, Question, Subject};
use crate::diagnosis::verdict::Verdict;
use crate::outcome::{HeldSocket, Holder};
use crate::probe::sockets::ports::Transport;

/// The command that starts this program with the given port instead of that of the address; `None` if there is none.
pub type Instead<'a> = &'a dyn Fn(SocketAddr, u16) -> Option<Vec<String>>;

/// Finds out why binds (or the listens after them) of TCP or UDP listeners failed, in the same order and with one search
/// of /proc for all, which takes at most 300 ms. Call it immediately after the failure, while the cause still exists.
/// `instead` is asked for the command that uses the next free port.
pub fn bind_failures(
    failures: &[(SocketAddr, Transport, &io::Error)],
    instead: Instead<'_>,
) -> Vec<Diagnosis> {
    let begun = Instant::now();
    let failed = |&(address, transport, error)| Failed { address, transport, error };
    let mut all = gather(&failures.iter().map(failed).collect::<Vec<_>>());
    for facts in &mut all {
        facts.instead = facts.next_free.and_then(|free| instead(facts.address, free)).unwrap_or_default();
    }
    all.iter().map(|facts| Diagnosis { elapsed: begun.elapsed(), ..diagnose(facts) }).collect()
}

/// The diagnosis of these facts. Pure.
pub(super) fn diagnose(facts: &BindFacts) -> Diagnosis {
    let (verdict, certainty) = judge(facts);
    let subject = subject(facts.address, facts.transport);
    let mut diagnosis = Diagnosis::new(Question::Listen, subject, verdict, certainty);
    diagnosis.errno = Some(errno_name(facts.errno));
    diagnosis.os_message.clone_from(&facts.os_message);
    diagnosis.summary = summary(facts, verdict);
    for (label, text) in details(facts, verdict) {
        diagnosis.detail(label, text);
    }
    diagnosis.holders = facts.holders_with_sockets();
    diagnosis.fixes = fixes(facts, verdict);
    diagnosis.next_free_port = facts.next_free;
    facts.add_evidence(&mut diagnosis);
    facts.add_gaps(&mut diagnosis);
    diagnosis
}

/// The address in question.
pub(super) fn subject(address: SocketAddr, transport: Transport) -> Subject {
    match transport {
        Transport::Tcp => Subject::Tcp(address),
        Transport::Udp => Subject::Udp(address),
    }
}

impl BindFacts {
    /// The processes that hold the address; if none was seen, those that might.
    fn holders_with_sockets(&self) -> Vec<Holder> {
        let with_sockets =
            |holder: &Holder| Holder { sockets: self.sockets_of(holder.pid), ..holder.clone() };
        let seen: Vec<Holder> = self.holders().into_iter().map(with_sockets).collect();
        if seen.is_empty() { self.candidates.clone() } else { seen }
    }

    fn sockets_of(&self, pid: u32) -> Vec<HeldSocket> {
        let has = |inode| self.held.iter().any(|held| held.holder.pid == pid && held.inode == inode);
        let of_pid = decisive(self).into_iter().filter(|blocker| has(blocker.socket.inode));
        of_pid
            .map(|blocker| HeldSocket {
                state: if self.transport == Transport::Udp { "" } else { blocker.socket.state.name() },
                local: blocker.socket.local.to_string(),
                remote: (blocker.socket.remote.port() != 0).then(|| blocker.socket.remote.to_string()),
                inode: blocker.socket.inode,
                overlap: blocker.overlap.word(),
            })
            .collect()
    }

    fn add_evidence(&self, diagnosis: &mut Diagnosis) {
        const SHOWN: usize = 16;
        for blocker in decisive(self).into_iter().take(SHOWN) {
            let socket = &blocker.socket;
            let remote =
                if socket.remote.port() == 0 { String::new() } else { format!(" -> {}", socket.remote) };
            let fact = format!("{} {}{remote}", socket.state.name(), socket.local);
            diagnosis.fact(
                "sock_diag",
                fact,
                json!({"inode": socket.inode, "uid": socket.uid, "waiting": socket.receive_queue,
                       "v6only": socket.v6only, "cgroup": socket.cgroup, "interface": blocker.device}),
            );
        }
        let (first, last) = self.ports.outgoing;
        match diagnosis.verdict {
            Verdict::PortHeldByOutgoing | Verdict::EphemeralPortsExhausted => {
                diagnosis.fact("sysctl", "ip_local_port_range", json!([first, last]));
            }
            Verdict::PortPrivileged => {
                diagnosis.fact("sysctl", "ip_unprivileged_port_start", self.ports.first_unprivileged);
                diagnosis.fact("/proc/self/status", "CAP_NET_BIND_SERVICE", self.rights.may_bind_low_ports);
            }
            Verdict::BindDeniedBySandbox => {
                diagnosis.fact("/proc/self/status", "NoNewPrivs", self.rights.no_new_privs);
                diagnosis.fact("/proc/self/status", "Seccomp", self.rights.seccomp);
                diagnosis.fact("/proc/self/attr/current", "label", self.rights.label.clone());
            }
            Verdict::OwnFdLimit => {
                let limit = json!({"soft": self.descriptors.soft, "hard": self.descriptors.hard, "used": self.descriptors.used});
                diagnosis.fact("getrlimit", "RLIMIT_NOFILE", limit);
            }
            Verdict::AddressNotLocal
            | Verdict::AddressTentative
            | Verdict::LoopbackRouteLost
            | Verdict::LoopbackDown => {
                let own: Vec<String> = self.network.addresses().iter().map(ToString::to_string).collect();
                diagnosis.fact("/proc/net", "addresses", own);
            }
            Verdict::Ipv6Disabled => diagnosis.fact("sysctl", "disable_ipv6", self.ipv6_off),
            Verdict::ReuseportOtherUser => {
                diagnosis.fact("getsockopt", "SO_REUSEPORT of the holder's socket", self.shares)
            }
            _ => {}
        }
    }

    fn add_gaps(&self, diagnosis: &mut Diagnosis) {
        let how = format!("sudo loopgate explain {} --listen", self.address);
        let mut gap = |what: String, why: &str| {
            diagnosis.not_readable.push(NotReadable { what, why: why.to_owned(), how: how.clone() });
        };
        if self.held.is_empty() && self.closed > 0 {
            gap(format!("the descriptors of {} processes", self.closed), "CAP_SYS_PTRACE");
        }
        if self.hidepid {
            gap("the processes of other users".to_owned(), "/proc is mounted with hidepid");
        }
        for what in &self.not_readable {
            gap(what.clone(), "refused");
        }
    }
}

impl Overlap {
    /// The word used in JSON.
    fn word(self) -> &'static str {
        match self {
            Overlap::Exact => "exact",
            Overlap::Wildcard => "wildcard",
            Overlap::DualStack => "dual_stack",
            Overlap::Specific => "specific",
        }
    }
}
