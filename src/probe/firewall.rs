//! The packet filter's rules, in words: those of nf_tables (which firewalld, ufw, Docker and iptables write today).
//!
//! Reading them needs CAP_NET_ADMIN; without it everything is empty and `not_readable` says so. What a rule does to a
//! packet is `diagnosis/filter.rs`'s. What cannot be seen at all: BPF programs of cgroups and of security modules.

use std::io;

use super::masking::printable;
use super::read_text;
use crate::sys::nftables;

mod words;

pub use crate::sys::nftables::{
    Base, BitOperation, Chain, Element, Expression, Judgement, Load, Operator, RejectKind, Rule, Ruleset, Set,
};

/// The rules, and what could not be read of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Chains, rules and sets.
    pub ruleset: Ruleset,
    /// What could not be read and why, in words; empty where everything could be.
    pub not_readable: Vec<String>,
}

/// The text of a rule that is shown.
const MAX_TEXT: usize = 160;
const MAX_NAME: usize = 64;

impl Firewall {
    /// Reads every rule of this network namespace; a few milliseconds for a thousand of them.
    pub fn read() -> Firewall {
        let mut firewall = Firewall::default();
        match nftables::ruleset() {
            Ok(ruleset) => firewall.ruleset = ruleset,
            // A kernel without nf_tables has no rules of it.
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

    /// Whether every rule could be read.
    pub fn complete(&self) -> bool {
        self.not_readable.is_empty()
    }

    /// The rule in the words of nft(8), escaped and cut.
    pub fn words(&self, rule: &Rule) -> String {
        printable(&words::of(rule, &self.ruleset.sets), MAX_TEXT)
    }

    /// How many tables there are.
    pub fn tables(&self) -> usize {
        let mut tables: Vec<_> =
            self.ruleset.chains.iter().map(|chain| (chain.family, &chain.table)).collect();
        tables.sort();
        tables.dedup();
        tables.len()
    }

    /// The same rule in another reading of the rules.
    pub fn same<'a>(&'a self, rule: &Rule) -> Option<&'a Rule> {
        self.ruleset.rules.iter().find(|other| {
            (other.family, other.handle, other.legacy) == (rule.family, rule.handle, rule.legacy)
                && (&other.table, &other.chain) == (&rule.table, &rule.chain)
        })
    }
}

/// `inet site/in handle 4`, escaped: as nft(8) names it.
pub fn place(rule: &Rule) -> String {
    let name = |text: &str| printable(text, MAX_NAME);
    let (family, table, chain) = (family(rule.family), name(&rule.table), name(&rule.chain));
    if rule.legacy {
        return format!("{family}tables-legacy {table}/{chain} rule {}", rule.handle);
    }
    format!("{family} {table}/{chain} handle {}", rule.handle)
}

/// The comment of its writer, escaped.
pub fn comment(rule: &Rule) -> Option<String> {
    rule.comment.as_ref().map(|comment| printable(comment, MAX_NAME))
}

/// The packets its counter has seen, and whether that stands behind every test of the rule.
pub fn counter(rule: &Rule) -> Option<u64> {
    rule.expressions.iter().find_map(|expression| match expression {
        Expression::Counter { packets } => Some(*packets),
        _ => None,
    })
}

/// The program that writes rules of this name and would write them again.
pub fn owner(rule: &Rule) -> Option<&'static str> {
    let has = |word: &str| {
        rule.table.to_ascii_lowercase().contains(word) || rule.chain.to_ascii_lowercase().contains(word)
    };
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

/// The command that deletes it.
pub fn deletion(rule: &Rule) -> Vec<String> {
    let words = if rule.legacy {
        let program = if rule.family == 10 { "ip6tables-legacy" } else { "iptables-legacy" };
        vec![program, "-t", &rule.table, "-D", &rule.chain]
    } else {
        vec!["nft", "delete", "rule", family(rule.family), &rule.table, &rule.chain, "handle"]
    };
    let mut command: Vec<String> = words.into_iter().map(|word| printable(word, MAX_NAME)).collect();
    command.push(rule.handle.to_string());
    command
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

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::EINVAL | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT)
    )
}

/// Tables of the older iptables that exist; only root may ask whether they do.
fn legacy_tables() -> Option<String> {
    let mut found = Vec::new();
    for (path, program) in
        [("/proc/net/ip_tables_names", "iptables"), ("/proc/net/ip6_tables_names", "ip6tables")]
    {
        let names = read_text(path, 4096).unwrap_or_default();
        let tables: Vec<String> = names.lines().map(|name| printable(name, MAX_NAME)).collect();
        if !tables.is_empty() {
            found.push(format!("{program}-legacy ({})", tables.join(", ")));
        }
    }
    (!found.is_empty()).then(|| format!("rules of {}", found.join(" and ")))
}

#[cfg(test)]
mod tests;
