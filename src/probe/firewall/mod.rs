//! The packet filter's rules, as text: the rules of nf_tables (which firewalld, ufw, Docker and iptables write today).
//!
//! Reading them needs CAP_NET_ADMIN; without it everything is empty and `not_readable` states why.
//! `diagnosis/filter.rs` decides what a rule does to a packet. BPF programs of cgroups and of security modules are
//! invisible here.

use std::io;

use super::read_text;
use crate::sys::nftables;
use crate::units::shown;

mod words;

pub use crate::sys::nftables::{
    Base, BitOperation, Chain, Element, Expression, Judgement, Load, Operator, RejectKind, Rule, Ruleset, Set,
};

/// The rules, and which of them could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Chains, rules and sets.
    pub ruleset: Ruleset,
    /// What could not be read and why, as text; empty if everything was read.
    pub not_readable: Vec<String>,
    /// The installed programs that change rules.
    pub programs: Vec<&'static str>,
}

/// The most characters shown of a rule.
const MAX_TEXT: usize = 160;
const MAX_NAME: usize = 64;

impl Firewall {
    /// Reads every rule of this network namespace; a thousand rules take a few milliseconds.
    pub fn read() -> Firewall {
        let mut firewall = Firewall { programs: programs(), ..Firewall::default() };
        match nftables::ruleset() {
            Ok(ruleset) => firewall.ruleset = ruleset,
            // A kernel without nf_tables has no such rules.
            Err(error) if is_absent(&error) => {}
            Err(error) => firewall.not_readable.push(format!("nf_tables rules ({error})")),
        }
        if firewall.ruleset.cut {
            firewall
                .not_readable
                .push("all nf_tables rules (too many, or they changed meanwhile)".to_owned());
        }
        firewall.not_readable.extend(legacy_tables());
        firewall
    }

    /// Whether every rule was read.
    pub fn complete(&self) -> bool {
        self.not_readable.is_empty()
    }

    /// The rule in the syntax of nft(8), escaped and cut.
    pub fn words(&self, rule: &Rule) -> String {
        shown(&words::of(rule, &self.ruleset.sets), MAX_TEXT)
    }

    /// Whether a program that changes rules is installed.
    pub fn has(&self, program: &str) -> bool {
        self.programs.contains(&program)
    }

    /// The command that deletes a rule, if `nft` is installed.
    pub fn deletion(&self, rule: &Rule) -> Option<Vec<String>> {
        let name = |text: &str| shown(text, MAX_NAME);
        if !self.has("nft") {
            return None;
        }
        let place = [family(rule.family), &name(&rule.table), &name(&rule.chain)].map(str::to_owned);
        let mut words: Vec<String> = ["nft", "delete", "rule"].map(str::to_owned).into();
        words.extend(place);
        words.extend(["handle".to_owned(), rule.handle.to_string()]);
        Some(words)
    }

    /// The command that accepts a port ahead of a chain's other rules, if `nft` is installed.
    pub fn exception(&self, chain: &Chain, port: u16) -> Option<Vec<String>> {
        let (table, name) = (shown(&chain.table, MAX_NAME), shown(&chain.name, MAX_NAME));
        let words =
            format!("nft insert rule {} {table} {name} tcp dport {port} accept", family(chain.family));
        self.has("nft").then(|| words.split(' ').map(str::to_owned).collect())
    }

    /// The number of tables.
    pub fn tables(&self) -> usize {
        let mut tables: Vec<_> =
            self.ruleset.chains.iter().map(|chain| (chain.family, &chain.table)).collect();
        tables.sort();
        tables.dedup();
        tables.len()
    }

    /// The same rule, found in these rules, which were read at another time.
    pub fn same<'a>(&'a self, rule: &Rule) -> Option<&'a Rule> {
        self.ruleset.rules.iter().find(|other| {
            (other.family, other.handle) == (rule.family, rule.handle)
                && (&other.table, &other.chain) == (&rule.table, &rule.chain)
        })
    }
}

/// `inet site/in handle 4`, escaped: as nft(8) names it.
pub fn place(rule: &Rule) -> String {
    let name = |text: &str| shown(text, MAX_NAME);
    let (family, table, chain) = (family(rule.family), name(&rule.table), name(&rule.chain));
    format!("{family} {table}/{chain} handle {}", rule.handle)
}

/// The rule's comment, escaped.
pub fn comment(rule: &Rule) -> Option<String> {
    rule.comment.as_ref().map(|comment| shown(comment, MAX_NAME))
}

/// The packets counted by the rule's counter, if it has one.
pub fn counter(rule: &Rule) -> Option<u64> {
    rule.expressions.iter().find_map(|expression| match expression {
        Expression::Counter { packets } => Some(*packets),
        _ => None,
    })
}

/// `inet site/in`, escaped.
pub fn chain_place(chain: &Chain) -> String {
    let name = |text: &str| shown(text, MAX_NAME);
    format!("{} {}/{}", family(chain.family), name(&chain.table), name(&chain.name))
}

/// The hook of a base chain, as ` (input)`; empty for other chains.
pub fn hook(chain: &Chain) -> &'static str {
    match (&chain.base, chain.family) {
        (None, _) => "",
        (Some(Base { hook: 1, .. }), 5) => " (egress)",
        (Some(_), 5) | (Some(Base { hook: 5, .. }), _) => " (ingress)",
        (Some(base), _) => {
            let names = [" (prerouting)", " (input)", " (forward)", " (output)", " (postrouting)"];
            names.get(base.hook as usize).copied().unwrap_or_default()
        }
    }
}

/// The program that manages rules with this name, and would write them again.
pub fn owner(rule: &Rule) -> Option<&'static str> {
    writer(&rule.table, &rule.chain)
}

/// The same for a chain.
pub fn chain_owner(chain: &Chain) -> Option<&'static str> {
    writer(&chain.table, &chain.name)
}

fn writer(table: &str, chain: &str) -> Option<&'static str> {
    let (table, chain) = (table.to_ascii_lowercase(), chain.to_ascii_lowercase());
    let has = |word: &str| table.contains(word) || chain.contains(word);
    const OWNERS: [(&str, &str); 10] = [
        ("firewalld", "firewalld"),
        ("ufw", "ufw"),
        ("docker", "Docker"),
        ("kube", "Kubernetes"),
        ("cali-", "Calico"),
        ("cilium", "Cilium"),
        ("f2b", "fail2ban"),
        ("libvirt", "libvirt"),
        ("crowdsec", "CrowdSec"),
        ("netavark", "Podman"),
    ];
    OWNERS.iter().find(|(word, _)| has(word)).map(|(_, owner)| *owner)
}

/// NFPROTO_ numbers of include/uapi/linux/netfilter.h, as nft(8) writes them.
pub fn family(number: u8) -> &'static str {
    match number {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "unknown",
    }
}

/// The installed programs, looked up in the folders where distributions put root's commands.
fn programs() -> Vec<&'static str> {
    let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"];
    let installed =
        |name: &&str| folders.iter().any(|folder| std::path::Path::new(folder).join(name).exists());
    ["nft", "ufw", "firewall-cmd", "iptables"].into_iter().filter(installed).collect()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::EINVAL | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT)
    )
}

/// The existing tables of the legacy iptables, which only root may list. Their rules are not read here.
fn legacy_tables() -> Vec<String> {
    let mut found = Vec::new();
    for (path, program) in
        [("/proc/net/ip_tables_names", "iptables-legacy"), ("/proc/net/ip6_tables_names", "ip6tables-legacy")]
    {
        let names = read_text(path, 4096).unwrap_or_default();
        let tables: Vec<String> = names.lines().map(|name| shown(name, MAX_NAME)).collect();
        if !tables.is_empty() {
            found.push(format!(
                "{program} rules (tables {} exist; {program} -vnL shows them)",
                tables.join(", ")
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests;
