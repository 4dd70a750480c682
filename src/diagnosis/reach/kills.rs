//! Which process killed for memory was the service: the kernel keeps no record of what ports it had. Pure.

use std::time::Duration;

use super::facts::ReachFacts;
use crate::probe::process::memory::Kill;

/// A kill of longer ago, or one that left its service alive, explains no port that is empty now.
const MOMENTS_AGO: Duration = Duration::from_secs(60);
/// Shorter names fit too much.
const LEAST_NAME: usize = 4;

/// The process killed for memory that the verdict is about: the kernel keeps no record of what ports it had.
pub(super) fn killed(facts: &ReachFacts) -> Option<&Kill> {
    killed_by_name(facts).or_else(|| the_only_one_gone(facts))
}

/// One whose name, or whose unit's, is that of the service which the port is known for.
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

/// By elimination: moments ago one service of this machine lost its last process to memory, nobody has started it again,
/// and nothing else was found.
pub(super) fn the_only_one_gone(facts: &ReachFacts) -> Option<&Kill> {
    let mut gone = recent(facts).filter(|kill| kill.group_empty == Some(true));
    let only = gone.next()?;
    gone.all(|other| other.cgroup == only.cgroup).then_some(only)
}

/// The latest kill of which nothing says that it was this service: worth a look, and no verdict.
pub(super) fn perhaps_killed(facts: &ReachFacts) -> Option<&Kill> {
    recent(facts).find(|kill| kill.group_empty != Some(false))
}

fn recent(facts: &ReachFacts) -> impl Iterator<Item = &Kill> {
    facts.absent.kills.kills.iter().filter(|kill| kill.ago < MOMENTS_AGO)
}
