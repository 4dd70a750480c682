//! One route, with its defaults filled in.

use std::time::Duration;

use super::draft::Draft;
use super::files::Files;
use super::lists::Lists;
use super::merge::{off_or, pick, time};
use super::{
    Carries, Route, congestion, entry, headers, health, hello, session_limits, targets, tls, validate,
};
use crate::address::Protocol;
use crate::config::{Problem, Settings};
use crate::limits::FlowLimits;
use crate::transport::{Dial, Origin, SocketFile};
use crate::units::OrOff;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RESOLVE: Duration = Duration::from_secs(30);
const WAIT_FOR_TARGET: Duration = Duration::ZERO;
const RESET_LINGER: Duration = Duration::from_secs(5);

/// What routes are resolved with.
pub(super) struct Desk<'d, 't> {
    pub(super) defaults: &'d Settings,
    /// The host's congestion control.
    pub(super) host: Option<&'d str>,
    pub(super) lists: &'d mut Lists<'t>,
    pub(super) files: &'d mut Files<'t>,
    pub(super) problems: &'d mut Vec<Problem>,
}

/// The route with its defaults filled in, whether or not it listens and dials anywhere.
pub(super) fn resolved(draft: Draft, desk: &mut Desk<'_, '_>) -> Option<Route> {
    let Desk { defaults, host, lists, files, problems } = desk;
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
    let dials_no_address = draft.dials_no_address();
    let resolved = draft.targets.iter().map(|target| targets::resolved(&draft, target)).collect();
    let Draft { name, listen, hello, settings: own, .. } = draft;
    let interface = off_or(&own.interface, &defaults.interface).filter(|_| !dials_no_address);
    let congestion = congestion::chosen(&own, defaults, *host);
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
