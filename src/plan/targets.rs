//! Whether the targets of one list fit together.
//!
//! A list with a single target is no problem, even with `balance`: removing a target for a while must not require
//! removing
//! `balance` as well.

use std::collections::HashMap;
use std::fmt;

use super::draft::Draft;
use super::{Route, Target};
use crate::address::{Protocol, TargetAddress};
use crate::balance::{Part, Role};
use crate::config::{Place, Problem, WrittenTarget};

/// Why a route cannot have other targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTargets {
    /// There are none.
    None,
    /// Its clients choose by name, and the names refer to the targets it has.
    ByName,
    /// It carries datagrams, and one of the targets is a custom one, which cannot carry datagrams yet.
    Datagrams,
}

impl fmt::Display for BadTargets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadTargets::None => "a route has at least one target",
            BadTargets::ByName => "the names of the route refer to the targets it has",
            BadTargets::Datagrams => "not supported yet: a custom target for a UDP route",
        })
    }
}

impl std::error::Error for BadTargets {}

impl Route {
    /// The same route with other targets, for code that has its own.
    ///
    /// # Errors
    /// [`BadTargets`], if the route cannot have these targets.
    pub fn with_targets(&self, targets: Vec<Target>) -> Result<Route, BadTargets> {
        let is_custom = |target: &Target| target.address.first().reach().is_some();
        if targets.is_empty() {
            return Err(BadTargets::None);
        }
        if self.hello.is_some() {
            return Err(BadTargets::ByName);
        }
        if self.carries.protocol() == Protocol::Udp && targets.iter().any(is_custom) {
            return Err(BadTargets::Datagrams);
        }
        Ok(Route { targets, ..self.clone() })
    }
}

/// A target with its part filled in.
pub(super) fn resolved(draft: &Draft, written: &WrittenTarget) -> Target {
    let weight = written.weight.as_ref().map_or(1, |weight| weight.value);
    let part = Part { weight, role: role(written), most: most(written) };
    Target { address: written.address.value.map(|first| draft.destination(first)), part }
}

/// The limit of its sessions.
pub(super) fn most(written: &WrittenTarget) -> Option<usize> {
    written.most.as_ref().and_then(|most| most.value.0)
}

fn role(written: &WrittenTarget) -> Role {
    let is_set = |key: &Option<crate::config::Written<bool>>| key.as_ref().is_some_and(|it| it.value);
    match (is_set(&written.drain), is_set(&written.backup)) {
        (true, _) => Role::Drained,
        (false, true) => Role::Backup,
        (false, false) => Role::Primary,
    }
}

/// Adds a problem for each target that is listed twice, and for a list from which no target would ever be chosen.
pub(super) fn check(list: &[WrittenTarget], problems: &mut Vec<Problem>) {
    twice(list, problems);
    let Some(first) = list.first() else { return };
    let all = |wanted: Role| list.iter().all(|target| role(target) == wanted);
    let key = |key: &str| format!("{}.{key}", first.path);
    if all(Role::Drained) {
        let place = first.drain.as_ref().map_or(&first.address.place, |drain| &drain.place);
        let message = "no target is left for new clients: all of them drain";
        let problem = Problem::new(place.clone(), key("drain"), message);
        problems.push(
            problem.help("leave drain out of one, or leave the whole route out: its sessions continue"),
        );
    } else if all(Role::Backup) {
        let place = first.backup.as_ref().map_or(&first.address.place, |backup| &backup.place);
        let message = "a backup replaces another target, and there is no other here";
        let problem = Problem::new(place.clone(), key("backup"), message);
        problems.push(problem.help("leave backup out of one"));
    }
}

fn twice(list: &[WrittenTarget], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<TargetAddress, &Place> = HashMap::new();
    for WrittenTarget { path, address, .. } in list {
        // If two ranges overlap, each listener still has two different targets.
        match seen.get(address.value.first()) {
            Some(earlier) => {
                let message = format!("{} is listed twice", address.value);
                let problem = Problem::new(address.place.clone(), path.clone(), message);
                let problem = problem.label("again here").also((*earlier).clone(), "first here");
                problems.push(
                    problem.help("leave one out; { address = \"…\", weight = 2 } gives it more clients"),
                );
            }
            None => drop(seen.insert(address.value.first().clone(), &address.place)),
        }
    }
}
