//! rinetd.conf (rinetd(8) 0.73, and the grammar in its src/parse.peg) → routes.

use ipnet::IpNet;

use super::draft::{Draft, RouteId, Target, Toml};
use super::message::At;
use super::networks::{both, pattern, written};
use super::shell::{bracketed, port, seconds, time, why_no_port};

/// After how many seconds without a datagram rinetd ends a UDP flow.
const UDP_TIMEOUT: &str = "72";

/// The `allow` and `deny` rules of one route, or the global ones.
#[derive(Clone, Default)]
struct Rules {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    allow_at: Option<At>,
    deny_at: Option<At>,
    /// A rule that could not be parsed: without it, a route would accept more clients.
    lost: Option<(At, String)>,
}

/// Whether a line is a forwarding rule: at least four words, of which the second and the fourth are ports.
pub(super) fn is_rule(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_port = |word: &str| word.split('/').next().is_some_and(|port| port.parse::<u16>().is_ok());
    matches!(words[..], [_, bind, _, connect, ..] if is_port(bind) && is_port(connect.split('[').next().unwrap_or(connect)))
}

/// Imports the file.
pub(super) fn read(text: &str, draft: &mut Draft) {
    let mut global = Rules::default();
    let mut routes: Vec<(RouteId, Rules)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or(line).trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = At::new(at + 1, words.join(" "));
        match words[..] {
            [] => {}
            [word @ ("allow" | "deny"), wanted] => {
                let rules = routes.last_mut().map_or(&mut global, |(_, rules)| rules);
                rule(word == "allow", wanted, &at, rules);
            }
            ["allow" | "deny", ..] => {
                let rules = routes.last_mut().map_or(&mut global, |(_, rules)| rules);
                rules.lost = Some((at, "exactly one pattern must follow this word".to_owned()));
            }
            ["logfile", ..] | ["logcommon"] => {
                draft.idle(&at, "Loopgate writes a record of every connection to standard error; let the service manager store it");
            }
            ["pidlogfile", ..] => {
                draft.idle(&at, "Loopgate writes no file with its process ID; none is needed")
            }
            _ => routes.extend(forward(&at, draft).map(|id| (id, Rules::default()))),
        }
    }
    for (id, rules) in &routes {
        guard(*id, &global, rules, draft);
    }
    if let (Some((at, why)), true) = (&global.lost, routes.is_empty()) {
        draft.lost(None, at, why);
    }
}

fn rule(allows: bool, wanted: &str, at: &At, rules: &mut Rules) {
    match pattern(wanted) {
        Some(networks) if allows => {
            rules.allow.extend(networks);
            rules.allow_at.get_or_insert_with(|| at.clone());
        }
        Some(networks) => {
            rules.deny.extend(networks);
            rules.deny_at.get_or_insert_with(|| at.clone());
        }
        None => {
            let why = "this pattern is not a network; write its clients as networks, such as 192.168.2.0/24";
            rules.lost = Some((at.clone(), why.to_owned()));
        }
    }
}

/// Sets which clients the route accepts: those that both the global rules and its own accept.
fn guard(id: RouteId, global: &Rules, own: &Rules, draft: &mut Draft) {
    if let Some((at, why)) = global.lost.as_ref().or(own.lost.as_ref()) {
        return draft.leave_out(id, at, format!("{why}; without it more clients could connect"));
    }
    let allow = match (&global.allow[..], &own.allow[..]) {
        ([], only) | (only, []) => only.to_vec(),
        (global, own) => both(global, own),
    };
    if let Some(at) = own.allow_at.as_ref().or(global.allow_at.as_ref()) {
        match allow.is_empty() {
            true => draft.leave_out(id, at, "no client is in both allow lists"),
            false => set(id, at, "allow", &allow, draft),
        }
    }
    let deny = [&global.deny[..], &own.deny[..]].concat();
    if let Some(at) = own.deny_at.as_ref().or(global.deny_at.as_ref()) {
        set(id, at, "deny", &deny, draft);
    }
}

fn set(id: RouteId, at: &At, key: &'static str, networks: &[IpNet], draft: &mut Draft) {
    draft.set(id, at, key, Toml::List(written(networks)));
}

/// `bindaddress bindport connectaddress connectport [options]`
fn forward(at: &At, draft: &mut Draft) -> Option<RouteId> {
    let (rule, options) = match at.words.split_once('[') {
        // A bracket may also begin an IPv6 address; options follow the fourth word.
        Some((rule, options)) if rule.split_whitespace().count() >= 4 => (rule, Some(options.to_owned())),
        _ => split_options(&at.words),
    };
    let words: Vec<&str> = rule.split_whitespace().collect();
    let [bind, bind_port, connect, connect_port, rest @ ..] = &words[..] else {
        return no_rule(at, draft);
    };
    let is_number = |text: &str| proto(text).0.bytes().all(|byte| byte.is_ascii_digit());
    let known = [bind_port, connect_port].iter().filter(|text| port(proto(text).0, "tcp").is_some()).count();
    if known < 2 && ![bind_port, connect_port].iter().any(|text| is_number(text)) {
        return no_rule(at, draft);
    }
    let (bind_port, from) = proto(bind_port);
    let (connect_port, to) = proto(connect_port);
    if from != to {
        let why = format!(
            "it forwards {from} to {to}, but a route uses one protocol for both; for UDP, write /udp after both ports"
        );
        draft.lost(None, at, why);
        return None;
    }
    let (Some(listen), Some(target)) = (port(bind_port, from), port(connect_port, to)) else {
        let wrong = if port(bind_port, from).is_none() { bind_port } else { connect_port };
        draft.lost(None, at, why_no_port(wrong));
        return None;
    };
    let suffix = if from == "udp" { "-udp" } else { "" };
    let id = draft.open(&format!("port-{listen}{suffix}"), at.clone());
    draft.listen(id, format!("{}:{listen}", every(bind)));
    let address = format!("{}:{target}", bracketed(connect));
    draft.target(id, Target { address, at: Some(at.clone()), ..Target::default() });
    if from == "udp" {
        draft.set(id, at, "protocol", Toml::text("udp"));
    }
    for word in rest {
        draft.lost(Some(id), &at.with(*word), "rinetd takes no such word in this place");
    }
    let options = options.unwrap_or_default();
    let mut timed = false;
    for option in options.trim_end_matches([']', ' ']).split(',').map(str::trim).filter(|it| !it.is_empty()) {
        timed |= self::option(id, option, from, at, draft);
    }
    if from == "udp"
        && !timed
        && let Some(default) = seconds(UDP_TIMEOUT)
    {
        draft.set(id, &at.with("timeout (72 s by default)"), "idle_timeout", time(default));
    }
    Some(id)
}

fn no_rule(at: &At, draft: &mut Draft) -> Option<RouteId> {
    let why = "this is neither a forwarding rule nor any other line of rinetd; write bindaddress bindport connectaddress \
               connectport";
    draft.lost(None, &at.unknown(), why);
    None
}

/// Splits off the options, which may touch the fourth word: `80[timeout=5]`.
fn split_options(words: &str) -> (&str, Option<String>) {
    match words.rfind('[').filter(|at| words[*at..].contains('=')) {
        Some(at) => (&words[..at], Some(words[at + 1..].to_owned())),
        None => (words, None),
    }
}

/// Imports `timeout=3600` or `src=10.1.1.2`; returns whether it was a timeout.
fn option(id: RouteId, option: &str, protocol: &str, at: &At, draft: &mut Draft) -> bool {
    let at = at.with(option);
    match option.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
        Some(("timeout", value)) if protocol == "udp" => {
            match seconds(value).filter(|time| !time.is_zero()) {
                Some(timeout) => {
                    draft.set(id, &at, "idle_timeout", time(timeout));
                    return true;
                }
                None => draft.lost(Some(id), &at, "this is not a time in seconds"),
            }
        }
        Some(("timeout", _)) => draft.idle(&at, "in rinetd it applies to UDP flows only"),
        Some(("src", value)) => {
            draft.set(id, &at, "source", Toml::text(value.trim_matches(['[', ']'])));
        }
        _ => draft.lost(Some(id), &at, "rinetd's only options are timeout and src"),
    }
    false
}

fn proto(port: &str) -> (&str, &'static str) {
    match port.split_once('/') {
        Some((port, "udp")) => (port, "udp"),
        Some((port, "tcp")) => (port, "tcp"),
        _ => (port, "tcp"),
    }
}

/// The bind address; `0` means every IPv4 address.
fn every(bind: &str) -> String {
    if bind == "0" { "0.0.0.0".to_owned() } else { bracketed(bind) }
}
