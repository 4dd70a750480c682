//! How many descriptors this process may have and has. The only function here that changes anything raises this
//! process's own soft limit.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

/// The descriptors of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Descriptors {
    /// The soft limit; `None` is no limit (getrlimit(2), RLIMIT_NOFILE).
    pub soft: Option<u64>,
    /// The hard limit, up to which it may raise the soft limit; `None` is no limit.
    pub hard: Option<u64>,
    /// The number in use; `None` if it cannot be counted, for example because no descriptor is left to count with.
    pub used: Option<u64>,
}

/// The limits and use of descriptors of this process.
pub fn descriptors() -> Descriptors {
    let limit = getrlimit(Resource::Nofile);
    // The open directory is itself one of them.
    let used = fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as u64).saturating_sub(1));
    Descriptors { soft: limit.current, hard: limit.maximum, used }
}

/// Raises the soft limit of descriptors to the hard limit, which needs no privilege, and returns the new soft limit;
/// `None` is no limit.
///
/// The default soft limit of 1024 exists for select(2), which this program never calls.
///
/// # Errors
/// The errno of setrlimit(2).
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
