//! How many, how fast and how long: the limits of the process, of a route's sessions and of its flows.
//!
//! Pure: the system's limits, the clock and the clients are arguments.

mod admission;
mod admission_settings;
mod bucket;
mod clients;
mod dry_run;
mod gcra;
mod idle_timeout;
mod lru;
#[cfg(test)]
mod simulation;
mod start;

use std::time::Duration;

use serde::Deserialize;

pub use admission::{Admission, Answer};
pub use admission_settings::{EntryLimits, WhenFull};
pub use bucket::{Bandwidth, BandwidthRule, Bucket, Policer};
pub use clients::ClientKey;
pub use dry_run::Overruns;
pub use gcra::{Allowance, Pace};
pub use idle_timeout::Silence;
pub use lru::Number;
pub use start::{Needs, OF_PROGRAM};

/// `[limits]`: limits of the whole process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at one time over all routes, at least 1; `None` takes what the descriptor limit allows.
    pub connections: Option<usize>,
    /// Flows of UDP routes at one time, at least 1; `None` takes what the descriptor limit allows.
    pub flows: Option<usize>,
    /// TLS handshakes with clients in progress at one time over all routes, at least 1. Each may hold some 100 KiB.
    pub handshakes: usize,
    /// How long a stop waits for the remaining sessions before it resets them. Zero resets at once.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: None, flows: None, handshakes: 1024, drain_timeout: Duration::from_secs(30) }
    }
}

/// The limits of a session of a TCP route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// The bandwidth that all sessions of the route share, each direction on its own.
    pub bandwidth: Option<BandwidthRule>,
    /// The bandwidth of each of them.
    pub bandwidth_per_connection: Option<BandwidthRule>,
    /// How long it lives without a byte either way, more than zero; `None` is unlimited.
    pub idle: Option<Duration>,
    /// How old it may become, more than zero; `None` is unlimited.
    pub age: Option<Duration>,
    /// How long the client may take to send its first byte, more than zero; `None` if it need not send first.
    pub first_byte: Option<Duration>,
}

impl SessionLimits {
    /// Whether anything is limited once bytes move.
    pub fn bound_bytes(&self) -> bool {
        let bounds_time = self.idle.is_some() || self.age.is_some();
        self.bandwidth.is_some() || self.bandwidth_per_connection.is_some() || bounds_time
    }
}

/// How many flows a UDP route may have, how long each lives, and what an answer may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowLimits {
    /// Flows at one time, at least 1.
    pub most: usize,
    /// What happens to a new client while there are that many.
    pub full: FlowsFull,
    /// How long a flow lives without a datagram either way; more than zero.
    pub idle: Duration,
    /// The bandwidth that all flows of the route share, each direction on its own.
    pub bandwidth: Option<BandwidthRule>,
    /// The bandwidth of each of them.
    pub bandwidth_per_connection: Option<BandwidthRule>,
    /// How old it may become; more than zero. `None` is unlimited.
    pub age: Option<Duration>,
    /// Answers to each datagram of the client, after which the flow is done; with 0, none is waited for; with `None`,
    /// only time ends a flow.
    pub answers: Option<u32>,
    /// Datagrams of the client that one flow carries, at least 1: the next one opens another flow. `None` is unlimited.
    pub requests: Option<u32>,
    /// How many times its own bytes a client may be sent before it has shown, by a datagram after an answer, that its
    /// address is genuine (RFC 9000, section 8.1, has 3); `None` is unlimited.
    pub amplification: Option<u32>,
}

/// What happens to a new client of a route whose flows are all in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowsFull {
    /// It takes the place of the flow that was idle longest.
    #[default]
    Evict,
    /// Its datagrams are dropped.
    Refuse,
}

/// Settings for what a UDP route carries. A key that is written out takes precedence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowPreset {
    /// No assumption. Two minutes without a datagram are the minimum of RFC 4787, REQ-5.
    #[default]
    Any,
    /// Requests with one answer each.
    Dns,
}

impl FlowPreset {
    /// The limits this preset stands for.
    pub fn limits(self) -> FlowLimits {
        let any = FlowLimits {
            most: 10_000,
            full: FlowsFull::Evict,
            idle: Duration::from_secs(120),
            bandwidth: None,
            bandwidth_per_connection: None,
            age: None,
            answers: None,
            requests: None,
            amplification: None,
        };
        match self {
            FlowPreset::Any => any,
            // A resolver retries after five seconds (resolv.conf(5)), and from another port.
            FlowPreset::Dns => FlowLimits { idle: Duration::from_secs(10), answers: Some(1), ..any },
        }
    }
}

/// How the descriptors of the process are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Sessions at one time, two descriptors each; at least 1.
    pub connections: usize,
    /// Flows at one time, one descriptor each; at least 1.
    pub flows: usize,
    /// Pipes at one time, two descriptors each; zero disables splicing.
    pub pipes: usize,
    /// Processes whose end is waited for at one time, one descriptor each.
    pub watches: usize,
}

/// Descriptors kept free for everything but sessions: a reload's new listeners, name lookups, the files of /proc.
const LEAST_RESERVE: usize = 8;
const MAX_RESERVE: usize = 256;

/// More pipes than this at one time only cost memory: a stream holds one only while it has bytes to move.
const MAX_PIPES: usize = 256;

/// Beyond this many services behind one proxy, the health checker's queries do instead.
const MAX_WATCHES: usize = 128;

/// What a configuration requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `limits.connections`
    pub connections: Option<usize>,
    /// `limits.flows`
    pub flows: Option<usize>,
    /// Whether a route carries UDP. Without one, flows keep a small share, because a reload may add one.
    pub udp: bool,
}

/// Divides `limit` descriptors, of which `used` are open already, listeners included. Requests are cut to what fits.
pub fn budget(limit: usize, used: usize, wanted: Wanted) -> Budget {
    let free = limit.saturating_sub(used);
    let reserve = (free / 8).clamp(LEAST_RESERVE, MAX_RESERVE);
    let free = free.saturating_sub(reserve);
    let flows = (free / if wanted.udp { 4 } else { 16 }).max(1);
    let flows = wanted.flows.map_or(flows, |wanted| wanted.min(free / 2)).max(1);
    let free = free.saturating_sub(flows);
    // A tenth of the sessions may be streaming at one time.
    let pipes = (free / 20).min(MAX_PIPES);
    let watches = (free / 50).min(MAX_WATCHES);
    let fits = (free.saturating_sub(2 * pipes + watches) / 2).max(1);
    let connections = wanted.connections.map_or(fits, |wanted| wanted.min(fits)).max(1);
    Budget { connections, flows, pipes, watches }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_never_exceed_the_limit() {
        for limit in [40, 64, 100, 256, 1024, 20_000, 1_048_576] {
            for udp in [false, true] {
                let it = budget(limit, 20, Wanted { udp, ..Wanted::default() });
                let all = 2 * it.connections + it.flows + 2 * it.pipes + it.watches;
                assert!(20 + all + LEAST_RESERVE <= limit, "of {limit}: {it:?}");
            }
        }
    }

    #[test]
    fn what_the_configuration_asks_for_is_cut_to_what_fits() {
        let wanted = |count| Wanted { connections: Some(count), flows: Some(count), udp: true };
        let Budget { connections, flows, .. } = budget(1024, 24, wanted(10));
        assert_eq!((connections, flows), (10, 10));
        let Budget { connections, flows, .. } = budget(1024, 24, wanted(10_000));
        assert!(connections < 500 && flows < 500, "{connections} and {flows}");
    }

    #[test]
    fn even_a_hopeless_limit_leaves_one_of_each() {
        assert_eq!(
            budget(16, 20, Wanted::default()),
            Budget { connections: 1, flows: 1, pipes: 0, watches: 0 }
        );
    }
}
