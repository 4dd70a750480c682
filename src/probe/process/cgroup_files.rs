//! Reads the files of a process's cgroups: version 2, version 1, or both on one machine (cgroups(7)).

use std::path::{Path, PathBuf};

use crate::probe::read_text;

const ROOT: &str = "/sys/fs/cgroup";
/// The mount point of version 2 beside version 1.
const UNIFIED: &str = "/sys/fs/cgroup/unified";
const MAX_FILE: u64 = 16 * 1024;

/// The cgroup directories of one process, as /proc/PID/cgroup lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupFiles {
    /// (controllers, path); version 2 has no controllers here.
    lines: Vec<(String, String)>,
}

impl GroupFiles {
    /// The directories of a process; none if they cannot be read.
    pub(crate) fn of(pid: u32) -> GroupFiles {
        GroupFiles::read(&read_text(format!("/proc/{pid}/cgroup"), MAX_FILE).unwrap_or_default())
    }

    fn read(text: &str) -> GroupFiles {
        let line = |line: &str| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
        };
        // The kernel marks a directory that was removed under its last process; it has no files.
        let lines = text.lines().filter(|line| !line.ends_with(" (deleted)")).filter_map(line);
        GroupFiles { lines: lines.filter(|(_, path)| !path.split('/').any(|part| part == "..")).collect() }
    }

    /// The content of a file, named `unified` in version 2 and `legacy` in version 1's hierarchy of `controller`.
    pub(crate) fn file(&self, controller: &str, unified: &str, legacy: &str) -> Option<String> {
        self.legacy(controller)
            .and_then(|directory| read_text(directory.join(legacy), MAX_FILE).ok())
            .or_else(|| read_text(self.unified()?.join(unified), MAX_FILE).ok())
    }

    /// Whether its processes are frozen: they do not run and handle no signal.
    pub(crate) fn frozen(&self) -> bool {
        let legacy = self.legacy("freezer").and_then(|at| read_text(at.join("freezer.state"), 64).ok());
        let unified = self.unified().and_then(|at| read_text(at.join("cgroup.events"), MAX_FILE).ok());
        legacy.is_some_and(|state| state.trim() == "FROZEN")
            || unified.is_some_and(|events| number(&events, "frozen") == Some(1))
    }

    fn legacy(&self, controller: &str) -> Option<PathBuf> {
        let (_, path) =
            self.lines.iter().find(|(names, _)| names.split(',').any(|name| name == controller))?;
        Some(Path::new(ROOT).join(controller).join(path.trim_start_matches('/')))
    }

    fn unified(&self) -> Option<PathBuf> {
        let (_, path) = self.lines.iter().find(|(names, _)| names.is_empty())?;
        let root = if Path::new(UNIFIED).is_dir() { UNIFIED } else { ROOT };
        Some(Path::new(root).join(path.trim_start_matches('/')))
    }
}

/// The number in the line `name 7`.
pub(crate) fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The root folders of version 2 and of version 1's memory hierarchy.
pub(crate) fn memory_roots() -> [PathBuf; 2] {
    let unified = if Path::new(UNIFIED).is_dir() { UNIFIED } else { ROOT };
    [PathBuf::from(unified), Path::new(ROOT).join("memory")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_told_apart_and_a_path_cannot_climb() {
        let cgroups =
            GroupFiles::read("6:freezer:/box\n4:cpu,cpuacct:/a\n1:name=systemd:/../../etc\n0::/user.slice\n");

        assert_eq!(cgroups.legacy("freezer").unwrap(), Path::new("/sys/fs/cgroup/freezer/box"));
        assert_eq!(cgroups.legacy("cpuacct").unwrap(), Path::new("/sys/fs/cgroup/cpuacct/a"));
        assert_eq!(cgroups.legacy("name=systemd"), None);
        assert!(cgroups.unified().unwrap().ends_with("user.slice"));
    }

    #[test]
    fn this_process_is_not_frozen() {
        assert!(!GroupFiles::of(std::process::id()).frozen());
    }
}
