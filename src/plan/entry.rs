//! How many clients a route accepts and how fast: defaults filled in, and keys without effect reported.

use super::draft::Draft;
use super::merge::{off_or, pick, time};
use super::targets::most;
use crate::acl::Listed;
use crate::address::{ListenAddress, Protocol, Run};
use crate::config::{Place, Problem, Settings, Written};
use crate::limits::{EntryLimits, WhenFull};

/// The route's own keys first, then the defaults. Flows have their own limit and policy (see `flow_limits`).
pub(super) fn limits(draft: &Draft, defaults: &Settings) -> EntryLimits {
    let (own, built_in) = (&draft.settings, EntryLimits::default());
    let is_tcp = draft.protocol == Protocol::Tcp;
    EntryLimits {
        most: off_or(&own.max_connections, &defaults.max_connections).filter(|_| is_tcp),
        most_per_client: off_or(&own.max_connections_per_client, &defaults.max_connections_per_client),
        rate: off_or(&own.connection_rate, &defaults.connection_rate),
        rate_per_client: off_or(&own.connection_rate_per_client, &defaults.connection_rate_per_client),
        full: pick(&own.when_full, &defaults.when_full).unwrap_or(built_in.full),
        queue: pick(&own.queue, &defaults.queue).unwrap_or(built_in.queue),
        queue_timeout: time(&own.queue_timeout, &defaults.queue_timeout, built_in.queue_timeout),
        dry_run: pick(&own.limits_dry_run, &defaults.limits_dry_run).unwrap_or(built_in.dry_run),
    }
}

/// Adds a problem for each key of the route that can have no effect. (In the defaults it is allowed: they apply to
/// every route that it fits.)
pub(super) fn check(draft: &Draft, limits: &EntryLimits, problems: &mut Vec<Problem>) {
    let s = &draft.settings;
    let mut idle = |key: &str, place: Option<&Place>, what: &str, help: &str| {
        if let Some(place) = place {
            problems.push(Problem::new(place.clone(), draft.key(key), what).help(help));
        }
    };
    if limits.dry_run && limits.is_none() {
        let help = "add a limit, as connection_rate = \"100/s\", or leave it out";
        idle("limits_dry_run", place(&s.limits_dry_run), "the route has no limit that could be tried", help);
    }
    members(draft, &mut idle);
    if draft.protocol == Protocol::Udp {
        let what = "this key is for tcp, and the route carries udp";
        idle("max_connections", place(&s.max_connections), what, "write max_flows, which is for flows");
        idle("when_full", place(&s.when_full), what, "write flows_full, which is for flows");
        idle("queue", place(&s.queue), what, "leave it out: datagrams are not queued");
        idle("queue_timeout", place(&s.queue_timeout), what, "leave it out: datagrams are not queued");
        of_targets(draft, what, "write max_flows, which is for the flows of the route", problems);
        return;
    }
    if limits.full == WhenFull::EvictIdle {
        let what = "the route evicts the session idle longest, and cannot say at which target that is";
        let help = "write when_full = \"queue\" or \"refuse\" for the route, or leave this out";
        of_targets(draft, what, help, problems);
    }
    let mut idle = |key: &str, place: Option<&Place>, what: &str, help: &str| {
        if let Some(place) = place {
            problems.push(Problem::new(place.clone(), draft.key(key), what).help(help));
        }
    };
    of_unix(draft, &mut idle);
    if limits.most.is_none() && draft.targets.iter().all(|target| most(target).is_none()) {
        let what = "this key says what happens at max_connections, and the route has none";
        for (key, place) in [
            ("when_full", place(&s.when_full)),
            ("queue", place(&s.queue)),
            ("queue_timeout", place(&s.queue_timeout)),
        ] {
            idle(key, place, what, "add max_connections = 100, or leave it out");
        }
        return;
    }
    if limits.full != WhenFull::Queue {
        let what = "this route has no queue";
        idle("queue", place(&s.queue), what, "add when_full = \"queue\", or leave it out");
    }
    if limits.full == WhenFull::Refuse {
        let what = "clients of this route do not wait for a place";
        idle("queue_timeout", place(&s.queue_timeout), what, "add when_full = \"queue\", or leave it out");
    }
}

/// Adds a problem for each target with a limit of its own.
fn of_targets(draft: &Draft, what: &str, help: &str, problems: &mut Vec<Problem>) {
    for target in draft.targets.iter().filter(|target| most(target).is_some()) {
        if let Some(place) = place(&target.most) {
            let key = format!("{}.max_connections", target.path);
            problems.push(Problem::new(place.clone(), key, what).help(help));
        }
    }
}

/// Keys about the addresses of clients, on a route without a port and without PROXY headers, which name addresses.
fn of_unix(draft: &Draft, idle: &mut impl FnMut(&str, Option<&Place>, &str, &str)) {
    let s = &draft.settings;
    if draft.listen.is_empty() || !draft.listen.iter().all(is_unix) || takes_headers(draft) {
        return;
    }
    let what = "the route listens on Unix sockets alone, and their clients have no address";
    let help = "list users or groups, as \"uid:1000\", or leave it out; socket_mode and the directory decide as well";
    for (key, list) in [("allow", &s.allow), ("deny", &s.deny)] {
        let all_networks =
            list.iter().flatten().all(|it| matches!(it.value, Listed::Network(_) | Listed::Localhost));
        idle(key, first(list).filter(|_| all_networks), what, help);
    }
    let help = "leave it out; max_connections and connection_rate hold for all clients together";
    idle("max_connections_per_client", place(&s.max_connections_per_client), what, help);
    idle("connection_rate_per_client", place(&s.connection_rate_per_client), what, help);
}

/// Users and groups of a route without a Unix socket.
fn members(draft: &Draft, idle: &mut impl FnMut(&str, Option<&Place>, &str, &str)) {
    if draft.listen.is_empty() || draft.listen.iter().any(is_unix) {
        return;
    }
    let what = "users and groups are known of clients of Unix sockets alone, and the route listens on none";
    for (key, list) in [("allow", &draft.settings.allow), ("deny", &draft.settings.deny)] {
        let member = list.iter().flatten().find(|it| matches!(it.value, Listed::Member(_)));
        let help = "list networks or addresses, or listen on a Unix socket";
        idle(key, member.map(|it| &it.place), what, help);
    }
}

/// Whether the route itself has PROXY headers name its clients.
pub(super) fn takes_headers(draft: &Draft) -> bool {
    draft.settings.accept_proxy.as_ref().is_some_and(|proxies| !proxies.is_empty())
}

/// Whether an entry of `listen` is a Unix socket.
pub(super) fn is_unix(listen: &Written<Run<ListenAddress>>) -> bool {
    matches!(listen.value.first(), ListenAddress::Unix(_))
}

fn place<T>(written: &Option<Written<T>>) -> Option<&Place> {
    written.as_ref().map(|written| &written.place)
}

fn first<T>(list: &Option<Vec<Written<T>>>) -> Option<&Place> {
    list.as_ref().and_then(|list| list.first()).map(|first| &first.place)
}

#[cfg(test)]
mod tests {
    use crate::plan::{Carries, parse};

    #[test]
    fn a_route_can_switch_off_every_entry_limit_of_the_defaults() {
        let keys = [
            ("max_connections", "7"),
            ("max_connections_per_client", "7"),
            ("connection_rate", "'7/s'"),
            ("connection_rate_per_client", "'7/s'"),
            ("allow", "'10.0.0.0/8'"),
            ("deny", "'10.0.0.0/8'"),
            ("source", "'127.0.0.2'"),
            ("interface", "'lo'"),
            ("accept_proxy", "'127.0.0.1'"),
        ];
        let plan = |defaults: &str, own: &str| {
            let text = format!("[defaults]\n{defaults}[routes.a]\nlisten = '1'\ntarget = '2'\n{own}");
            parse("f", &text, &[]).unwrap().routes
        };
        let lines = |value: &dyn Fn(&'static str) -> String| {
            keys.iter().map(|(key, said)| format!("{key} = {}\n", value(said))).collect::<String>()
        };
        let (said, off) = (lines(&str::to_owned), lines(&|_| "'off'".to_owned()));

        assert_ne!(plan(&said, ""), plan("", ""));
        assert_eq!(plan(&said, &off), plan("", ""));
        assert_eq!(plan("", &off), plan("", ""));
    }

    #[test]
    fn a_route_can_switch_off_the_answer_limit_of_its_preset() {
        let text = "defaults.answers = 5\ndefaults.preset = 'dns'\n\
                    routes.a = {listen='1', target='2', protocol='udp', answers='off', max_amplification='off'}";
        let plan = parse("f", text, &[]).unwrap();

        let Carries::Udp(limits) = &plan.routes.values().next().unwrap().carries else { panic!("it is UDP") };
        assert_eq!((limits.answers, limits.amplification), (None, None));
    }
}
