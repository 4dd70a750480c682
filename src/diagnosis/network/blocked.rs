//! A packet filter between a client and a listening service: which rule it is, or that only a filter explains the
//! failure.

use serde_json::json;

use super::attempt::{Attempt, Listener, Surroundings, unread};
use crate::diagnosis::filter::{self, Answer, Effect, Hit, Role};
use crate::diagnosis::finding::{Finding, Fix};
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::probe::firewall::{self, Expression, Firewall, Load, Rule};

/// The readable rule that takes the connection: proven by its counter, or because the outcome of every one of its tests
/// is known.
pub(super) fn by_rule(attempt: &Attempt, around: &Surroundings<'_>) -> Option<Finding> {
    // Without a listener, a refusal needs no filter to explain it, and a time-out needs some rule.
    let refused = attempt.errno == Some(libc::ECONNREFUSED);
    if refused && matches!(attempt.listener, Listener::Nobody | Listener::Changing) {
        return None;
    }
    let way = attempt.way(around.routing)?;
    let passage = filter::connection(&around.before.ruleset, &attempt.first_packet(), &way);
    let mut fitting: Vec<(&Hit, Option<u64>)> = passage
        .hits
        .iter()
        .filter(|hit| fits(hit, attempt))
        .map(|hit| (hit, counted(hit, around)))
        .filter(|(_, counted)| *counted != Some(0))
        .collect();
    // A counter that rose is the best proof, a rule whose tests are all known the second best.
    fitting.sort_by_key(|(hit, counted)| (counted.is_none(), !hit.certain));
    let (hit, counted) = *fitting.first()?;
    let alone = fitting.len() == 1 || hit.certain;
    let certainty = match counted {
        Some(_) => Certainty::Proven,
        None if hit.certain && around.before.complete() => Certainty::Proven,
        None if alone || hit.limited => Certainty::Likely,
        None => Certainty::Likely,
    };
    Some(found(hit, counted, certainty, attempt, around))
}

/// Whether the effect of the rule matches the observed failure.
fn fits(hit: &Hit, attempt: &Attempt) -> bool {
    let errno = attempt.errno.unwrap_or_default();
    match &hit.effect {
        // The sender of a dropped segment gets no error, only that of a datagram does (EPERM).
        Effect::Drop | Effect::Queue { .. } | Effect::Taken(_) => errno == libc::ETIMEDOUT,
        // The rejection goes to the sender of the answer, and the client waits.
        Effect::Reject(_) if hit.role == Role::Answer => errno == libc::ETIMEDOUT,
        Effect::Reject(Answer::Reset) => matches!(errno, libc::ECONNREFUSED | libc::ECONNRESET),
        // An ICMP message that arrives while the socket is in use is only recorded, and the connection waits
        // (tcp_v4_err).
        Effect::Reject(Answer::Icmp(sent)) => errno == *sent || errno == libc::ETIMEDOUT || *sent == 0,
        Effect::Redirect(to) => hit.certain && *to != attempt.to,
    }
}

/// The packets that a rule, or a counting policy, took during the attempt; `None` without a counter, or if its counter
/// was read only once.
fn counted(hit: &Hit, around: &Surroundings<'_>) -> Option<u64> {
    let (before, after) = (around.before, around.after);
    if std::ptr::eq(before, after) {
        return None;
    }
    let Some(rule) = hit.rule.map(|at| &before.ruleset.rules[at]) else {
        let chain = &before.ruleset.chains[hit.chain];
        let same = after.ruleset.chains.iter().find(|other| {
            (other.family, &other.table, &other.name) == (chain.family, &chain.table, &chain.name)
        })?;
        let packets = |chain: &firewall::Chain| chain.base.as_ref().and_then(|base| base.policy_packets);
        return Some(packets(same)?.saturating_sub(packets(chain)?));
    };
    // A counter counts what the rule takes only if it stands after all of the tests.
    let behind = rule.expressions.iter().skip_while(|e| !matches!(e, Expression::Counter { .. })).skip(1);
    let decisive = behind.filter(|e| is_test(e)).count() == 0;
    let risen = firewall::counter(after.same(rule)?)?.saturating_sub(firewall::counter(rule)?);
    // One before a test shows at least that the rule took nothing if it did not rise.
    (decisive || risen == 0).then_some(risen)
}

fn is_test(expression: &Expression) -> bool {
    matches!(
        expression,
        Expression::Compare { .. }
            | Expression::Range { .. }
            | Expression::Lookup { .. }
            | Expression::Limit { .. }
            | Expression::ConnectionLimit { .. }
            | Expression::Quota { .. }
            | Expression::Match { .. }
            | Expression::Other(_)
    )
}

fn found(
    hit: &Hit,
    counted: Option<u64>,
    certainty: Certainty,
    attempt: &Attempt,
    around: &Surroundings<'_>,
) -> Finding {
    let firewall = around.before;
    let verdict = verdict_of(hit);
    let place = place(hit, firewall);
    let mut finding = Finding::new(verdict, certainty, summary(hit, verdict, &place, attempt))
        .detail("rule", rule_line(hit, firewall))
        .fact("nf_tables", rule_line(hit, firewall), json!({"rule": place, "packets": counted}));
    if let Some(limit) = hit.limit {
        let rule = &firewall.ruleset.rules[limit];
        finding = finding.detail("limit", format!("{}: {}", firewall::place(rule), firewall.words(rule)));
    }
    if hit.rule.is_some_and(|at| asks_who(&firewall.ruleset.rules[at])) {
        finding = finding.detail(
            "who",
            format!("only for user {} (uid): the rule matches the connecting user", attempt.uid),
        );
    }
    finding = finding.detail("proof", proof(hit, counted, attempt));
    finding.fixes.extend(fix(hit, attempt, firewall));
    finding.not_readable = unread(attempt, firewall);
    finding
}

fn verdict_of(hit: &Hit) -> Verdict {
    match &hit.effect {
        Effect::Redirect(_) => Verdict::FirewallRedirect,
        _ if hit.limited => Verdict::FirewallConnlimit,
        Effect::Reject(_) => Verdict::FirewallReject,
        Effect::Drop | Effect::Queue { .. } | Effect::Taken(_) => Verdict::FirewallDrop,
    }
}

fn summary(hit: &Hit, verdict: Verdict, place: &str, attempt: &Attempt) -> String {
    let service = match attempt.listener {
        Listener::Stable { .. } => "; the service itself listens",
        _ => "",
    };
    let what = if hit.role == Role::Answer { "the service's answers" } else { "it" };
    let who = if hit.rule.is_some() { "a firewall rule" } else { "the policy of a firewall chain" };
    match (&hit.effect, verdict) {
        (Effect::Redirect(to), _) => format!("a firewall rule redirects it to {to} ({place})"),
        (_, Verdict::FirewallConnlimit) => {
            format!("a firewall rule limits the number of connections ({place}){service}")
        }
        (Effect::Reject(_), _) => format!("{who} rejects {what} ({place}){service}"),
        (Effect::Queue { number, .. }, _) => {
            format!(
                "a firewall rule hands {what} to queue {number}, and no program lets it pass ({place}){service}"
            )
        }
        (Effect::Taken(by), _) => format!("a firewall rule hands {what} to {by} ({place}){service}"),
        _ => format!("{who} drops {what} ({place}){service}"),
    }
}

fn place(hit: &Hit, firewall: &Firewall) -> String {
    match hit.rule {
        Some(at) => firewall::place(&firewall.ruleset.rules[at]),
        None => firewall::chain_place(&firewall.ruleset.chains[hit.chain]),
    }
}

/// `inet site/in handle 4: tcp dport 62893 counter packets 0 drop   # corp policy`
fn rule_line(hit: &Hit, firewall: &Firewall) -> String {
    let hook = firewall::hook(&firewall.ruleset.chains[hit.chain]);
    let Some(rule) = hit.rule.map(|at| &firewall.ruleset.rules[at]) else {
        return format!("{}: policy drop{hook}", place(hit, firewall));
    };
    let comment = firewall::comment(rule).map_or(String::new(), |comment| format!("   # {comment}"));
    format!("{}{hook}: {}{comment}", firewall::place(rule), firewall.words(rule))
}

/// Whether a rule matches the user or group of the sender.
fn asks_who(rule: &Rule) -> bool {
    rule.expressions.iter().any(|expression| match expression {
        Expression::Load { load: Load::Meta(key), .. } => matches!(key, 10 | 11),
        Expression::Match { name, .. } => name == "owner",
        _ => false,
    })
}

fn proof(hit: &Hit, counted: Option<u64>, attempt: &Attempt) -> String {
    let listens = match attempt.listener {
        Listener::Stable { waiting, limit } => format!("a listener is there, {waiting} of {limit} waiting; "),
        _ => String::new(),
    };
    match counted {
        Some(packets) => format!("{listens}the rule's counter rose by {packets} during the attempt"),
        None if hit.certain => format!("{listens}this connection meets every test of the rule"),
        None if hit.limited => format!("{listens}this connection meets every test of the rule but its limit"),
        None => format!("{listens}the rule fits, as far as its tests can be evaluated from outside"),
    }
}

/// The remedy. A program that owns the rule would write it again, so it must be changed there; otherwise the rule can
/// be deleted, or an exception added before a policy.
fn fix(hit: &Hit, attempt: &Attempt, firewall: &Firewall) -> Option<Fix> {
    let port = attempt.to.port().to_string();
    let risk = "opens the port to everyone the rule was meant for".to_owned();
    let command =
        |words: Vec<String>, risk: String| Fix { text: words.join(" "), command: words, root: true, risk };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let owner = hit.rule.and_then(|at| firewall::owner(&firewall.ruleset.rules[at]));
    match owner.or_else(|| firewall::chain_owner(&firewall.ruleset.chains[hit.chain])) {
        Some("ufw") if firewall.has("ufw") => {
            return Some(command(words(&["ufw", "allow", &format!("{port}/tcp")]), risk));
        }
        Some("firewalld") if firewall.has("firewall-cmd") => {
            return Some(command(words(&["firewall-cmd", &format!("--add-port={port}/tcp")]), risk));
        }
        Some(owner) => {
            let text = format!("{owner} wrote the rule: change it there");
            return Some(Fix { text, command: Vec::new(), root: true, risk });
        }
        None => {}
    }
    match hit.rule.map(|at| &firewall.ruleset.rules[at]) {
        Some(rule) => firewall.deletion(rule).map(|words| command(words, risk)),
        None => firewall
            .exception(&firewall.ruleset.chains[hit.chain], attempt.to.port())
            .map(|words| command(words, risk)),
    }
}

/// A listener exists and did not change, the path to it is open, its queue has room, and yet the attempt failed: a
/// filter must be in between.
pub(super) fn by_elimination(attempt: &Attempt, around: &Surroundings<'_>, errno: i32) -> Option<Finding> {
    let Listener::Stable { waiting, limit } = attempt.listener else { return None };
    if !attempt.is_local(around.routing) || waiting > limit {
        return None;
    }
    let changes = around.changes;
    let overflow = changes.listen_overflows + changes.request_queue_full + changes.backlog_drop;
    let (verdict, did) = match errno {
        libc::ECONNREFUSED if changes.icmp_unreachable > 0 => {
            (Verdict::FirewallReject, "rejects it with an ICMP message")
        }
        libc::ECONNREFUSED => (Verdict::FirewallReject, "rejects it with a reset"),
        libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EACCES | libc::ENOPROTOOPT
            if changes.icmp_unreachable > 0 =>
        {
            (Verdict::FirewallReject, "rejects it with an ICMP message, although a route exists")
        }
        libc::ETIMEDOUT if overflow > 0 => return None,
        libc::ETIMEDOUT if changes.icmp_unreachable > 0 => {
            (Verdict::FirewallReject, "rejects it with an ICMP message")
        }
        libc::ETIMEDOUT => (Verdict::FirewallDrop, "drops it"),
        _ => return None,
    };
    // If every rule can be read and none fits, only filters that cannot be read remain.
    let readable = around.before.complete();
    let (verdict, certainty, summary) = if readable {
        let summary = format!("the service listens, yet something other than a readable rule {did}");
        (Verdict::Unknown, Certainty::Unknown, summary)
    } else {
        (verdict, Certainty::Likely, format!("a packet filter {did}; the service itself listens"))
    };
    let mut finding = Finding::new(verdict, certainty, summary)
        .detail(
            "proof",
            format!(
                "the kernel finds the listener before and after, {waiting} of {limit} waiting; {}",
                counts(around)
            ),
        )
        .fact("sock_diag", "the listener is there", json!({"waiting": waiting, "limit": limit}))
        .fact("/proc/net", "counters that rose", json!(changes.rose));
    finding.not_readable = unread(attempt, around.before);
    if readable {
        let how = "a BPF program of a cgroup, of the socket or of a security module cannot be seen from here";
        return Some(
            finding.detail("how", how).advice("bpftool cgroup tree and bpftool net list such programs"),
        );
    }
    finding = finding.detail(
        "how",
        format!("tried as user {} (uid); a rule may match the user, and let root pass", attempt.uid),
    );
    let Some(how) = finding.not_readable.first().map(|unread| unread.how.clone()) else {
        return Some(finding);
    };
    finding = finding.detail("rule", format!("not readable; {how} shows it"));
    Some(finding.fix(&how.split(' ').collect::<Vec<_>>(), true, "none"))
}

fn counts(around: &Surroundings<'_>) -> String {
    let changes = around.changes;
    format!(
        "{} SYN retransmits, {} ICMP refusals, {} queue overflows",
        changes.syn_retransmits, changes.icmp_unreachable, changes.listen_overflows
    )
}
