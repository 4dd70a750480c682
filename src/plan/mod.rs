//! What we will do: total and resolved, nothing left to default or to look up in the file.
//!
//! A plan holds no socket and no clock. It is compared with the one before it to find out what a reload changes.

mod build;
mod diff;
mod draft;
mod entry;
mod exposure;
mod files;
mod find;
mod headers;
mod health;
mod hello;
mod id;
mod lists;
mod loops;
mod merge;
mod overlap;
mod session_limits;
mod targets;
mod tls;
mod validate;
mod warnings;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use diff::{Change, diff, keep_equal, unchangeable};
pub use find::{default_file, find_file};
pub use hello::{Among, HelloRules};
pub use id::{BadSourceName, RouteId, Source};
pub use loops::{IsHere, loops};
pub use overlap::{Listeners, Met};
pub use warnings::{Caution, cautions, certificates};

use crate::acl::Access;
use crate::address::{ListenAddress, Protocol, Run, TargetAddress};
use crate::balance::{Balance, HealthRules, Part, Role};
use crate::config::{NamedFile, Place, Problem, Problems, Stamp, Whole, read, read_file};
use crate::ledger::LogSettings;
use crate::limits::{EntryLimits, FlowLimits, Limits, SessionLimits};
use crate::proxy_protocol::HeaderRules;
use crate::transport::tls::{TlsOrigination, TlsTermination};
use crate::transport::{BindPolicy, Dial, SocketFile, Upkeep};

/// The name of a route, unique in its file by TOML's own syntax.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteName(pub Arc<str>);

impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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
    /// What works in it and should be known all the same.
    pub fn cautions(&self, now: SystemTime) -> Vec<Caution> {
        warnings::of(self, now)
    }

    /// What the client of the n-th listener is carried to, each with its part.
    pub fn targets_at(&self, n: usize) -> impl Iterator<Item = (TargetAddress, Part)> {
        self.targets.iter().map(move |target| (target.address.at(n), target.part))
    }

    /// After how many listeners the targets come round again, at least 1: the length of their ranges.
    pub fn places(&self) -> usize {
        self.targets.iter().map(|target| target.address.count()).max().unwrap_or(1)
    }

    /// Every address that new clients may be carried to, of ranges each.
    pub fn every_target(&self) -> impl Iterator<Item = TargetAddress> {
        let open = self.targets.iter().filter(|target| target.part.role != Role::Drained);
        open.flat_map(|target| target.address.each())
    }
}

/// One of a route's targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is dialled; of a range, each for its own listener.
    pub address: Run<TargetAddress>,
    /// The part it has beside the others.
    pub part: Part,
}

impl From<TargetAddress> for Target {
    fn from(address: TargetAddress) -> Self {
        Target { address: address.into(), part: Part::default() }
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

/// Where a plan comes from; at least one of the two gives a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The file to read.
    pub file: Option<PathBuf>,
    /// Routes of the command line, each `[bind:]port:[host:]port`.
    pub forwards: Vec<String>,
}

/// Reads the file and the command line into a plan, or tells every problem of both.
pub fn load(sources: &Sources) -> Result<Plan, Problems> {
    let Some(path) = &sources.file else { return parse("", "", &sources.forwards) };
    let name = path.display().to_string();
    let stamp = Stamp::of(path);
    match read_file(path) {
        Ok(text) => Ok(Plan { stamp, ..parse(&name, &text, &sources.forwards)? }),
        Err(problem) => Err(Problems::new(&name, "", vec![*problem])),
    }
}

/// Makes a plan of a text and the routes of the command line, or tells every problem of both. `file_name` is what
/// problems call the text; empty, if there is none and the command line alone speaks. Files that the text includes or
/// names are read, from its folder on.
pub fn parse(file_name: &str, text: &str, forwards: &[String]) -> Result<Plan, Problems> {
    let mut problems = Vec::new();
    // A broken text leaves the command line to be checked.
    let Whole { config, texts, files } = read(file_name, text, &mut problems);
    let plan = build::build(config, forwards, &texts, files, &mut problems);
    let plan = Plan { source: source(file_name), ..plan };
    if problems.is_empty() && plan.routes.is_empty() {
        problems.push(no_routes(file_name));
    }
    if problems.is_empty() {
        return Ok(plan);
    }
    Err(Problems::of(texts, problems).naming(plan.files))
}

fn source(file_name: &str) -> Source {
    if file_name.is_empty() { Source::command_line() } else { Source::file() }
}

fn no_routes(file_name: &str) -> Problem {
    let help = match file_name {
        "" => "give one, as 8080:3000, or a file with -c FILE".to_owned(),
        _ => "add [routes.NAME] with listen and target, or give one on the command line, as 8080:3000"
            .to_owned(),
    };
    Problem::new(Place::File, "", "there are no routes, so there is nothing to do").help(help)
}
