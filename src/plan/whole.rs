//! The plan that all routes and tunnels of a configuration make up.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::id::{RouteName, Source};
use super::route::Route;
use super::tunnel::Tunnels;
use crate::config::{NamedFile, Stamp};
use crate::ledger::LogSettings;
use crate::limits::Limits;

/// Every route by its name.
pub type Routes = BTreeMap<RouteName, Arc<Route>>;

/// Everything a configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The source of its routes: the file, or the command line if there is none.
    pub source: Source,
    /// The routes.
    pub routes: Routes,
    /// The limits of the whole process.
    pub limits: Limits,
    /// The tunnels.
    pub tunnels: Tunnels,
    /// How records and lines are written.
    pub log: LogSettings,
    /// The state of its own file just before it was read; `None` if it was not read from a file.
    pub stamp: Option<Stamp>,
    /// The files that the configuration names and that were read for it, sorted: a change of any is a change of the
    /// configuration.
    pub files: Vec<NamedFile>,
}
