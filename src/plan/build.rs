//! What was written → what we will do: defaults filled in, the command line merged, every route checked with the others.
//!
//! All problems at once: a route that lacks something is still compared with the rest.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Carries, Plan, Route, RouteName, Routes, loops, overlap};
use crate::address::{Host, ListenAddress, Protocol, SourceAddress, Spec, TargetAddress};
use crate::config::{Config, Place, Problem, Settings, Written, WrittenRoute, bare_or_quoted};
use crate::ledger::LogSettings;
use crate::limits::{FlowLimits, Limits};
use crate::transport::Dial;
use crate::units::{Misread, TimeSpan};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const WAIT_FOR_TARGET: Duration = Duration::ZERO;
const RESET_LINGER: Duration = Duration::from_secs(5);

/// A route with its places, before it is known whether it stands beside the others.
pub(super) struct Draft {
    pub(super) name: RouteName,
    /// Its path in the file, for the problems of its keys; empty for one of the command line.
    pub(super) path: String,
    pub(super) listen: Vec<Written<ListenAddress>>,
    pub(super) target: Option<Written<TargetAddress>>,
    pub(super) protocol: Protocol,
    settings: Settings,
}

impl Draft {
    /// The path of one of its keys; empty for a route of the command line, whose place says it all.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { String::new() } else { format!("{}.{key}", self.path) }
    }
}

/// Makes the plan; what hinders it is added to `problems`.
pub(super) fn build(config: Config, forwards: &[String], problems: &mut Vec<Problem>) -> Option<Plan> {
    let mut drafts: Vec<Draft> =
        config.routes.into_iter().map(|route| from_file(route, &config.defaults)).collect();
    from_command_line(forwards, &mut drafts, problems);
    overlap::check(&drafts, problems);
    loops::check(&drafts, problems);

    let routes: Vec<_> = drafts.into_iter().map(|draft| route(draft, &config.defaults, problems)).collect();
    let routes: Option<Routes> =
        routes.into_iter().map(|route| route.map(|route| (route.name.clone(), Arc::new(route)))).collect();
    let defaults = Limits::default();
    let limits = Limits {
        connections: config.limits.connections.map(|count| count.value).or(defaults.connections),
        flows: config.limits.flows.map(|count| count.value).or(defaults.flows),
        drain_timeout: time(config.limits.drain_timeout, None, defaults.drain_timeout),
    };
    let log = LogSettings {
        format: config.log.format.map(|format| format.value).unwrap_or_default(),
        level: config.log.level.map(|level| level.value).unwrap_or_default(),
    };
    Some(Plan { routes: routes?, limits, log })
}

fn from_file(route: WrittenRoute, defaults: &Settings) -> Draft {
    let path = format!("routes.{}", bare_or_quoted(&route.name));
    let WrittenRoute { name, listen, target, settings } = route;
    let protocol = settings.protocol.as_ref().or(defaults.protocol.as_ref());
    let protocol = protocol.map(|protocol| protocol.value).unwrap_or_default();
    Draft { name: RouteName(name.into()), path, listen, target, protocol, settings }
}

fn from_command_line(forwards: &[String], drafts: &mut Vec<Draft>, problems: &mut Vec<Problem>) {
    let mut taken: HashSet<Arc<str>> = drafts.iter().map(|draft| draft.name.0.clone()).collect();
    for argument in forwards {
        let place = Place::Argument(argument.clone());
        match argument.parse::<Spec>() {
            Ok(spec) => {
                let name = free_name(&taken, spec.listen);
                taken.insert(name.clone());
                drafts.push(Draft {
                    name: RouteName(name),
                    path: String::new(),
                    listen: vec![Written { value: spec.listen, place: place.clone() }],
                    target: Some(Written { value: spec.target, place }),
                    protocol: spec.protocol,
                    settings: Settings::default(),
                });
            }
            Err(Misread { what, instead }) => problems.push(Problem::new(place, "", what).help(instead)),
        }
    }
}

/// `8080`, or `127.0.0.1:8080` where that is taken; several that leave their port to the kernel are numbered.
fn free_name(taken: &HashSet<Arc<str>>, listen: ListenAddress) -> Arc<str> {
    let numbered = (2..).map(|n: u32| format!("{listen}-{n}"));
    let mut names = [listen.0.port().to_string(), listen.to_string()].into_iter().chain(numbered);
    let free = names.find(|name| !taken.contains(name.as_str()));
    free.expect("there are more numbers than arguments").into()
}

fn route(draft: Draft, defaults: &Settings, problems: &mut Vec<Problem>) -> Option<Route> {
    let source = source(&draft, defaults, problems);
    misplaced(&draft, problems);
    let carries = match draft.protocol {
        Protocol::Tcp => Carries::Tcp,
        Protocol::Udp => Carries::Udp(flow_limits(&draft.settings, defaults)),
    };
    let Draft { name, listen, target, settings, .. } = draft;
    if listen.is_empty() {
        return None;
    }
    Some(Route {
        name,
        listen: listen.iter().map(|address| address.value.0).collect(),
        carries,
        dial: Dial {
            target: target?.value,
            connect_timeout: time(
                settings.connect_timeout,
                defaults.connect_timeout.as_ref(),
                CONNECT_TIMEOUT,
            ),
            wait_for_target: time(
                settings.wait_for_target,
                defaults.wait_for_target.as_ref(),
                WAIT_FOR_TARGET,
            ),
            source: source?,
        },
        bind: settings.bind.or_else(|| defaults.bind.clone()).map(|bind| bind.value).unwrap_or_default(),
        reset_linger: time(settings.reset_linger, defaults.reset_linger.as_ref(), RESET_LINGER),
    })
}

/// What the route says of its flows, then what the defaults say, then what the preset stands for.
fn flow_limits(own: &Settings, defaults: &Settings) -> FlowLimits {
    fn pick<T: Copy>(own: &Option<Written<T>>, default: &Option<Written<T>>) -> Option<T> {
        own.as_ref().or(default.as_ref()).map(|written| written.value)
    }
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let preset = pick(&own.preset, &defaults.preset).unwrap_or_default().limits();
    FlowLimits {
        most: pick(&own.max_flows, &defaults.max_flows).unwrap_or(preset.most),
        full: pick(&own.flows_full, &defaults.flows_full).unwrap_or(preset.full),
        idle: pick(&own.idle_timeout, &defaults.idle_timeout).map_or(preset.idle, |time| time.0),
        answers: pick(&own.answers, &defaults.answers).map(count).or(preset.answers),
        amplification: pick(&own.max_amplification, &defaults.max_amplification)
            .map(count)
            .or(preset.amplification),
    }
}

/// A problem for each key of a route that says something about the other protocol. (In the defaults it may stand: they
/// are for every route it fits.)
fn misplaced(draft: &Draft, problems: &mut Vec<Problem>) {
    let s = &draft.settings;
    fn place<T>(written: &Option<Written<T>>) -> Option<&Place> {
        written.as_ref().map(|written| &written.place)
    }
    let keys = [
        ("wait_for_target", Protocol::Tcp, place(&s.wait_for_target)),
        ("reset_linger", Protocol::Tcp, place(&s.reset_linger)),
        ("preset", Protocol::Udp, place(&s.preset)),
        ("max_flows", Protocol::Udp, place(&s.max_flows)),
        ("flows_full", Protocol::Udp, place(&s.flows_full)),
        ("idle_timeout", Protocol::Udp, place(&s.idle_timeout)),
        ("answers", Protocol::Udp, place(&s.answers)),
        ("max_amplification", Protocol::Udp, place(&s.max_amplification)),
    ];
    for (key, of, place) in keys {
        if let Some(place) = place.filter(|_| of != draft.protocol) {
            let message = format!("this key is for {of}, and the route carries {}", draft.protocol);
            let problem = Problem::new(place.clone(), draft.key(key), message);
            let help = format!("leave it out, or write protocol = \"{of}\"");
            problems.push(problem.help(help));
        }
    }
}

fn time(own: Option<Written<TimeSpan>>, default: Option<&Written<TimeSpan>>, built_in: Duration) -> Duration {
    own.as_ref().or(default).map_or(built_in, |written| written.value.0)
}

/// The sources that can reach the target: of a literal's own family, all of them for a name. A problem where there are
/// some and none can.
fn source(draft: &Draft, defaults: &Settings, problems: &mut Vec<Problem>) -> Option<Vec<IpAddr>> {
    let own = draft.settings.source.as_ref();
    let Some(written) = own.or(defaults.source.as_ref()) else { return Some(Vec::new()) };
    let ips = written.iter().map(|source| source.value.0);
    let Some(Written { value: TargetAddress::Net(Host::Ip(target), _), place }) = &draft.target else {
        return Some(ips.collect());
    };
    let reaching: Vec<IpAddr> = ips.filter(|source| source.is_ipv4() == target.is_ipv4()).collect();
    if !reaching.is_empty() {
        return Some(reaching);
    }
    let first: &Written<SourceAddress> = written.first()?;
    let key = if own.is_some() { draft.key("source") } else { "defaults.source".into() };
    let (has, needs) = if target.is_ipv4() { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
    let message = format!("an {has} source cannot reach an {needs} target");
    let problem = Problem::new(first.place.clone(), key, message).label(has).also(place.clone(), needs);
    problems.push(problem.help(format!("add an {needs} address of this machine, or leave source out")));
    None
}
