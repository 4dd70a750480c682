//! The written configuration → the plan: defaults filled in, the command line merged, every route checked against the
//! others.
//!
//! All problems are reported at once: a route that lacks something is still compared with the rest.

use std::cell::LazyCell;
use std::sync::Arc;
use std::time::Duration;

use super::draft::{self, Draft};
use super::files::{self, Files};
use super::lists::Lists;
use super::merge::{off_or, pick, time};
use super::{
    Carries, Plan, Route, Routes, Source, congestion, entry, headers, health, hello, loops, overlap,
    session_limits, targets, tls, validate,
};
use crate::address::Protocol;
use crate::config::{Config, NamedFile, Problem, Settings, Texts};
use crate::ledger::LogSettings;
use crate::limits::{FlowLimits, Limits};
use crate::probe::network::routing::addresses;
use crate::transport::{Dial, Origin, SocketFile};
use crate::units::OrOff;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RESOLVE: Duration = Duration::from_secs(30);
const WAIT_FOR_TARGET: Duration = Duration::ZERO;
const RESET_LINGER: Duration = Duration::from_secs(5);

/// Makes the plan. Whatever prevents a route is added to `problems`, and that route is not in the plan.
pub(super) fn build(
    config: Config,
    forwards: &[String],
    texts: &Texts,
    included: Vec<NamedFile>,
    problems: &mut Vec<Problem>,
) -> Plan {
    let drafts = draft::drafts(config.routes, forwards, &config.defaults, problems);
    let v6only = config.defaults.v6only.as_ref().is_none_or(|written| written.value);
    if validate::few_enough(&drafts, problems) {
        overlap::check(&drafts, v6only, problems);
        // The kernel is asked once, and only if a target may be one of this machine's addresses.
        let own = LazyCell::new(|| addresses().unwrap_or_default());
        let is_here = |ip| own.iter().any(|address| address.ip == ip);
        loops::check(&drafts, v6only, &is_here, problems);
    }

    let mut files = Files::new(texts);
    let mut lists = Lists::of(&config.defaults, texts, problems);
    let host = congestion::host_default();
    congestion::check(&config.defaults.congestion, || "defaults.congestion".to_owned(), problems);
    let wanted = drafts.len();
    let routes = drafts.into_iter().filter_map(|draft| {
        route(draft, &config.defaults, host.as_deref(), &mut lists, &mut files, problems)
    });
    let routes: Routes = routes.map(|route| (route.name.clone(), Arc::new(route))).collect();
    debug_assert!(routes.len() == wanted || !problems.is_empty(), "a route is left out without a problem");
    let files = files.and(lists.files().chain(included));
    files::few_enough(&files, problems);
    let defaults = Limits::default();
    let limits = Limits {
        connections: config.limits.connections.map(|count| count.value).or(defaults.connections),
        flows: config.limits.flows.map(|count| count.value).or(defaults.flows),
        handshakes: config.limits.handshakes.map_or(defaults.handshakes, |count| count.value),
        drain_timeout: time(&config.limits.drain_timeout, &None, defaults.drain_timeout),
    };
    let log = LogSettings {
        format: config.log.format.map(|format| format.value).unwrap_or_default(),
        level: config.log.level.map(|level| level.value).unwrap_or_default(),
    };
    Plan {
        source: Source::file(),
        routes,
        limits,
        tunnels: super::Tunnels::default(),
        log,
        stamp: None,
        files,
    }
}

fn route(
    draft: Draft,
    defaults: &Settings,
    host_congestion: Option<&str>,
    lists: &mut Lists<'_>,
    files: &mut Files<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Route> {
    validate::check(&draft, problems);
    headers::check(&draft, defaults, problems);
    let tls = tls::with_clients(&draft, &defaults.tls, files, problems);
    let target_tls = tls::with_targets(&draft, &defaults.target_tls, files, problems);
    let source = validate::source(&draft, defaults, problems);
    congestion::check(&draft.settings.congestion, || draft.key("congestion"), problems);
    let health = health::rules(&draft, defaults, problems);
    let access = lists.access(&draft, problems);
    let families = draft.families(pick(&None, &defaults.v6only).unwrap_or(true));
    let carries = match draft.protocol {
        Protocol::Tcp => Carries::Tcp(session_limits::session(&draft.settings, defaults)),
        Protocol::Udp => Carries::Udp(flow_limits(&draft.settings, defaults)),
    };
    let entry = entry::limits(&draft, defaults);
    entry::check(&draft, &entry, problems);
    let dials_unix = draft.dials_unix();
    let resolved = draft.targets.iter().map(|target| targets::resolved(&draft, target)).collect();
    let Draft { name, listen, targets, hello, settings: own, .. } = draft;
    if listen.is_empty() || targets.is_empty() {
        return None;
    }
    let interface = off_or(&own.interface, &defaults.interface).filter(|_| !dials_unix);
    let congestion = congestion::chosen(&own, defaults, host_congestion);
    Some(Route {
        name,
        listen: listen.iter().flat_map(|run| run.value.each()).map(|it| it.taking(families)).collect(),
        carries,
        targets: resolved,
        hello: hello.map(|hello| hello::rules(hello, &own, defaults)),
        balance: pick(&own.balance, &defaults.balance).unwrap_or_default(),
        next_target: pick(&own.next_target, &defaults.next_target).map(|OrOff(most)| most.unwrap_or(0)),
        dial: dial(&own, defaults, Origin { sources: source?, interface, congestion }),
        bind: pick(&own.bind, &defaults.bind).unwrap_or_default(),
        socket_file: SocketFile {
            mode: pick(&own.socket_mode, &defaults.socket_mode).unwrap_or_default(),
            owner: pick(&own.socket_owner, &defaults.socket_owner),
            group: pick(&own.socket_group, &defaults.socket_group),
        },
        upkeep: session_limits::upkeep(&own, defaults),
        reset_linger: time(&own.reset_linger, &defaults.reset_linger, RESET_LINGER),
        access,
        entry,
        proxy: headers::rules(&own, defaults),
        health,
        tls: tls?,
        target_tls: target_tls?,
    })
}

fn dial(own: &Settings, defaults: &Settings, from: Origin) -> Dial {
    Dial {
        connect_timeout: time(&own.connect_timeout, &defaults.connect_timeout, CONNECT_TIMEOUT),
        resolve: pick(&own.resolve, &defaults.resolve)
            .map_or(Some(RESOLVE), |OrOff(time)| time.map(|time| time.0)),
        wait_for_target: time(&own.wait_for_target, &defaults.wait_for_target, WAIT_FOR_TARGET),
        from,
    }
}

/// The limits of a route's flows: its own keys first, then the defaults, then the preset.
fn flow_limits(own: &Settings, defaults: &Settings) -> FlowLimits {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let over = |own: Option<OrOff<usize>>, preset| own.map_or(preset, |OrOff(own)| own.map(count));
    let preset = pick(&own.preset, &defaults.preset).unwrap_or_default().limits();
    FlowLimits {
        most: pick(&own.max_flows, &defaults.max_flows).unwrap_or(preset.most),
        full: pick(&own.flows_full, &defaults.flows_full).unwrap_or(preset.full),
        idle: off_or(&own.idle_timeout, &defaults.idle_timeout).map_or(preset.idle, |time| time.0),
        bandwidth: off_or(&own.bandwidth, &defaults.bandwidth),
        bandwidth_per_connection: off_or(&own.bandwidth_per_connection, &defaults.bandwidth_per_connection),
        age: session_limits::age(own, defaults),
        answers: over(pick(&own.answers, &defaults.answers), preset.answers),
        requests: over(pick(&own.requests, &defaults.requests), preset.requests),
        amplification: over(pick(&own.max_amplification, &defaults.max_amplification), preset.amplification),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::plan::parse;

    #[test]
    fn a_table_under_a_route_goes_before_that_of_the_defaults_key_by_key() {
        let text = "defaults.health = {interval='7s', timeout='3s'}\n\
                    routes.a = {listen='1', target='2', health={timeout='9s'}}";

        let plan = parse("f", text, &[]).unwrap();

        let health = &plan.routes.values().next().unwrap().health;
        assert_eq!((health.interval, health.timeout), (Duration::from_secs(7), Duration::from_secs(9)));
    }
}
