//! The loads of a bench, by what the service does.

use std::net::SocketAddr;
use std::time::Duration;

use loopgate_load::{Direction, MESSAGE, Span};

use super::part::Part;
use super::service::Service;

/// The most connections of one turn that makes as many as it can, and its longest time: each leaves one in TIME_WAIT for a
/// minute.
const MOST_CONNECTIONS: u64 = 20_000;
const LONGEST_CONNECTS: Duration = Duration::from_secs(1);
/// How many connections exchange messages, or are made, at one time.
const MANY: usize = 50;
const STREAMS: [usize; 2] = [1, 8];

/// One load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    Take(usize),
    Give(usize),
    ThereAndBack(usize),
    Requests(usize),
    /// With an exchange if the service answers, else until it closes.
    Connects {
        answers: bool,
    },
    /// Without a word, one after the other: for a service whose language nobody here speaks.
    Silent,
    Iperf3(Direction, usize),
}

/// What a load counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    Requests,
    Connections,
}

/// The addresses of one way to the target: the built-in one has two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    /// Where streams go.
    pub(super) stream: SocketAddr,
    /// Where everything else goes.
    pub(super) exchange: SocketAddr,
}

impl Ends {
    pub(super) fn both(at: SocketAddr) -> Ends {
        Ends { stream: at, exchange: at }
    }
}

impl Load {
    /// The loads of the built-in target.
    pub(super) fn built_in() -> Vec<Load> {
        let mut loads: Vec<Load> = STREAMS.map(Load::Take).into();
        loads.extend([Load::Requests(1), Load::Requests(MANY), Load::Connects { answers: true }]);
        loads
    }

    /// What can be asked of a service.
    pub(super) fn of(service: &Service) -> Vec<Load> {
        match service {
            Service::Echo => {
                let mut loads: Vec<Load> = STREAMS.map(Load::ThereAndBack).into();
                loads.extend([Load::Requests(1), Load::Requests(MANY), Load::Connects { answers: true }]);
                loads
            }
            Service::Discard => {
                let mut loads: Vec<Load> = STREAMS.map(Load::Give).into();
                loads.push(Load::Connects { answers: false });
                loads
            }
            Service::Iperf3 => [Direction::Up, Direction::Down]
                .into_iter()
                .flat_map(|direction| STREAMS.map(|streams| Load::Iperf3(direction, streams)))
                .collect(),
            Service::Other(_) => vec![Load::Silent],
        }
    }

    pub(super) fn part(self, ends: Ends, span: Span) -> Part {
        let Ends { stream, exchange } = ends;
        match self {
            Load::Take(streams) => Part::Take { to: stream, streams, span },
            Load::Give(streams) => Part::Give { to: stream, streams, span },
            Load::ThereAndBack(streams) => Part::ThereAndBack { to: stream, streams, span },
            Load::Requests(connections) => Part::Requests { to: exchange, connections, span },
            Load::Connects { answers } => {
                let at_most = MOST_CONNECTIONS;
                Part::Connects {
                    to: exchange,
                    message: MESSAGE,
                    answers,
                    at_once: MANY,
                    at_most,
                    span: short(span),
                }
            }
            Load::Silent => {
                let at_most = MOST_CONNECTIONS;
                Part::Connects {
                    to: exchange,
                    message: 0,
                    answers: false,
                    at_once: 1,
                    at_most,
                    span: short(span),
                }
            }
            Load::Iperf3(direction, streams) => Part::Iperf3 { to: stream, direction, streams, span },
        }
    }

    pub(super) fn unit(self) -> Unit {
        match self {
            Load::Take(_) | Load::Give(_) | Load::ThereAndBack(_) | Load::Iperf3(..) => Unit::Bytes,
            Load::Requests(_) => Unit::Requests,
            Load::Connects { .. } | Load::Silent => Unit::Connections,
        }
    }

    /// How many streams or connections it has at one time.
    pub(super) fn at_once(self) -> usize {
        match self {
            Load::Take(count) | Load::Give(count) | Load::ThereAndBack(count) | Load::Iperf3(_, count) => {
                count
            }
            Load::Requests(count) => count,
            Load::Connects { .. } => MANY,
            Load::Silent => 1,
        }
    }

    /// Its heading.
    pub(super) fn name(self) -> String {
        let streams = |count| crate::units::counted(count, "stream");
        match self {
            Load::Take(count) | Load::Iperf3(Direction::Down, count) => {
                format!("{} from the target", streams(count))
            }
            Load::Give(count) | Load::Iperf3(Direction::Up, count) => {
                format!("{} to the target", streams(count))
            }
            Load::ThereAndBack(count) => format!("{} there and back", streams(count)),
            Load::Requests(count) => {
                format!("request of {MESSAGE} B, answer, {}", crate::units::counted(count, "connection"))
            }
            Load::Connects { answers: true } => {
                format!("connect, {MESSAGE} B, answer, close, {MANY} at once")
            }
            Load::Connects { answers: false } => format!("connect, {MESSAGE} B, close, {MANY} at once"),
            Load::Silent => "connect, close both ways, 1 connection".to_owned(),
        }
    }

    /// Its stable name in JSON.
    pub(super) fn id(self) -> &'static str {
        match self {
            Load::Take(_) | Load::Iperf3(Direction::Down, _) => "streams-down",
            Load::Give(_) | Load::Iperf3(Direction::Up, _) => "streams-up",
            Load::ThereAndBack(_) => "streams-both-ways",
            Load::Requests(_) => "requests",
            Load::Connects { answers: true } => "connect-exchange",
            Load::Connects { answers: false } => "connect-send",
            Load::Silent => "connect",
        }
    }
}

/// The span of a load that would run out of connections before it is measured.
fn short(span: Span) -> Span {
    let warm_up = span.warm_up.min(LONGEST_CONNECTS / 5);
    Span { warm_up, measured: span.measured.min(LONGEST_CONNECTS - warm_up) }
}

#[test]
fn every_heading_fits_a_narrow_terminal() {
    let services = [Service::Echo, Service::Discard, Service::Iperf3, Service::Other(String::new())];

    for load in services.iter().flat_map(Load::of).chain(Load::built_in()) {
        assert!(load.name().len() <= 40, "{}", load.name());
    }
}
