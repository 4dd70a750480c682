//! What was written → what we will do: defaults filled in, the command line merged, every route checked with the others.
//!
//! All problems at once: a route that lacks something is still compared with the rest.

use std::cell::LazyCell;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::files::{self, Files};
use super::lists::Lists;
use super::{
    Carries, Plan, Route, RouteName, Routes, Source, entry, headers, health, hello, loops, overlap,
    session_limits, targets, tls, validate,
};
use crate::address::{Families, ListenAddress, Numbered, Protocol, Run, Spec, TargetAddress};
use crate::config::{Config, Place, Problem, Settings, Written, WrittenRoute, WrittenTarget, bare_or_quoted};
use crate::ledger::LogSettings;
use crate::limits::{FlowLimits, Limits};
use crate::probe::network::routing::addresses;
use crate::transport::{Dial, Origin, SocketFile};
use crate::units::{Misread, OrOff, TimeSpan};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const WAIT_FOR_TARGET: Duration = Duration::ZERO;
const RESET_LINGER: Duration = Duration::from_secs(5);

/// A route with its places, before it is known whether it stands beside the others.
pub(super) struct Draft {
    pub(super) name: RouteName,
    /// Its path in the file, for the problems of its keys; empty for one of the command line.
    pub(super) path: String,
    pub(super) listen: Vec<Written<Run<ListenAddress>>>,
    /// Those of `target` first; none where none could be read.
    pub(super) targets: Vec<WrittenTarget>,
    /// What a hello chooses of them; `None` where none is looked at.
    pub(super) hello: Option<hello::Draft>,
    pub(super) protocol: Protocol,
    pub(super) settings: Settings,
}

impl Draft {
    /// Which families its `[::]` takes; `v6only` is the default's word.
    pub(super) fn families(&self, v6only: bool) -> Families {
        match self.settings.v6only.as_ref().map_or(v6only, |written| written.value) {
            false if self.protocol == Protocol::Tcp => Families::Both,
            _ => Families::Own,
        }
    }

    /// How many listeners have targets of their own, at least 1: the length of its ranges of targets.
    pub(super) fn places(&self) -> usize {
        self.targets.iter().map(|target| target.address.value.count()).max().unwrap_or(1)
    }

    /// Each list of targets among which one is chosen.
    pub(super) fn lists(&self) -> Vec<&[WrittenTarget]> {
        match &self.hello {
            Some(hello) => hello.lists().map(|among| &self.targets[among]).collect(),
            None => vec![&self.targets],
        }
    }

    /// Whether all it dials is Unix sockets.
    pub(super) fn dials_unix(&self) -> bool {
        let is_unix = |it: &WrittenTarget| matches!(it.address.value.first(), TargetAddress::Unix(_));
        !self.targets.is_empty() && self.targets.iter().all(is_unix)
    }

    /// The path of one of its keys; empty for a route of the command line, whose place says it all.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { String::new() } else { format!("{}.{key}", self.path) }
    }
}

/// Makes the plan; what hinders it is added to `problems`, and a route that it hinders is not in the plan.
pub(super) fn build(config: Config, forwards: &[String], folder: &Path, problems: &mut Vec<Problem>) -> Plan {
    let mut drafts: Vec<Draft> =
        config.routes.into_iter().map(|route| from_file(route, &config.defaults)).collect();
    from_command_line(forwards, &mut drafts, problems);
    let v6only = config.defaults.v6only.as_ref().is_none_or(|written| written.value);
    if validate::few_enough(&drafts, problems) {
        overlap::check(&drafts, v6only, problems);
        // Asked for once, and only where a target may be one of them.
        let own = LazyCell::new(|| addresses().unwrap_or_default());
        let is_here = |ip| own.iter().any(|address| address.ip == ip);
        loops::check(&drafts, v6only, &is_here, problems);
    }

    let mut files = Files::in_folder(folder);
    let mut lists = Lists::of(&config.defaults, folder, problems);
    let wanted = drafts.len();
    let routes = drafts
        .into_iter()
        .filter_map(|draft| route(draft, &config.defaults, &mut lists, &mut files, problems));
    let routes: Routes = routes.map(|route| (route.name.clone(), Arc::new(route))).collect();
    debug_assert!(routes.len() == wanted || !problems.is_empty(), "a route is left out and nobody is told");
    let files = files.and(lists.files());
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
    Plan { source: Source::file(), routes, limits, log, stamp: None, files }
}

fn from_file(route: WrittenRoute, defaults: &Settings) -> Draft {
    let path = format!("routes.{}", bare_or_quoted(&route.name));
    let WrittenRoute { name, listen, mut targets, hello, settings } = route;
    let hello = hello::draft(hello, &mut targets);
    let protocol = settings.protocol.as_ref().or(defaults.protocol.as_ref());
    let protocol = protocol.map(|protocol| protocol.value).unwrap_or_default();
    Draft { name: RouteName(name.into()), path, listen, targets, hello, protocol, settings }
}

fn from_command_line(forwards: &[String], drafts: &mut Vec<Draft>, problems: &mut Vec<Problem>) {
    let mut taken: HashSet<Arc<str>> = drafts.iter().map(|draft| draft.name.0.clone()).collect();
    for argument in forwards {
        let place = Place::Argument(argument.clone());
        match argument.parse::<Spec>() {
            Ok(spec) => {
                let name = free_name(&taken, &spec.listen);
                taken.insert(name.clone());
                drafts.push(Draft {
                    name: RouteName(name),
                    path: String::new(),
                    listen: vec![Written { value: spec.listen, place: place.clone() }],
                    targets: vec![Written { value: spec.target, place }.into()],
                    hello: None,
                    protocol: spec.protocol,
                    settings: Settings::default(),
                });
            }
            Err(Misread { what, instead }) => problems.push(Problem::new(place, "", what).help(instead)),
        }
    }
}

/// `8080`, or `127.0.0.1:8080` where that is taken; several that leave their port to the kernel are numbered. A Unix
/// socket gives its whole name.
fn free_name(taken: &HashSet<Arc<str>>, listen: &Run<ListenAddress>) -> Arc<str> {
    let whole = listen.to_string();
    let ports = whole.rsplit(':').next().filter(|_| listen.first().port().is_some());
    let numbered = (2..).map(|n: u32| format!("{whole}-{n}"));
    let mut names = ports.into_iter().chain([&*whole]).map(str::to_owned).chain(numbered);
    let free = names.find(|name| !taken.contains(name.as_str()));
    free.expect("there are more numbers than arguments").into()
}

fn route(
    draft: Draft,
    defaults: &Settings,
    lists: &mut Lists<'_>,
    files: &mut Files,
    problems: &mut Vec<Problem>,
) -> Option<Route> {
    validate::check(&draft, problems);
    headers::check(&draft, defaults, problems);
    let tls = tls::with_clients(&draft, &defaults.tls, files, problems);
    let target_tls = tls::with_targets(&draft, &defaults.target_tls, files, problems);
    let source = validate::source(&draft, defaults, problems);
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
    let Draft { name, listen, targets, hello, settings: own, .. } = draft;
    if listen.is_empty() || targets.is_empty() {
        return None;
    }
    let interface = off_or(&own.interface, &defaults.interface).filter(|_| !dials_unix);
    Some(Route {
        name,
        listen: listen.iter().flat_map(|run| run.value.each()).map(|it| it.taking(families)).collect(),
        carries,
        targets: targets.into_iter().map(targets::resolved).collect(),
        hello: hello.map(|hello| hello::rules(hello, &own, defaults)),
        balance: pick(&own.balance, &defaults.balance).unwrap_or_default(),
        dial: Dial {
            connect_timeout: time(&own.connect_timeout, &defaults.connect_timeout, CONNECT_TIMEOUT),
            wait_for_target: time(&own.wait_for_target, &defaults.wait_for_target, WAIT_FOR_TARGET),
            from: Origin { sources: source?, interface },
        },
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

/// What the route says of its flows, then what the defaults say, then what the preset stands for.
fn flow_limits(own: &Settings, defaults: &Settings) -> FlowLimits {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let over = |said: Option<OrOff<usize>>, preset| said.map_or(preset, |OrOff(said)| said.map(count));
    let preset = pick(&own.preset, &defaults.preset).unwrap_or_default().limits();
    FlowLimits {
        most: pick(&own.max_flows, &defaults.max_flows).unwrap_or(preset.most),
        full: pick(&own.flows_full, &defaults.flows_full).unwrap_or(preset.full),
        idle: off_or(&own.idle_timeout, &defaults.idle_timeout).map_or(preset.idle, |time| time.0),
        answers: over(pick(&own.answers, &defaults.answers), preset.answers),
        amplification: over(pick(&own.max_amplification, &defaults.max_amplification), preset.amplification),
    }
}

/// What the route says, or else what the defaults say.
pub(super) fn pick<T: Clone>(own: &Option<Written<T>>, default: &Option<Written<T>>) -> Option<T> {
    own.as_ref().or(default.as_ref()).map(|written| written.value.clone())
}

/// The same of what may be switched off, which it is where nobody says anything.
pub(super) fn off_or<T: Clone>(
    own: &Option<Written<OrOff<T>>>,
    default: &Option<Written<OrOff<T>>>,
) -> Option<T> {
    pick(own, default).and_then(|OrOff(value)| value)
}

pub(super) fn time(
    own: &Option<Written<TimeSpan>>,
    default: &Option<Written<TimeSpan>>,
    built_in: Duration,
) -> Duration {
    pick(own, default).map_or(built_in, |time| time.0)
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
