//! Finds the processes of a control group by the group's id: the inode of its directory (cgroups(7), version 2).
//!
//! The kernel reports the id with every socket; a walk over the directories turns it back into a path.

use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::probe::read_text;

const MAX_MOUNTS: u64 = 1 << 20;
const MAX_MEMBERS: u64 = 1 << 20;
const MAX_SMALL_FILE: u64 = 8 * 1024;
/// The most groups visited; a machine with more is searched in part.
const MAX_GROUPS: usize = 8192;

/// The processes of the group with this id, without child groups; `None` if the group is not found, is the root group
/// (which distinguishes nothing), or the deadline passes first.
pub(crate) fn members(id: u64, deadline: Instant) -> Option<Vec<u32>> {
    let root = mount()?;
    if fs::metadata(&root).ok()?.ino() == id {
        return None;
    }
    let processes = read_text(find(&root, id, deadline)?.join("cgroup.procs"), MAX_MEMBERS).ok()?;
    // A process outside this PID namespace is listed as 0.
    Some(processes.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid != 0).collect())
}

/// The id of a process's group.
pub(crate) fn of(pid: u32) -> Option<u64> {
    let lines = read_text(format!("/proc/{pid}/cgroup"), MAX_SMALL_FILE).ok()?;
    let path = lines.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(fs::metadata(mount()?.join(path)).ok()?.ino())
}

/// The mount point of version 2: /sys/fs/cgroup, or a folder below it beside version 1.
fn mount() -> Option<PathBuf> {
    let mounts = read_text("/proc/self/mounts", MAX_MOUNTS).ok()?;
    let mount = |line: &str| {
        let mut fields = line.split(' ');
        let path = fields.nth(1)?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(path))
    };
    mounts.lines().find_map(mount)
}

/// Searches breadth first, because services are near the root. A directory entry holds its inode, so only folders are
/// opened.
fn find(root: &Path, id: u64, deadline: Instant) -> Option<PathBuf> {
    let mut folders = std::collections::VecDeque::from([root.to_owned()]);
    let mut seen = 0;
    while let Some(folder) = folders.pop_front() {
        if Instant::now() >= deadline || seen > MAX_GROUPS {
            return None;
        }
        for entry in subfolders(&folder).into_iter().flatten() {
            if entry.ino() == id {
                return Some(entry.path());
            }
            seen += 1;
            folders.push_back(entry.path());
        }
    }
    None
}

fn subfolders(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(fs::read_dir(folder)?.filter_map(Result::ok).filter(is_folder).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_folder_is_found_by_its_inode() {
        let root = tempfile::tempdir().unwrap();
        let wanted = root.path().join("system.slice/web.service");
        fs::create_dir_all(&wanted).unwrap();
        fs::create_dir(root.path().join("user.slice")).unwrap();
        let id = fs::metadata(&wanted).unwrap().ino();
        let later = Instant::now() + Duration::from_secs(60);

        assert_eq!(find(root.path(), id, later), Some(wanted));
        assert_eq!(find(root.path(), 0, later), None);
        assert_eq!(find(root.path(), id, Instant::now()), None);
    }
}
