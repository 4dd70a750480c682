//! `acl … src` and `tcp-request connection accept|reject` → who may connect (configuration.txt, sections 4.2 and 7.1).
//! Those of `session` and `content` are taken the same way: they only come later.
//!
//! Rules are taken where `allow` and `deny` say the same. Where they do not, the route is left out: without a rule it
//! would be open to more clients.

use super::lines::Line;
use super::proxy::Proxy;
use super::rates::{self, PerClient};
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;
use crate::import::networks::network;

/// The lists that the rules of a proxy come to.
#[derive(Default)]
struct Lists<'p> {
    allow: Option<(Vec<String>, At)>,
    deny: Vec<String>,
    accepted: Vec<String>,
    /// The last rule that went into them.
    last: Option<&'p At>,
    /// Whether a rule counts each client.
    counts: bool,
}

impl<'p> Lists<'p> {
    /// Takes the rules one after the other; the first that is no list is the error.
    fn gather(
        id: RouteId,
        proxy: &'p Proxy,
        used: &mut Vec<String>,
        draft: &mut Draft,
    ) -> Result<Lists<'p>, &'p At> {
        let (mut lists, mut is_tracked) = (Lists::default(), false);
        for rule in &proxy.rules {
            match one(rule, proxy, is_tracked, used) {
                Some(Rule::Tracks) => is_tracked = true,
                Some(Rule::PerClient(limit)) if lists.accepted.is_empty() => {
                    lists.counts = true;
                    rates::apply(id, limit, rule, draft);
                }
                read => {
                    if !read.is_some_and(|read| lists.take(read, &rule.at)) {
                        return Err(&rule.at);
                    }
                    lists.last = Some(&rule.at);
                }
            }
        }
        Ok(lists)
    }

    /// Whether the lists can say what a rule says.
    fn take(&mut self, rule: Rule, at: &At) -> bool {
        match rule {
            Rule::Accept(clients) if self.deny.is_empty() => self.accepted.extend(clients),
            Rule::Reject(clients) if self.accepted.is_empty() => self.deny.extend(clients),
            Rule::RejectAllBut(clients) if self.allow.is_none() && self.accepted.is_empty() => {
                self.allow = Some((clients, at.clone()));
            }
            Rule::RejectAll if !self.accepted.is_empty() && self.allow.is_none() => {
                self.allow = Some((std::mem::take(&mut self.accepted), at.clone()));
            }
            _ => return false,
        }
        true
    }
}

/// Applies the rules of a proxy to its route; `used` are the names of `acl` that something else was made of.
pub(super) fn apply(id: RouteId, proxy: &Proxy, mut used: Vec<String>, draft: &mut Draft) {
    let Lists { allow, mut deny, accepted, last, counts } = match Lists::gather(id, proxy, &mut used, draft) {
        Ok(lists) => lists,
        Err(at) => {
            let why = "the rule is not one of allow and deny alone; write who may connect in those; without it more clients could";
            return draft.leave_out(id, at, why);
        }
    };
    if let (Some(at), false) = (last, draft.knows("allow")) {
        return draft.leave_out(id, at, "this version of Loopgate has no list of clients");
    }
    if let Some((clients, at)) = allow {
        draft.set(id, &at, "allow", Toml::List(clients));
    }
    deny = deny
        .iter()
        .enumerate()
        .filter(|(n, one)| !deny[..*n].contains(one))
        .map(|(_, one)| one.clone())
        .collect();
    if let (Some(at), false) = (last, deny.is_empty()) {
        draft.set(id, at, "deny", Toml::List(deny));
    }
    if let (Some(at), false) = (last, accepted.is_empty()) {
        draft.idle(at, "nothing is rejected behind it");
    }
    if let Some(table) = &proxy.table {
        match counts {
            true => draft.idle(&table.at, "what the rules read of it is carried"),
            false => draft.lost(
                None,
                &table.at,
                "there is no table of clients; balance = \"source_hash\" keeps a client with its target",
            ),
        }
    }
    for acl in proxy.acls.iter().filter(|acl| !used.contains(&acl.words[1])) {
        draft.idle(&acl.at, "no rule that is carried over uses it");
    }
}

/// What one rule says.
enum Rule {
    Accept(Vec<String>),
    Reject(Vec<String>),
    RejectAllBut(Vec<String>),
    RejectAll,
    /// A limit of each client.
    PerClient(PerClient),
    /// From here on a client's own connection counts.
    Tracks,
}

/// `tcp-request connection reject if !good`
fn one(line: &Line, proxy: &Proxy, is_tracked: bool, used: &mut Vec<String>) -> Option<Rule> {
    let words: Vec<&str> = line.words.iter().skip(2).map(String::as_str).collect();
    let (verb, condition) = words.split_first()?;
    if verb.starts_with("track-sc") && matches!(condition, ["src", ..]) && !condition.contains(&"if") {
        return Some(Rule::Tracks);
    }
    if let ("reject" | "silent-drop", ["if", rest @ ..]) = (*verb, condition)
        && let Some((false, expressions)) = self::condition(rest, proxy, &mut Vec::new())
        && let [expression] = &expressions[..]
        && let Some(limit) = rates::read(expression, proxy.table.as_ref(), is_tracked)
    {
        used.extend(rest.iter().map(|word| (*word).to_owned()));
        return Some(Rule::PerClient(limit));
    }
    let (negated, clients) = match condition {
        [] => (false, None),
        ["if", rest @ ..] => condition_of(rest, proxy, used).map(|(not, clients)| (not, Some(clients)))?,
        ["unless", rest @ ..] => {
            condition_of(rest, proxy, used).map(|(not, clients)| (!not, Some(clients)))?
        }
        _ => return None,
    };
    let verb = if *verb == "silent-drop" { "reject" } else { verb };
    match (verb, negated, clients) {
        ("accept", false, Some(clients)) => Some(Rule::Accept(clients)),
        ("reject", false, Some(clients)) => Some(Rule::Reject(clients)),
        ("reject", true, Some(clients)) => Some(Rule::RejectAllBut(clients)),
        ("reject", _, None) => Some(Rule::RejectAll),
        _ => None,
    }
}

/// Whether a condition is negated, and which clients it names.
fn condition_of(words: &[&str], proxy: &Proxy, used: &mut Vec<String>) -> Option<(bool, Vec<String>)> {
    let (negated, expressions) = condition(words, proxy, used)?;
    let mut all = Vec::new();
    for words in &expressions {
        all.extend(clients(&words.iter().map(String::as_str).collect::<Vec<_>>())?);
    }
    Some((negated, all))
}

/// `!good`, `{ src 10.0.0.0/8 }`, `bad1 or bad2`: whether it is negated, and the expressions of which one must hold.
pub(super) fn condition(
    words: &[&str],
    proxy: &Proxy,
    used: &mut Vec<String>,
) -> Option<(bool, Vec<Vec<String>>)> {
    match words {
        ["!", rest @ ..] => condition(rest, proxy, used).map(|(not, all)| (!not, all)),
        ["{", inside @ .., "}"] | ["!{", inside @ .., "}"] if !inside.contains(&"}") => {
            Some((words[0] == "!{", vec![inside.iter().map(|word| (*word).to_owned()).collect()]))
        }
        [name] => {
            let (negated, name) = name.strip_prefix('!').map_or((false, *name), |name| (true, name));
            Some((negated, of_acl(name, proxy, used)?))
        }
        names => {
            let mut all = Vec::new();
            for part in names.split(|word| matches!(*word, "or" | "||")) {
                let [name] = part else { return None };
                all.extend(of_acl(name, proxy, used)?);
            }
            Some((false, all))
        }
    }
}

/// The expressions of every `acl` line of that name.
fn of_acl(name: &str, proxy: &Proxy, used: &mut Vec<String>) -> Option<Vec<Vec<String>>> {
    let lines = proxy.acls.iter().filter(|acl| acl.words[1] == name);
    let all: Vec<Vec<String>> = lines.map(|line| line.words[2..].to_vec()).collect();
    used.push(name.to_owned());
    (!all.is_empty()).then_some(all)
}

/// `src 10.0.0.0/8 192.168.0.1 -f FILE`
fn clients(words: &[&str]) -> Option<Vec<String>> {
    let ["src", rest @ ..] = words else { return None };
    let mut found = Vec::new();
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match *word {
            "-n" | "--" => {}
            "-f" => found.push(format!("file:{}", rest.next()?)),
            word => found.extend(crate::import::networks::written(&[network(word)?])),
        }
    }
    (!found.is_empty()).then_some(found)
}
