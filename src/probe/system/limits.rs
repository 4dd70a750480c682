//! How many descriptors this process may have and has, and the one act of this room: raising its own soft limit.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

/// The descriptors of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Descriptors {
    /// How many it may have now; `None` is no limit (getrlimit(2), RLIMIT_NOFILE).
    pub soft: Option<u64>,
    /// How far it may raise that by itself.
    pub hard: Option<u64>,
    /// How many it has; `None` where that cannot be counted, as when there is not one left to count with.
    pub used: Option<u64>,
}

/// The descriptors of this process, limit and use.
pub fn descriptors() -> Descriptors {
    let limit = getrlimit(Resource::Nofile);
    // The directory that is read is itself one of them.
    let used = fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as u64).saturating_sub(1));
    Descriptors { soft: limit.current, hard: limit.maximum, used }
}

/// Raises the soft limit of descriptors to the hard one, which needs no right, and returns what then holds.
///
/// The soft limit of 1024 is there for select(2), which this program never calls.
pub fn raise_descriptors() -> io::Result<Option<u64>> {
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
    fn an_open_file_is_counted() {
        let file = fs::File::open("/proc/self/exe").unwrap();

        let counted = descriptors();

        drop(file);
        assert!(counted.used.unwrap() >= 1);
        assert!(counted.soft.is_none_or(|soft| counted.used.unwrap() <= soft));
    }
}
