//! What is done to a forwarder, what is read off, and what we aim at.

mod columns;
mod datagrams;
mod idle;
mod real;
mod routes;
mod tls;
mod traffic;

use std::collections::BTreeMap;
use std::path::Path;

use crate::contestant::{Contestant, on_path};
use crate::figures::{Column, Figures};
use crate::forwarders::{Front, Routes};
use crate::options::Options;
use crate::setting::Setting;
use loopgate_load::Fallible;

use crate::role::{Pace, Way};
use crate::yardstick::YARDSTICK;
use columns::{
    BULK, CLIENTS, CONNECTS, FRONT_BULK, HANDSHAKES, IDLE, IPERF3, PIPELINED, REQUEST_1, REQUEST_50, ROUTES,
    TLS_BULK, UDP_IDLE, UDP_LARGE, UDP_REQUESTS, UDP_SMALL, UDP_TRAINS, UNIX_BULK,
};

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) columns: &'static [Column],
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Bulk { front: Front, way: Way, streams: usize },
    Requests { connections: usize, pipeline: usize },
    Connects(Front),
    Handshakes,
    TlsBulk { streams: usize },
    Idle,
    Routes,
    Iperf3,
    Redis,
    Wrk,
    UdpRequests,
    UdpUp { flows: usize, pace: Pace },
    UdpDown { flows: usize, pace: Pace },
    UdpIdle,
}

/// What a turn runs with.
pub(crate) struct Scene<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) options: &'a Options,
    pub(crate) scratch: &'a Path,
}

pub(crate) struct Measured {
    pub(crate) figures: Figures,
    pub(crate) failures: BTreeMap<String, u64>,
}

/// Slow enough that nobody loses for want of CPU on a machine of two cores.
const ALONE: Pace = Pace { per_second: 100_000, bytes: 64, train: 1 };
/// QUIC's datagrams, sixteen in one system call.
const TRAINS: Pace = Pace { per_second: 400_000, bytes: 1_200, train: 16 };

/// Many clients, each with datagrams of its own; one client sends all of them in a row.
const FLOWS: usize = 64;

static WORKLOADS: &[Workload] = &[
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
        kind: Kind::Requests { connections: 1, pipeline: 1 },
    },
    Workload {
        name: "request-50",
        title: "request/response 64 B, 50 connections",
        columns: REQUEST_50,
        kind: Kind::Requests { connections: 50, pipeline: 1 },
    },
    Workload {
        name: "request-50x16",
        title: "request/response 64 B, 50 connections, pipelined ×16",
        columns: PIPELINED,
        kind: Kind::Requests { connections: 50, pipeline: 16 },
    },
    Workload {
        name: "connect",
        title: "connect, one exchange, close; 50 at a time",
        columns: CONNECTS,
        kind: Kind::Connects(Front::Plain),
    },
    Workload {
        name: "proxy-send",
        title: "connect, PROXY header v1 to the target, one exchange, close; 50 at a time",
        columns: CONNECTS,
        kind: Kind::Connects(Front::SendsHeader),
    },
    Workload {
        name: "proxy-accept",
        title: "connect, PROXY header v1 from the client, one exchange, close; 50 at a time",
        columns: CONNECTS,
        kind: Kind::Connects(Front::TakesHeader),
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
        kind: Kind::Connects(Front::ByName),
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
    Workload { name: "idle", title: "idle connections", columns: IDLE, kind: Kind::Idle },
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
        kind: Kind::UdpRequests,
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
    Workload { name: "wrk", title: "wrk, 50 HTTP connections", columns: CLIENTS, kind: Kind::Wrk },
];

const fn bulk(name: &'static str, title: &'static str, way: Way, streams: usize) -> Workload {
    Workload { name, title, columns: BULK, kind: Kind::Bulk { front: Front::Plain, way, streams } }
}

const fn unix(name: &'static str, title: &'static str, way: Way, streams: usize) -> Workload {
    Workload { name, title, columns: UNIX_BULK, kind: Kind::Bulk { front: Front::Unix, way, streams } }
}

/// The workloads the options ask for: those whose name begins with one of the words.
pub(crate) fn chosen(options: &Options) -> Fallible<Vec<&'static Workload>> {
    let matches =
        |workload: &&Workload, word: &String| workload.name == word || workload.name.starts_with(word);
    if let Some(word) =
        options.only.iter().find(|word| !WORKLOADS.iter().any(|workload| matches(&workload, word)))
    {
        let known: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        return Err(format!("--only {word}: known are {}", known.join(", ")).into());
    }
    let wanted = |workload: &&Workload| {
        options.only.is_empty() || options.only.iter().any(|word| matches(workload, word))
    };
    Ok(WORKLOADS.iter().filter(wanted).collect())
}

impl Workload {
    pub(crate) fn turn(&self, contestant: &Contestant, scene: &Scene) -> Fallible<Measured> {
        match self.kind {
            Kind::Bulk { front, way, streams } => traffic::bulk(contestant, front, way, streams, scene),
            Kind::Requests { connections, pipeline } => {
                traffic::requests(contestant, connections, pipeline, scene)
            }
            Kind::Connects(front) => traffic::connects(contestant, front, scene),
            Kind::Handshakes => tls::handshakes(contestant, scene),
            Kind::TlsBulk { streams } => tls::bulk(contestant, streams, scene),
            Kind::Idle => idle::turn(contestant, scene),
            Kind::Routes => routes::turn(contestant, scene),
            Kind::Iperf3 => real::iperf3(contestant, scene),
            Kind::Redis => real::redis(contestant, scene),
            Kind::Wrk => real::wrk(contestant, scene),
            Kind::UdpRequests => datagrams::requests(contestant, scene),
            Kind::UdpUp { flows, pace } => datagrams::up(contestant, flows, pace, scene),
            Kind::UdpDown { flows, pace } => datagrams::down(contestant, flows, pace, scene),
            Kind::UdpIdle => datagrams::idle(contestant, scene),
        }
    }

    pub(crate) fn takes(&self, contestant: &Contestant) -> bool {
        let is_udp = self.name.starts_with("udp-");
        let front = match self.kind {
            Kind::Bulk { front, .. } | Kind::Connects(front) => front,
            Kind::Handshakes | Kind::TlsBulk { .. } => Front::EndsTls,
            _ => Front::Plain,
        };
        match (self.kind, &contestant.forwarder) {
            (Kind::UdpIdle, Some((forwarder, _))) if forwarder.name == YARDSTICK => false,
            (_, Some((forwarder, _))) if is_udp => forwarder.datagrams,
            _ if !contestant.can(front) => false,
            (Kind::UdpIdle, None) => false,
            (Kind::Idle | Kind::Routes, None) => false,
            (Kind::Routes, Some((forwarder, _))) => forwarder.routes == Routes::Many,
            _ => true,
        }
    }

    /// What the workload needs and the machine lacks.
    pub(crate) fn missing(&self) -> Option<String> {
        let programs: &[&str] = match self.kind {
            Kind::Iperf3 => &["iperf3"],
            Kind::Redis => &["redis-server", "redis-benchmark"],
            Kind::Wrk => &["wrk"],
            _ => &[],
        };
        programs
            .iter()
            .find(|program| on_path(program).is_none())
            .map(|program| format!("{program} is not installed"))
    }

    /// Of `rounds`, as many as this workload makes: memory hardly varies, and holding thousands of connections is slow.
    pub(crate) fn rounds(&self, rounds: usize) -> usize {
        match self.kind {
            Kind::Idle | Kind::UdpIdle => rounds.min(2),
            Kind::Iperf3 | Kind::Redis | Kind::Wrk => rounds.min(3),
            _ => rounds,
        }
    }

    /// Whether it is of many small pieces, whose cost differs from turn to turn by more than forwarders differ.
    pub(crate) fn is_small(&self) -> bool {
        matches!(self.kind, Kind::Requests { .. } | Kind::Connects(_) | Kind::Handshakes)
    }

    /// About how long a turn takes.
    pub(crate) fn seconds(&self, options: &Options) -> f64 {
        let load = (options.warm_up() + options.measured()).as_secs_f64();
        match self.kind {
            Kind::Idle => {
                if options.smoke {
                    1.5
                } else {
                    10.5
                }
            }
            Kind::Routes => 1.0,
            Kind::UdpIdle => 9.0,
            Kind::Iperf3 | Kind::Redis | Kind::Wrk => load.ceil() + 0.5,
            _ => load + 0.3,
        }
    }
}
