//! Which figures each workload has, and what we aim at in them.

use crate::figures::{Aim, Better, Column};

const fn higher(key: &'static str, title: &'static str, aim: Aim) -> Column {
    Column { key, title, better: Better::Higher, aim }
}

const fn lower(key: &'static str, title: &'static str, aim: Aim) -> Column {
    Column { key, title, better: Better::Lower, aim }
}

const FAILED: Column = lower("failed", "failed", Aim::None);

pub(super) const BULK: &[Column] =
    &[higher("rate", "GB/s", Aim::Ratio(1.0)), lower("cpu", "CPU s/GB", Aim::Ratio(0.85)), FAILED];

pub(super) const REQUESTS: &[Column] = &[
    higher("rate", "requests/s", Aim::Ratio(1.0)),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::Ratio(1.0)),
    lower("cpu", "CPU µs/request", Aim::Ratio(0.9)),
    FAILED,
];

pub(super) const CONNECTS: &[Column] = &[
    higher("rate", "connections/s", Aim::Ratio(1.0)),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::None),
    lower("cpu", "CPU µs/connection", Aim::Ratio(0.9)),
    FAILED,
    lower("time_wait", "TIME_WAIT before", Aim::None),
];

pub(super) const HANDSHAKES: &[Column] = &[
    higher("rate", "handshakes/s", Aim::None),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::None),
    lower("cpu", "CPU µs/handshake", Aim::Ratio(1.0)),
    FAILED,
    lower("time_wait", "TIME_WAIT before", Aim::None),
];

pub(super) const TLS_BULK: &[Column] =
    &[higher("rate", "GB/s", Aim::None), lower("cpu", "CPU s/GB", Aim::Ratio(1.0)), FAILED];

pub(super) const IDLE: &[Column] = &[
    lower("memory", "kB each", Aim::AtMost(1.5)),
    lower("descriptors", "descriptors each", Aim::AtMost(2.0)),
    lower("cpu", "CPU ms/s", Aim::AtMost(1.0)),
    lower("left", "MB kept after", Aim::AtMost(1.0)),
    FAILED,
];

pub(super) const ROUTES: &[Column] = &[
    lower("start", "start ms", Aim::AtMost(100.0)),
    lower("reload", "reload ms", Aim::AtMost(50.0)),
    lower("lost", "listeners lost", Aim::AtMost(0.0)),
];

pub(super) const IPERF3: &[Column] =
    &[higher("rate", "GB/s", Aim::None), lower("cpu", "CPU s/GB", Aim::None)];

pub(super) const CLIENTS: &[Column] = &[
    higher("rate", "requests/s", Aim::None),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::None),
    lower("cpu", "CPU µs/request", Aim::None),
    FAILED,
];

pub(super) const UDP_REQUESTS: &[Column] = &[
    higher("rate", "exchanges/s", Aim::Ratio(1.0)),
    lower("p50", "p50 µs", Aim::None),
    lower("p99", "p99 µs", Aim::Ratio(1.0)),
    lower("cpu", "CPU µs/exchange", Aim::Ratio(0.9)),
    FAILED,
];

pub(super) const UDP_SMALL: &[Column] = &[
    higher("rate", "datagrams/s", Aim::None),
    lower("cpu", "CPU µs/datagram", Aim::Ratio(0.9)),
    lower("lost", "lost %", Aim::AtMost(0.0)),
];

pub(super) const UDP_LARGE: &[Column] = &[
    higher("rate", "datagrams/s", Aim::None),
    lower("cpu", "CPU µs/datagram", Aim::Ratio(0.75)),
    lower("lost", "lost %", Aim::AtMost(0.0)),
];

pub(super) const UDP_TRAINS: &[Column] = &[
    higher("rate", "datagrams/s", Aim::None),
    lower("cpu", "CPU µs/datagram", Aim::Ratio(0.25)),
    lower("lost", "lost %", Aim::AtMost(0.0)),
];

pub(super) const UDP_IDLE: &[Column] = &[
    lower("memory", "KiB each", Aim::AtMost(1.0)),
    lower("left", "MB kept after", Aim::AtMost(1.0)),
    FAILED,
];
