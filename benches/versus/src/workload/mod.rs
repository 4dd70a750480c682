//! What is done to a forwarder, what is read off, and what we aim at.

mod columns;
mod datagrams;
mod idle;
mod list;
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

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) columns: &'static [Column],
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Bulk { front: Front, way: Way, streams: usize },
    Requests { front: Front, connections: usize, pipeline: usize },
    Connects { front: Front, at_once: usize },
    Handshakes,
    TlsBulk { streams: usize },
    Idle(Front),
    Routes,
    Iperf3,
    Redis,
    Wrk,
    UdpRequests(Front),
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

/// The workloads the options ask for: those whose name begins with one of the words.
pub(crate) fn chosen(options: &Options) -> Fallible<Vec<&'static Workload>> {
    let matches =
        |workload: &&Workload, word: &String| workload.name == word || workload.name.starts_with(word);
    if let Some(word) =
        options.only.iter().find(|word| !list::ALL.iter().any(|workload| matches(&workload, word)))
    {
        let known: Vec<_> = list::ALL.iter().map(|workload| workload.name).collect();
        return Err(format!("--only {word}: known are {}", known.join(", ")).into());
    }
    let wanted = |workload: &&Workload| {
        options.only.is_empty() || options.only.iter().any(|word| matches(workload, word))
    };
    Ok(list::ALL.iter().filter(wanted).collect())
}

impl Workload {
    pub(crate) fn turn(&self, contestant: &Contestant, scene: &Scene) -> Fallible<Measured> {
        match self.kind {
            Kind::Bulk { front, way, streams } => traffic::bulk(contestant, front, way, streams, scene),
            Kind::Requests { front, connections, pipeline } => {
                traffic::requests(contestant, front, connections, pipeline, scene)
            }
            Kind::Connects { front, at_once } => traffic::connects(contestant, front, at_once, scene),
            Kind::Handshakes => tls::handshakes(contestant, scene),
            Kind::TlsBulk { streams } => tls::bulk(contestant, streams, scene),
            Kind::Idle(front) => idle::turn(contestant, front, scene),
            Kind::Routes => routes::turn(contestant, scene),
            Kind::Iperf3 => real::iperf3(contestant, scene),
            Kind::Redis => real::redis(contestant, scene),
            Kind::Wrk => real::wrk(contestant, scene),
            Kind::UdpRequests(front) => datagrams::requests(contestant, front, scene),
            Kind::UdpUp { flows, pace } => datagrams::up(contestant, flows, pace, scene),
            Kind::UdpDown { flows, pace } => datagrams::down(contestant, flows, pace, scene),
            Kind::UdpIdle => datagrams::idle(contestant, scene),
        }
    }

    pub(crate) fn takes(&self, contestant: &Contestant) -> bool {
        let is_udp = matches!(
            self.kind,
            Kind::UdpRequests(_) | Kind::UdpUp { .. } | Kind::UdpDown { .. } | Kind::UdpIdle
        );
        let front = match self.kind {
            Kind::Bulk { front, .. }
            | Kind::Requests { front, .. }
            | Kind::Connects { front, .. }
            | Kind::Idle(front)
            | Kind::UdpRequests(front) => front,
            Kind::Handshakes | Kind::TlsBulk { .. } => Front::EndsTls,
            _ => Front::Plain,
        };
        match (self.kind, &contestant.forwarder) {
            (Kind::UdpIdle, Some((forwarder, _))) if forwarder.name == YARDSTICK => false,
            (_, Some((forwarder, _))) if is_udp && !forwarder.datagrams => false,
            (_, Some(_)) if is_udp && front == Front::Plain => true,
            _ if !contestant.can(front) => false,
            (Kind::UdpIdle, None) => false,
            (Kind::Idle(_) | Kind::Routes, None) => false,
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
            Kind::Idle(_) | Kind::UdpIdle => rounds.min(2),
            Kind::Iperf3 | Kind::Redis | Kind::Wrk => rounds.min(3),
            _ => rounds,
        }
    }

    /// Whether it is of many small pieces, whose cost differs from turn to turn by more than forwarders differ.
    pub(crate) fn is_small(&self) -> bool {
        matches!(self.kind, Kind::Requests { .. } | Kind::Connects { .. } | Kind::Handshakes)
    }

    /// About how long a turn takes.
    pub(crate) fn seconds(&self, options: &Options) -> f64 {
        let load = (options.warm_up() + options.measured()).as_secs_f64();
        match self.kind {
            Kind::Idle(_) => {
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
