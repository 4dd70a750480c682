//! `acl … src` and `tcp-request connection accept|reject` → which clients may connect (configuration.txt, sections 4.2
//! and 7.1). Rules of `session` and `content` are read the same way: HAProxy only applies them later.
//!
//! Rules are carried over if `allow` and `deny` can express them. If not, the route is left out: without the rule it
//! would accept more clients.

use super::lines::Line;
use super::proxy::Proxy;
use super::rates::{self, PerClient};
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;
use crate::import::networks::network;

/// The lists that a proxy's rules amount to.
#[derive(Default)]
struct Lists<'p> {
    allow: Option<(Vec<String>, At)>,
    deny: Vec<String>,
    accepted: Vec<String>,
    /// The last rule that contributed to them.
    last: Option<&'p At>,
    /// Whether a rule counts the connections of each client.
    counts: bool,
}

impl<'p> Lists<'p> {
    /// Converts the rules in order; the error is the first rule that the lists cannot express.
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

    /// Whether the lists can express a rule.
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

/// Applies the rules of a proxy to its route; `used` are the `acl` names that other parts of the import have used.
pub(super) fn apply(id: RouteId, proxy: &Proxy, mut used: Vec<String>, draft: &mut Draft) {
    let Lists { allow, mut deny, accepted, last, counts } = match Lists::gather(id, proxy, &mut used, draft) {
        Ok(lists) => lists,
        Err(at) => {
            let why = "allow and deny cannot express this rule; list the clients that may connect there; without it more clients could connect";
            return draft.leave_out(id, at, why);
        }
    };
    if let (Some(at), false) = (last, draft.knows("allow")) {
        return draft.leave_out(id, at, "this version of Loopgate has no client lists");
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
        draft.idle(at, "no later rule rejects anything");
    }
    if let Some(table) = &proxy.table {
        match counts {
            true => draft.idle(&table.at, "what the rules use of it is carried over"),
            false => draft.lost(
                None,
                &table.at,
                "there is no table of clients; balance = \"source_hash\" keeps a client on its target",
            ),
        }
    }
    for acl in proxy.acls.iter().filter(|acl| !used.contains(&acl.words[1])) {
        draft.idle(&acl.at, "no rule that is carried over uses it");
    }
}

/// The meaning of one rule.
enum Rule {
    Accept(Vec<String>),
    Reject(Vec<String>),
    RejectAllBut(Vec<String>),
    RejectAll,
    /// A limit for each client.
    PerClient(PerClient),
    /// From here on, the count includes the client's current connection.
    Tracks,
}

/// Parses a rule, such as `tcp-request connection reject if !good`.
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

/// Whether a condition is negated, and the clients it names.
fn condition_of(words: &[&str], proxy: &Proxy, used: &mut Vec<String>) -> Option<(bool, Vec<String>)> {
    let (negated, expressions) = condition(words, proxy, used)?;
    let mut all = Vec::new();
    for words in &expressions {
        all.extend(clients(&words.iter().map(String::as_str).collect::<Vec<_>>())?);
    }
    Some((negated, all))
}

/// Parses `!good`, `{ src 10.0.0.0/8 }` or `bad1 or bad2`: whether it is negated, and the expressions, of which one
/// must match.
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

/// Parses the clients of `src 10.0.0.0/8 192.168.0.1 -f FILE`.
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
