//! A route, resolved, and the plan that all routes of a configuration make up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::hello::HelloRules;
use super::id::{RouteName, Source};
use crate::acl::Access;
use crate::address::{ListenAddress, Protocol, Run, TargetAddress};
use crate::balance::{Balance, HealthRules, Part, Role};
use crate::config::{NamedFile, Stamp};
use crate::ledger::LogSettings;
use crate::limits::{EntryLimits, FlowLimits, Limits, SessionLimits};
use crate::proxy_protocol::HeaderRules;
use crate::transport::tls::{TlsOrigination, TlsTermination};
use crate::transport::{BindPolicy, Destination, Dial, Reach, SocketFile, Upkeep};

/// One named rule: where it listens, what it dials, and how. It never changes; a reload makes a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: RouteName,
    /// The addresses it listens on, in the order written, each port of a range on its own. The client of the n-th is
    /// carried to one of `targets_at(n)`.
    pub listen: Vec<ListenAddress>,
    /// What it carries.
    pub carries: Carries,
    /// What it dials, at least one, in the order written; those that a hello chooses come last.
    pub targets: Vec<Target>,
    /// What a hello chooses of them; `None` where none is looked at.
    pub hello: Option<HelloRules>,
    /// The rule by which one of several is chosen.
    pub balance: Balance,
    /// With which patience it dials, and from where.
    pub dial: Dial,
    /// What a failed bind means.
    pub bind: BindPolicy,
    /// What the files of its Unix listeners are given.
    pub socket_file: SocketFile,
    /// When the kernel gives up a connection whose other end is gone.
    pub upkeep: Upkeep,
    /// How long a reset waits for what the other side has not acknowledged yet.
    pub reset_linger: Duration,
    /// Who may connect.
    pub access: Access,
    /// How many may, and how fast.
    pub entry: EntryLimits,
    /// What it does with PROXY headers.
    pub proxy: HeaderRules,
    /// How it is found out whether a target takes connections.
    pub health: HealthRules,
    /// TLS with its clients, where they speak it.
    pub tls: Option<Arc<TlsTermination>>,
    /// TLS with its targets, where they speak it.
    pub target_tls: Option<Arc<TlsOrigination>>,
}

impl Route {
    /// What the client of the n-th listener is carried to, each with its part.
    pub fn targets_at(&self, n: usize) -> impl Iterator<Item = (Destination, Part)> {
        self.targets.iter().map(move |target| (target.address.at(n), target.part))
    }

    /// After how many listeners the targets come round again, at least 1: the length of their ranges.
    pub fn places(&self) -> usize {
        self.targets.iter().map(|target| target.address.count()).max().unwrap_or(1)
    }

    /// Every address that new clients may be carried to, of ranges each.
    pub fn every_target(&self) -> impl Iterator<Item = Destination> {
        let open = self.targets.iter().filter(|target| target.part.role != Role::Drained);
        open.flat_map(|target| target.address.each())
    }
}

/// One of a route's targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is dialled; of a range, each for its own listener.
    pub address: Run<Destination>,
    /// The part it has beside the others.
    pub part: Part,
}

impl Target {
    /// One that is reached in a way of its own. No configuration says so; see [`Route::with_targets`].
    pub fn custom(reach: impl Reach + 'static) -> Target {
        Target { address: Destination::custom(reach).into(), part: Part::default() }
    }
}

impl From<TargetAddress> for Target {
    fn from(address: TargetAddress) -> Self {
        Target { address: Destination::from(address).into(), part: Part::default() }
    }
}

/// What a route carries, with what only that has.
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

/// Every route by its name.
pub type Routes = BTreeMap<RouteName, Arc<Route>>;

/// Everything a configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Who declares its routes: the file, or the command line where there is none.
    pub source: Source,
    /// The routes.
    pub routes: Routes,
    /// The bounds of the whole process.
    pub limits: Limits,
    /// How records and lines are written.
    pub log: LogSettings,
    /// What its own file was just before it was read, where it was read from one.
    pub stamp: Option<Stamp>,
    /// Files that the configuration names and that have been read for it: a change of one is a change of it. Sorted.
    pub files: Vec<NamedFile>,
}
