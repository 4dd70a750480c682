//! A route, resolved.

use std::sync::Arc;
use std::time::Duration;

use super::hello::HelloRules;
use super::id::RouteName;
use crate::acl::Access;
use crate::address::{ListenAddress, Protocol, Run, TargetAddress};
use crate::balance::{Balance, HealthRules, Part, Role};
use crate::limits::{EntryLimits, FlowLimits, SessionLimits};
use crate::proxy_protocol::HeaderRules;
use crate::transport::tls::{TlsOrigination, TlsTermination};
use crate::transport::{BindPolicy, Destination, Dial, Reach, SocketFile, Upkeep};

/// One named rule: where it listens, what it dials, and how. It never changes; a reload makes a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: RouteName,
    /// The addresses it listens on, in the order written, each port of a range separately. The client of the n-th is
    /// carried to one of `targets_at(n)`.
    pub listen: Vec<ListenAddress>,
    /// What it carries.
    pub carries: Carries,
    /// Its targets, at least one, in the order written; those that a hello chooses come last.
    pub targets: Vec<Target>,
    /// How a hello chooses among them; `None` if the route reads no hello.
    pub hello: Option<HelloRules>,
    /// The rule by which one of several is chosen.
    pub balance: Balance,
    /// How many other targets are tried for a client that one has failed; `None` tries each.
    pub next_target: Option<usize>,
    /// How long it tries to connect, and from which address.
    pub dial: Dial,
    /// What happens if an address cannot be bound.
    pub bind: BindPolicy,
    /// The mode and owner of the files of its Unix listeners.
    pub socket_file: SocketFile,
    /// When the kernel gives up a connection whose peer is gone.
    pub upkeep: Upkeep,
    /// How long a reset waits for bytes that the other side has not acknowledged yet.
    pub reset_linger: Duration,
    /// Which clients may connect.
    pub access: Access,
    /// How many clients may connect, and how fast.
    pub entry: EntryLimits,
    /// What it does with PROXY headers.
    pub proxy: HeaderRules,
    /// How Loopgate finds out whether a target accepts connections.
    pub health: HealthRules,
    /// TLS with its clients, if they use it.
    pub tls: Option<Arc<TlsTermination>>,
    /// TLS with its targets, if they use it.
    pub target_tls: Option<Arc<TlsOrigination>>,
}

impl Route {
    /// The targets of the n-th listener's clients, each with its part.
    pub fn targets_at(&self, n: usize) -> impl Iterator<Item = (Destination, Part)> {
        self.targets.iter().map(move |target| (target.address.at(n), target.part))
    }

    /// After how many listeners the targets repeat, at least 1: the length of their ranges.
    pub fn places(&self) -> usize {
        self.targets.iter().map(|target| target.address.count()).max().unwrap_or(1)
    }

    /// Every address that new clients may be carried to, each port of a range separately.
    pub fn every_target(&self) -> impl Iterator<Item = Destination> {
        let open = self.targets.iter().filter(|target| target.part.role != Role::Drained);
        open.flat_map(|target| target.address.each())
    }
}

/// One of a route's targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address to dial; in a range, one for each listener.
    pub address: Run<Destination>,
    /// Its weight and role among the targets.
    pub part: Part,
}

impl Target {
    /// A target that code reaches in its own way. No configuration can express it; see [`Route::with_targets`].
    pub fn custom(reach: impl Reach + 'static) -> Target {
        Target { address: Destination::custom(reach).into(), part: Part::default() }
    }
}

impl From<TargetAddress> for Target {
    fn from(address: TargetAddress) -> Self {
        Target { address: Destination::from(address).into(), part: Part::default() }
    }
}

/// What a route carries, with the limits that only this protocol has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carries {
    /// Connections.
    Tcp(SessionLimits),
    /// Datagrams, in flows.
    Udp(FlowLimits),
}

impl Carries {
    /// The protocol alone.
    pub fn protocol(&self) -> Protocol {
        match self {
            Carries::Tcp(_) => Protocol::Tcp,
            Carries::Udp(_) => Protocol::Udp,
        }
    }
}
