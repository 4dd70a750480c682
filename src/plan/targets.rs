//! Whether targets among which one is chosen fit together.
//!
//! That one target is left of several is no problem: whoever takes one out for a while must not have to take out
//! `balance`, too.

use std::collections::HashMap;
use std::fmt;

use super::{Route, Target};
use crate::address::{Protocol, TargetAddress};
use crate::balance::{Part, Role};
use crate::config::{Place, Problem, WrittenTarget};

/// Why a route cannot have other targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTargets {
    /// There are none.
    None,
    /// Its clients name whom they want, and the names stand for the targets it has.
    ByName,
    /// It carries datagrams, and one of them is reached in a way of its own, which has no datagrams yet.
    Datagrams,
}

impl fmt::Display for BadTargets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadTargets::None => "a route has at least one target",
            BadTargets::ByName => "the names of the route stand for the targets it has",
            BadTargets::Datagrams => "not supported yet: a target of code's own for a UDP route",
        })
    }
}

impl std::error::Error for BadTargets {}

impl Route {
    /// The same route to other targets, as code makes it that has targets of its own.
    ///
    /// # Errors
    /// [`BadTargets`], where the route cannot have them.
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
pub(super) fn resolved(written: WrittenTarget) -> Target {
    let part =
        Part { weight: written.weight.as_ref().map_or(1, |weight| weight.value), role: role(&written) };
    Target { address: written.address.value.map(|first| first.clone().into()), part }
}

fn role(written: &WrittenTarget) -> Role {
    let says = |key: &Option<crate::config::Written<bool>>| key.as_ref().is_some_and(|it| it.value);
    match (says(&written.drain), says(&written.backup)) {
        (true, _) => Role::Drained,
        (false, true) => Role::Backup,
        (false, false) => Role::Primary,
    }
}

/// Adds a problem for each target that stands there twice, and for a list in which nobody would be chosen.
pub(super) fn check(list: &[WrittenTarget], problems: &mut Vec<Problem>) {
    twice(list, problems);
    let Some(first) = list.first() else { return };
    let all = |wanted: Role| list.iter().all(|target| role(target) == wanted);
    let key = |key: &str| format!("{}.{key}", first.path);
    if all(Role::Drained) {
        let place = first.drain.as_ref().map_or(&first.address.place, |drain| &drain.place);
        let message = "no target is left for new clients: every one of them drains";
        let problem = Problem::new(place.clone(), key("drain"), message);
        problems
            .push(problem.help("leave drain out of one, or take the whole route out: its sessions live on"));
    } else if all(Role::Backup) {
        let place = first.backup.as_ref().map_or(&first.address.place, |backup| &backup.place);
        let message = "a backup stands in for another target, and here is no other";
        let problem = Problem::new(place.clone(), key("backup"), message);
        problems.push(problem.help("leave backup out of one"));
    }
}

fn twice(list: &[WrittenTarget], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<TargetAddress, &Place> = HashMap::new();
    for WrittenTarget { path, address, .. } in list {
        // Of two ranges that overlap, each listener still meets two different targets.
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
