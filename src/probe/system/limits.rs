//! How many descriptors this process may have and has. The only function here that changes anything raises this
//! process's own soft limit.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use crate::sys;
use crate::sys::refusals::Call;

/// What is assumed where the limit cannot be read: the soft limit that the kernel gives to the first process.
const USUAL: u64 = 1024;

/// The descriptors of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Descriptors {
    /// The soft limit; `None` is no limit (getrlimit(2), RLIMIT_NOFILE).
    pub soft: Option<u64>,
    /// The hard limit, up to which it may raise the soft limit; `None` is no limit.
    pub hard: Option<u64>,
    /// The number in use; `None` if it cannot be counted.
    pub used: Option<u64>,
}

/// The limits and use of descriptors of this process.
pub fn descriptors() -> Descriptors {
    let limit = limit();
    // The open directory is itself one of them. Without /proc, or without a descriptor to read it with, they are counted
    // one by one.
    let listed = fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as u64).saturating_sub(1));
    let used = listed.or_else(|| sys::open_descriptors(limit.current.unwrap_or(u64::MAX)).ok());
    Descriptors { soft: limit.current, hard: limit.maximum, used }
}

/// The processors that this process may use: as many workers as an engine has.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The limit, by getrlimit(2), or by /proc where a filter refuses that (systemd's group @resources has it), or assumed.
fn limit() -> Rlimit {
    if Call::Prlimit64.refusal().is_none() {
        return getrlimit(Resource::Nofile);
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(written_limit).unwrap_or(Rlimit { current: Some(USUAL), maximum: Some(USUAL) })
}

/// The soft and the hard limit in a line of /proc/PID/limits, after its name.
fn written_limit(line: &str) -> Option<Rlimit> {
    let number = |word: &str| match word {
        "unlimited" => Some(None),
        word => word.parse().ok().map(Some),
    };
    let mut words = line.split_ascii_whitespace();
    Some(Rlimit { current: number(words.next()?)?, maximum: number(words.next()?)? })
}

/// Raises the soft limit of descriptors to the hard limit, which needs no privilege, and returns the new soft limit;
/// `None` is no limit.
///
/// The default soft limit of 1024 exists for select(2), which this program never calls.
///
/// # Errors
/// The errno of setrlimit(2).
pub fn raise_descriptors() -> io::Result<Option<u64>> {
    if let Some(error) = Call::Prlimit64.refusal() {
        return Err(error);
    }
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(limit.maximum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_from_proc_as_from_the_call() {
        let limit = |line| written_limit(line).map(|it| (it.current, it.maximum));

        assert_eq!(limit("            1024     524288     files"), Some((Some(1024), Some(524_288))));
        assert_eq!(limit("  unlimited  unlimited  files"), Some((None, None)));
        assert_eq!(limit("  many  more"), None);
    }

    #[test]
    fn the_count_without_proc_is_that_of_proc() {
        let counted = || sys::open_descriptors(descriptors().soft.unwrap_or(u64::MAX)).unwrap();

        // Other tests open and close descriptors meanwhile: the two counts meet once.
        assert!((0..1000).any(|_| descriptors().used == Some(counted())));
    }

    #[test]
    fn an_open_file_is_counted() {
        let file = fs::File::open("/proc/self/exe").unwrap();

        let counted = descriptors();

        drop(file);
        assert!(counted.used.unwrap() >= 1);
        assert!(counted.soft.is_none_or(|soft| counted.used.unwrap() <= soft));
    }
}
