//! Every forwarder, with what it can do as far as that is measured.

use super::{Find, Forwarder, Front, OURS, Routes};
use super::{envoy, haproxy, loopgate, nginx, portunus, realm, rinetd, socat, stunnel, tunnels};
use crate::yardstick::{self, YARDSTICK};

const ONLY_PLAIN: &[Front] = &[Front::Plain];
const PLAIN_AND_UNIX: &[Front] = &[Front::Plain, Front::Unix];
const ALL: &[Front] =
    &[Front::Plain, Front::Unix, Front::EndsTls, Front::SendsHeader, Front::TakesHeader, Front::ByName];
const ALL_AND_TUNNEL: &[Front] = &[
    Front::Plain,
    Front::Unix,
    Front::EndsTls,
    Front::SendsHeader,
    Front::TakesHeader,
    Front::ByName,
    Front::Tunnel,
];

/// Everybody.
pub(crate) fn all() -> impl Iterator<Item = &'static Forwarder> {
    FORWARDERS.iter().chain(&tunnels::TUNNELS)
}

static FORWARDERS: [Forwarder; 10] = [
    Forwarder {
        name: OURS,
        find: Find::Ours,
        version_argument: "--version",
        routes: Routes::Many,
        datagrams: true,
        fronts: ALL_AND_TUNNEL,
        command: loopgate::command,
        other_end: Some(loopgate::dialling),
    },
    Forwarder {
        name: "haproxy",
        find: Find::OnPath("haproxy"),
        version_argument: "-v",
        routes: Routes::Many,
        datagrams: false,
        fronts: ALL,
        command: haproxy::command,
        other_end: None,
    },
    Forwarder {
        name: "nginx",
        find: Find::OnPath("nginx"),
        version_argument: "-v",
        routes: Routes::Many,
        datagrams: true,
        fronts: ALL,
        command: nginx::command,
        other_end: None,
    },
    Forwarder {
        name: "socat",
        find: Find::OnPath("socat"),
        version_argument: "-V",
        routes: Routes::One,
        datagrams: true,
        fronts: PLAIN_AND_UNIX,
        command: socat,
        other_end: None,
    },
    Forwarder {
        name: "rinetd",
        find: Find::OnPath("rinetd"),
        version_argument: "-v",
        routes: Routes::Many,
        datagrams: false,
        fronts: ONLY_PLAIN,
        command: rinetd,
        other_end: None,
    },
    Forwarder {
        name: "stunnel",
        find: Find::OnPath("stunnel"),
        version_argument: "-version",
        routes: Routes::Many,
        datagrams: false,
        fronts: &[Front::EndsTls],
        command: stunnel,
        other_end: None,
    },
    Forwarder {
        name: "realm",
        find: Find::Variable("VERSUS_REALM"),
        version_argument: "--version",
        routes: Routes::Many,
        datagrams: true,
        fronts: ONLY_PLAIN,
        command: realm,
        other_end: None,
    },
    Forwarder {
        name: "portunus",
        find: Find::Variable("VERSUS_PORTUNUS"),
        version_argument: "--version",
        routes: Routes::Many,
        datagrams: true,
        fronts: ONLY_PLAIN,
        command: portunus,
        other_end: None,
    },
    Forwarder {
        name: "envoy",
        find: Find::Variable("VERSUS_ENVOY"),
        version_argument: "--version",
        routes: Routes::Many,
        datagrams: true,
        fronts: ONLY_PLAIN,
        command: envoy::command,
        other_end: None,
    },
    Forwarder {
        name: YARDSTICK,
        find: Find::Itself,
        version_argument: "",
        routes: Routes::One,
        datagrams: true,
        fronts: &[],
        command: yardstick::command,
        other_end: None,
    },
];
