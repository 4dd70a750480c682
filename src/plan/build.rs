//! The written configuration → the plan: defaults filled in, the command line merged, every route checked against the
//! others.
//!
//! All problems are reported at once: a route that lacks something is still compared with the rest.

use std::cell::LazyCell;
use std::sync::Arc;

use super::draft::{self, Draft};
use super::files::{self, Files};
use super::lists::Lists;
use super::merge::time;
use super::resolved::{Desk, resolved};
use super::sources::Sources;
use super::{
    Plan, Route, Routes, Source, command_line, congestion, entry, headers, links, loops, overlap, there,
    typed, validate, written_link,
};
use crate::config::{Config, NamedFile, Problem, Texts};
use crate::ledger::LogSettings;
use crate::limits::Limits;
use crate::probe::network::routing::addresses;

/// Makes the plan. Whatever prevents a route is added to `problems`, and that route is not in the plan.
pub(super) fn build(
    mut config: Config,
    sources: &Sources,
    texts: &Texts,
    included: Vec<NamedFile>,
    problems: &mut Vec<Problem>,
) -> Plan {
    // Those of files alone: who may write it does not decide about the command line.
    written_link::check_files(&config.tunnels, texts, problems);
    let named = command_line::add(&sources.tunnels, &mut config, problems);
    let typed = typed::read(sources, named.of_routes(typed::first(sources), problems), problems);
    let drafts = draft::drafts(config.routes, typed, &config.defaults);
    named.check_used(&drafts, &config.tunnels, problems);
    let v6only = config.defaults.v6only.as_ref().is_none_or(|written| written.value);
    if validate::few_enough(&drafts, problems) {
        let tunnel = config.tunnel.listen.as_deref().unwrap_or_default();
        overlap::check(&drafts, tunnel, v6only, problems);
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
    there::known(&drafts, &config.tunnels, problems);
    let (defaults, host) = (&config.defaults, host.as_deref());
    let mut desk = Desk { defaults, host, lists: &mut lists, files: &mut files, problems };
    let routes = drafts.into_iter().filter_map(|draft| route(draft, &mut desk));
    let routes: Routes = routes.map(|route| (route.name.clone(), Arc::new(route))).collect();
    let (tunnels, keys) = links::tunnels(&config.tunnel, config.tunnels, &mut desk);
    debug_assert!(routes.len() == wanted || !problems.is_empty(), "a route is left out without a problem");
    let files = files.and(lists.files().chain(included).chain(keys));
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
    Plan { source: Source::file(), routes, limits, tunnels, log, stamp: None, files }
}

fn route(draft: Draft, desk: &mut Desk<'_, '_>) -> Option<Route> {
    validate::check(&draft, desk.problems);
    there::check(&draft, desk.problems);
    headers::check(&draft, desk.defaults, desk.problems);
    entry::check(&draft, &entry::limits(&draft, desk.defaults), desk.problems);
    let is_whole = !draft.listen.is_empty() && !draft.targets.is_empty();
    resolved(draft, desk).filter(|_| is_whole)
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
