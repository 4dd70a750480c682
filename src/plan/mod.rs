//! What we will do: total and resolved, nothing left to default or to look up in the file.
//!
//! A plan holds no socket and no clock. It is compared with the one before it to find out what a reload changes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::LogSettings;
use crate::limits::Limits;
use crate::transport::{BindPolicy, Dial};

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
    /// The addresses it listens on, in the order written; port 0 lets the kernel choose.
    pub listen: Vec<SocketAddr>,
    /// What it dials, and with which patience.
    pub dial: Dial,
    /// What a failed bind means.
    pub bind: BindPolicy,
    /// How long a reset waits for what the other side has not acknowledged yet.
    pub reset_linger: Duration,
}

/// Every route by its name.
pub type Routes = BTreeMap<RouteName, Arc<Route>>;

/// Everything a configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The routes.
    pub routes: Routes,
    /// The bounds of the whole process.
    pub limits: Limits,
    /// How records and lines are written.
    pub log: LogSettings,
}
