//! Which figures each workload has, and what we aim at in them.

use crate::figures::{Aim, Better, Column};

const fn higher(key: &'static str, title: &'static str, aim: Aim) -> Column {
    Column { key, title, better: Better::Higher, aim, extremes: true }
}

const fn lower(key: &'static str, title: &'static str, aim: Aim) -> Column {
    Column { key, title, better: Better::Lower, aim, extremes: true }
}

/// A column that explains another.
const fn beside(key: &'static str, title: &'static str) -> Column {
    Column { key, title, better: Better::Lower, aim: Aim::None, extremes: false }
}

const FAILED: Column = lower("failed", "failed", Aim::None);

/// CPU of both ends, in the unit of the forwarder's.
const CLIENT: Column = beside("client", "client");
const TARGET: Column = beside("target", "target");
/// Of datagrams, both ends are one process.
const ENDS: Column = beside("client", "both ends");
const ALL_PER_GIGABYTE: Column = lower("all", "CPU s/GB of all", Aim::None);

const fn bulk(rate: f64, cpu: Aim, all: Aim) -> [Column; 6] {
    let rate = higher("rate", "GB/s", Aim::Ratio(rate));
    [rate, lower("cpu", "CPU s/GB", cpu), CLIENT, TARGET, lower("all", "CPU s/GB of all", all), FAILED]
}

pub(super) const BULK: &[Column] = &bulk(1.5, Aim::None, Aim::Ratio(0.7));

pub(super) const UNIX_BULK: &[Column] = &bulk(1.0, Aim::None, Aim::None);

/// Where a header is sent or a name is read before.
pub(super) const FRONT_BULK: &[Column] = &bulk(1.0, Aim::Ratio(0.85), Aim::None);

const fn requests(rate: f64, cpu: f64) -> [Column; 8] {
    [
        higher("rate", "requests/s", Aim::Ratio(rate)),
        lower("p50", "p50 µs", Aim::None),
        lower("p99", "p99 µs", Aim::Ratio(1.0)),
        lower("cpu", "CPU µs/request", Aim::Ratio(cpu)),
        CLIENT,
        TARGET,
        lower("all", "CPU µs/request of all", Aim::None),
        FAILED,
    ]
}

pub(super) const REQUEST_1: &[Column] = &requests(1.02, 0.95);
pub(super) const REQUEST_50: &[Column] = &requests(1.02, 0.92);
pub(super) const PIPELINED: &[Column] = &requests(1.0, 0.93);

pub(super) const CONNECTS: &[Column] = &[
    higher("rate", "connections/s", Aim::Ratio(1.0)),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::None),
    lower("cpu", "CPU µs/connection", Aim::Ratio(0.95)),
    CLIENT,
    TARGET,
    lower("all", "CPU µs/connection of all", Aim::None),
    FAILED,
    lower("time_wait", "TIME_WAIT before", Aim::None),
];

pub(super) const HANDSHAKES: &[Column] = &[
    higher("rate", "handshakes/s", Aim::None),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::None),
    lower("cpu", "CPU µs/handshake", Aim::Ratio(1.0)),
    CLIENT,
    TARGET,
    lower("all", "CPU µs/handshake of all", Aim::None),
    FAILED,
    lower("time_wait", "TIME_WAIT before", Aim::None),
];

pub(super) const TLS_BULK: &[Column] = &[
    higher("rate", "GB/s", Aim::None),
    lower("cpu", "CPU s/GB", Aim::Ratio(1.0)),
    CLIENT,
    TARGET,
    ALL_PER_GIGABYTE,
    FAILED,
];

pub(super) const IDLE: &[Column] = &[
    lower("memory", "kB each", Aim::AtMost(1.2)),
    lower("descriptors", "descriptors each", Aim::AtMost(2.0)),
    lower("cpu", "CPU ms/s", Aim::AtMost(1.0)),
    lower("cpu_after", "CPU ms/s after", Aim::AtMost(1.0)),
    lower("left", "MB kept after", Aim::AtMost(1.0)),
    FAILED,
];

pub(super) const ROUTES: &[Column] = &[
    lower("start", "start ms", Aim::AtMost(100.0)),
    lower("reload", "reload ms", Aim::AtMost(50.0)),
    lower("lost", "listeners lost", Aim::AtMost(0.0)),
];

pub(super) const IPERF3: &[Column] = &[
    higher("rate", "GB/s", Aim::None),
    lower("cpu", "CPU s/GB", Aim::None),
    CLIENT,
    TARGET,
    ALL_PER_GIGABYTE,
];

pub(super) const CLIENTS: &[Column] = &[
    higher("rate", "requests/s", Aim::None),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::None),
    lower("cpu", "CPU µs/request", Aim::None),
    CLIENT,
    TARGET,
    lower("all", "CPU µs/request of all", Aim::None),
    FAILED,
];

pub(super) const UDP_REQUESTS: &[Column] = &[
    higher("rate", "exchanges/s", Aim::Ratio(1.0)),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::Ratio(1.0)),
    lower("cpu", "CPU µs/exchange", Aim::Ratio(0.9)),
    ENDS,
    lower("all", "CPU µs/exchange of all", Aim::None),
    FAILED,
];

pub(super) const UDP_SMALL: &[Column] = &[
    higher("rate", "datagrams/s", Aim::None),
    lower("cpu", "CPU µs/datagram", Aim::Ratio(0.9)),
    ENDS,
    lower("all", "CPU µs/datagram of all", Aim::None),
    lower("lost", "lost %", Aim::AtMost(0.0)),
];

pub(super) const UDP_LARGE: &[Column] = &[
    higher("rate", "datagrams/s", Aim::None),
    lower("cpu", "CPU µs/datagram", Aim::Ratio(0.75)),
    ENDS,
    lower("all", "CPU µs/datagram of all", Aim::None),
    lower("lost", "lost %", Aim::AtMost(0.0)),
];

pub(super) const UDP_TRAINS: &[Column] = &[
    higher("rate", "datagrams/s", Aim::None),
    lower("cpu", "CPU µs/datagram", Aim::Ratio(0.25)),
    ENDS,
    lower("all", "CPU µs/datagram of all", Aim::None),
    lower("lost", "lost %", Aim::AtMost(0.0)),
];

pub(super) const UDP_IDLE: &[Column] = &[
    lower("memory", "KiB each", Aim::AtMost(1.0)),
    lower("left", "MB kept after", Aim::AtMost(1.0)),
    FAILED,
];

/// What a tunnel costs at both ends beside rathole without any security, with Noise, with TLS, and beside `ssh -R`.
const fn beside_tunnels(plain: f64, noise: f64, tls: f64, ssh: f64) -> Aim {
    Aim::Beside([("rathole", plain), ("rathole-noise", noise), ("rathole-tls", tls), ("ssh", ssh)])
}

pub(super) const TUNNEL_BULK: &[Column] = &[
    higher("rate", "GB/s", Aim::None),
    lower("cpu", "CPU s/GB", beside_tunnels(1.05, 0.42, 0.55, 0.42)),
    CLIENT,
    TARGET,
    ALL_PER_GIGABYTE,
    FAILED,
];

pub(super) const TUNNEL_REQUESTS: &[Column] = &[
    higher("rate", "requests/s", Aim::None),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::None),
    lower("cpu", "CPU µs/request", beside_tunnels(1.8, 0.7, 0.62, 1.0)),
    CLIENT,
    TARGET,
    lower("all", "CPU µs/request of all", Aim::None),
    FAILED,
];

pub(super) const TUNNEL_CONNECTS: &[Column] = &[
    higher("rate", "connections/s", Aim::None),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::None),
    lower("cpu", "CPU µs/connection", beside_tunnels(1.1, 0.18, 0.06, 0.62)),
    CLIENT,
    TARGET,
    lower("all", "CPU µs/connection of all", Aim::None),
    FAILED,
    lower("time_wait", "TIME_WAIT before", Aim::None),
];

/// rathole carries datagrams over TCP; what it costs is least without any security.
pub(super) const TUNNEL_DATAGRAMS: &[Column] = &[
    higher("rate", "exchanges/s", Aim::None),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::None),
    lower("cpu", "CPU µs/exchange", Aim::Ratio(0.62)),
    ENDS,
    lower("all", "CPU µs/exchange of all", Aim::None),
    FAILED,
];

pub(super) const TUNNEL_IDLE: &[Column] = &[
    lower("memory", "kB each", beside_tunnels(0.45, 0.06, 0.24, 0.28)),
    lower("descriptors", "descriptors each", Aim::None),
    lower("cpu", "CPU ms/s", Aim::None),
    lower("cpu_after", "CPU ms/s after", Aim::None),
    lower("left", "MB kept after", Aim::None),
    FAILED,
];
