//! Which process that the kernel killed for lack of memory was the service: the kernel keeps no record of the ports it
//! had. Pure.

use std::time::Duration;

use super::facts::ReachFacts;
use crate::probe::process::memory::Kill;

/// A kill longer ago than this, or one that left its service alive, does not explain a port that is empty now.
const MOMENTS_AGO: Duration = Duration::from_secs(60);
/// Shorter names match too much.
const LEAST_NAME: usize = 4;

/// The killed process that the verdict is about.
pub(super) fn killed(facts: &ReachFacts) -> Option<&Kill> {
    killed_by_name(facts).or_else(|| the_only_one_gone(facts))
}

/// A killed process whose name, or whose unit's name, is that of the service the port is known for.
pub(super) fn killed_by_name(facts: &ReachFacts) -> Option<&Kill> {
    let service = facts.absent.usual.as_ref()?.to_ascii_lowercase();
    let is_it = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.len() >= LEAST_NAME
            && service.len() >= LEAST_NAME
            && (name.starts_with(&service) || service.starts_with(&name))
    };
    let unit = |kill: &Kill| kill.cgroup.rsplit('/').next().unwrap_or_default().to_owned();
    let gone = |kill: &&Kill| kill.group_empty != Some(false);
    facts.absent.kills.kills.iter().filter(gone).find(|kill| is_it(&kill.comm) || is_it(&unit(kill)))
}

/// By elimination: exactly one service of this machine just lost its last process to lack of memory, it was not
/// restarted, and no other cause was found.
pub(super) fn the_only_one_gone(facts: &ReachFacts) -> Option<&Kill> {
    let mut gone = recent(facts).filter(|kill| kill.group_empty == Some(true));
    let only = gone.next()?;
    gone.all(|other| other.cgroup == only.cgroup).then_some(only)
}

/// The latest kill without evidence that it was this service: worth mentioning, but no verdict.
pub(super) fn perhaps_killed(facts: &ReachFacts) -> Option<&Kill> {
    recent(facts).find(|kill| kill.group_empty != Some(false))
}

fn recent(facts: &ReachFacts) -> impl Iterator<Item = &Kill> {
    facts.absent.kills.kills.iter().filter(|kill| kill.ago < MOMENTS_AGO)
}
