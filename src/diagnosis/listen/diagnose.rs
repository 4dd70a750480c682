//! Turns a failed bind into a diagnosis.

use std::time::Instant;

use serde_json::json;

use super::facts::BindFacts;
use super::fixes::fixes;
use super::judge::{BindFinding, decisive};
use super::overlap::Overlap;
use super::wording::{details, summary};
use crate::diagnosis::errno::errno_name;
use crate::diagnosis::finding::{Diagnosis, NotReadable, Question, Subject};
use crate::diagnosis::verdict::Verdict;
use crate::outcome::{HeldSocket, Holder};
use crate::probe::sockets::ports::Transport;

impl BindFinding {
    /// The finding as a diagnosis; `since` is when the examination began.
    pub fn diagnosis(&self, since: Instant) -> Diagnosis {
        let facts = &self.facts;
        let mut diagnosis = Diagnosis::new(Question::Listen, facts.subject(), self.verdict, self.certainty);
        diagnosis.routes.clone_from(&self.routes);
        diagnosis.errno = Some(errno_name(facts.errno));
        diagnosis.os_message.clone_from(&facts.os_message);
        diagnosis.summary = summary(self);
        for (label, text) in details(self) {
            diagnosis.detail(label, text);
        }
        diagnosis.holders = self.holders_with_sockets();
        diagnosis.fixes = fixes(self);
        diagnosis.next_free_port = facts.next_free;
        facts.add_evidence(&mut diagnosis);
        facts.add_gaps(&mut diagnosis);
        diagnosis.elapsed = since.elapsed();
        diagnosis
    }

    /// The processes that hold the address; if none was seen, those that might.
    fn holders_with_sockets(&self) -> Vec<Holder> {
        let seen = self
            .holders()
            .into_iter()
            .map(|holder| Holder { sockets: self.facts.sockets_of(holder.pid), ..holder.clone() });
        let seen: Vec<Holder> = seen.collect();
        if seen.is_empty() { self.facts.candidates.clone() } else { seen }
    }
}

impl BindFacts {
    /// The address in question.
    pub(super) fn subject(&self) -> Subject {
        match self.transport {
            Transport::Tcp => Subject::Tcp(self.address),
            Transport::Udp => Subject::Udp(self.address),
        }
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
