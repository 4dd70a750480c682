//! Every workload, in the order of a run.

use super::columns::{
    BULK, CLIENTS, CONNECTS, FRONT_BULK, HANDSHAKES, IDLE, IPERF3, PIPELINED, REQUEST_1, REQUEST_50, ROUTES,
    TLS_BULK, TUNNEL_BULK, TUNNEL_CONNECTS, TUNNEL_DATAGRAMS, TUNNEL_IDLE, TUNNEL_REQUESTS, UDP_IDLE,
    UDP_LARGE, UDP_REQUESTS, UDP_SMALL, UDP_TRAINS, UNIX_BULK,
};
use super::{Kind, Workload};
use crate::figures::Column;
use crate::forwarders::Front;
use crate::role::{Pace, Way};

/// Slow enough that nobody loses for want of CPU on a machine of two cores.
const ALONE: Pace = Pace { per_second: 100_000, bytes: 64, train: 1 };
/// QUIC's datagrams, sixteen in one system call.
const TRAINS: Pace = Pace { per_second: 400_000, bytes: 1_200, train: 16 };

/// Many clients, each with datagrams of its own; one client sends all of them in a row.
pub(super) const FLOWS: usize = 64;

pub(super) static ALL: &[Workload] = &[
    bulk("bulk-1", "bulk, 1 stream", Way::Down, 1),
    bulk("bulk-8", "bulk, 8 streams", Way::Down, 8),
    bulk("bulk-64", "bulk, 64 streams", Way::Down, 64),
    bulk("bulk-up-1", "bulk, client to target, 1 stream", Way::Up, 1),
    bulk("bulk-up-8", "bulk, client to target, 8 streams", Way::Up, 8),
    bulk("bulk-up-64", "bulk, client to target, 64 streams", Way::Up, 64),
    unix("bulk-unix-1", "bulk over Unix sockets, 1 stream", Way::Down, 1),
    unix("bulk-unix-8", "bulk over Unix sockets, 8 streams", Way::Down, 8),
    unix("bulk-unix-up-1", "bulk over Unix sockets, client to target, 1 stream", Way::Up, 1),
    unix("bulk-unix-up-8", "bulk over Unix sockets, client to target, 8 streams", Way::Up, 8),
    Workload {
        name: "request-1",
        title: "request/response 64 B, 1 connection",
        columns: REQUEST_1,
        kind: requests(1, 1),
    },
    Workload {
        name: "request-50",
        title: "request/response 64 B, 50 connections",
        columns: REQUEST_50,
        kind: requests(50, 1),
    },
    Workload {
        name: "request-50x16",
        title: "request/response 64 B, 50 connections, pipelined ×16",
        columns: PIPELINED,
        kind: requests(50, 16),
    },
    Workload {
        name: "connect",
        title: "connect, one exchange, close; 50 at a time",
        columns: CONNECTS,
        kind: connects(Front::Plain),
    },
    Workload {
        name: "proxy-send",
        title: "connect, PROXY header v1 to the target, one exchange, close; 50 at a time",
        columns: CONNECTS,
        kind: connects(Front::SendsHeader),
    },
    Workload {
        name: "proxy-accept",
        title: "connect, PROXY header v1 from the client, one exchange, close; 50 at a time",
        columns: CONNECTS,
        kind: connects(Front::TakesHeader),
    },
    Workload {
        name: "proxy-bulk",
        title: "bulk, 8 streams, PROXY header v1 to the target",
        columns: FRONT_BULK,
        kind: Kind::Bulk { front: Front::SendsHeader, way: Way::Down, streams: 8 },
    },
    Workload {
        name: "name-connect",
        title: "connect, target by the name in the TLS hello, one exchange, close; 50 at a time",
        columns: CONNECTS,
        kind: connects(Front::ByName),
    },
    Workload {
        name: "name-bulk",
        title: "bulk, 8 streams, target by the name in the TLS hello",
        columns: FRONT_BULK,
        kind: Kind::Bulk { front: Front::ByName, way: Way::Down, streams: 8 },
    },
    Workload {
        name: "tls-handshake",
        title: "connect, full TLS 1.3 handshake, one exchange, close; 16 at a time",
        columns: HANDSHAKES,
        kind: Kind::Handshakes,
    },
    Workload {
        name: "tls-bulk",
        title: "bulk, enciphered for the client, 8 streams",
        columns: TLS_BULK,
        kind: Kind::TlsBulk { streams: 8 },
    },
    Workload { name: "idle", title: "idle connections", columns: IDLE, kind: Kind::Idle(Front::Plain) },
    Workload { name: "routes", title: "many routes: start and reload", columns: ROUTES, kind: Kind::Routes },
    Workload { name: "iperf3", title: "iperf3, 1 stream", columns: IPERF3, kind: Kind::Iperf3 },
    Workload {
        name: "redis",
        title: "redis-benchmark GET, 50 connections",
        columns: CLIENTS,
        kind: Kind::Redis,
    },
    Workload {
        name: "udp-request",
        title: "UDP, question and answer 64 B, 64 flows",
        columns: UDP_REQUESTS,
        kind: Kind::UdpRequests(Front::Plain),
    },
    Workload {
        name: "udp-64",
        title: "UDP, one way, 64 B, 64 flows, 100,000/s",
        columns: UDP_SMALL,
        kind: Kind::UdpUp { flows: FLOWS, pace: ALONE },
    },
    Workload {
        name: "udp-64-one",
        title: "UDP, one way, 64 B, one flow, 100,000/s",
        columns: UDP_SMALL,
        kind: Kind::UdpUp { flows: 1, pace: ALONE },
    },
    Workload {
        name: "udp-64-down",
        title: "UDP, answers, 64 B, 64 flows, 100,000/s",
        columns: UDP_SMALL,
        kind: Kind::UdpDown { flows: FLOWS, pace: ALONE },
    },
    Workload {
        name: "udp-64-down-one",
        title: "UDP, answers, 64 B, one flow, 100,000/s",
        columns: UDP_SMALL,
        kind: Kind::UdpDown { flows: 1, pace: ALONE },
    },
    Workload {
        name: "udp-1400",
        title: "UDP, one way, 1,400 B, 64 flows, 100,000/s",
        columns: UDP_LARGE,
        kind: Kind::UdpUp { flows: FLOWS, pace: Pace { bytes: 1_400, ..ALONE } },
    },
    Workload {
        name: "udp-trains",
        title: "UDP, one way, trains of 16 × 1,200 B, 64 flows, 400,000/s",
        columns: UDP_TRAINS,
        kind: Kind::UdpUp { flows: FLOWS, pace: TRAINS },
    },
    Workload {
        name: "udp-trains-one",
        title: "UDP, one way, trains of 16 × 1,200 B, one flow, 400,000/s",
        columns: UDP_TRAINS,
        kind: Kind::UdpUp { flows: 1, pace: TRAINS },
    },
    Workload {
        name: "udp-answers",
        title: "UDP, answers, trains of 16 × 1,200 B, 64 flows, 400,000/s",
        columns: UDP_TRAINS,
        kind: Kind::UdpDown { flows: FLOWS, pace: TRAINS },
    },
    Workload {
        name: "udp-answers-one",
        title: "UDP, answers, trains of 16 × 1,200 B, one flow, 400,000/s",
        columns: UDP_TRAINS,
        kind: Kind::UdpDown { flows: 1, pace: TRAINS },
    },
    Workload { name: "udp-idle", title: "UDP, idle flows", columns: UDP_IDLE, kind: Kind::UdpIdle },
    tunnel("tunnel-bulk-8", "tunnel: bulk, 8 streams", TUNNEL_BULK, tunnel_bulk(Way::Down)),
    tunnel(
        "tunnel-bulk-up-8",
        "tunnel: bulk, client to target, 8 streams",
        TUNNEL_BULK,
        tunnel_bulk(Way::Up),
    ),
    tunnel(
        "tunnel-request-50",
        "tunnel: request/response 64 B, 50 connections",
        TUNNEL_REQUESTS,
        Kind::Requests { front: Front::Tunnel, connections: 50, pipeline: 1 },
    ),
    tunnel(
        "tunnel-connect",
        "tunnel: connect, one exchange, close; 16 at a time",
        TUNNEL_CONNECTS,
        Kind::Connects { front: Front::Tunnel, at_once: 16 },
    ),
    tunnel("tunnel-idle", "tunnel: idle connections", TUNNEL_IDLE, Kind::Idle(Front::Tunnel)),
    tunnel(
        "tunnel-udp",
        "tunnel: UDP, request/response 64 B, 64 flows",
        TUNNEL_DATAGRAMS,
        Kind::UdpRequests(Front::Tunnel),
    ),
    Workload { name: "wrk", title: "wrk, 50 HTTP connections", columns: CLIENTS, kind: Kind::Wrk },
];

const fn bulk(name: &'static str, title: &'static str, way: Way, streams: usize) -> Workload {
    Workload { name, title, columns: BULK, kind: Kind::Bulk { front: Front::Plain, way, streams } }
}

const fn unix(name: &'static str, title: &'static str, way: Way, streams: usize) -> Workload {
    Workload { name, title, columns: UNIX_BULK, kind: Kind::Bulk { front: Front::Unix, way, streams } }
}

const fn tunnel(name: &'static str, title: &'static str, columns: &'static [Column], kind: Kind) -> Workload {
    Workload { name, title, columns, kind }
}

const fn tunnel_bulk(way: Way) -> Kind {
    Kind::Bulk { front: Front::Tunnel, way, streams: 8 }
}

const fn requests(connections: usize, pipeline: usize) -> Kind {
    Kind::Requests { front: Front::Plain, connections, pipeline }
}

const fn connects(front: Front) -> Kind {
    Kind::Connects { front, at_once: 50 }
}
