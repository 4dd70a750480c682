//! Finds processes that the kernel killed because memory ran out: from its log, which root may read, and from the
//! counters of empty cgroups.

use std::fs;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use super::cgroup_files::{memory_roots, number};
use crate::probe::read_text;
use crate::units::shown;

/// A process that the kernel killed for lack of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Its pid in the initial PID namespace; `None` if only its cgroup counted the kill.
    pub pid: Option<u32>,
    /// Its short name; empty if unknown.
    pub comm: String,
    /// The time since the kill, at most.
    pub ago: Duration,
    /// Its cgroup, as a path within the hierarchy; empty if unknown.
    pub cgroup: String,
    /// The memory limit of that cgroup in bytes, if the cgroup still exists.
    pub limit: Option<u64>,
    /// Whether that cgroup is empty; `None` if it no longer exists.
    pub group_empty: Option<bool>,
}

/// The kills that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kills {
    /// The latest first.
    pub kills: Vec<Kill>,
    /// Whether the kernel's log could be read.
    pub log_readable: bool,
}

/// The age up to which a kill can explain a present fault.
const RECENT: Duration = Duration::from_secs(600);
/// The most records read. The log usually holds a few thousand.
const MAX_RECORDS: usize = 50_000;
/// The most directories of the memory hierarchy visited.
const MAX_DIRECTORIES: usize = 2048;

/// Kills of the last ten minutes.
pub fn recent_kills() -> Kills {
    let (mut kills, log_readable) = match from_log() {
        Ok(kills) => (kills, true),
        Err(_) => (from_cgroups(), false),
    };
    kills.sort_by_key(|kill| kill.ago);
    Kills { kills, log_readable }
}

fn from_log() -> io::Result<Vec<Kill>> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut log = OpenOptions::new().read(true).custom_flags(nonblock).open("/dev/kmsg")?;
    let now = clock_gettime(ClockId::Monotonic);
    let now = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32);
    let mut reader = LogReader::default();
    let mut record = vec![0; 8192];
    for _ in 0..MAX_RECORDS {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => reader.take(&String::from_utf8_lossy(&record[..length]), now),
            // EPIPE: a record was overwritten before it was read; the next read continues after it.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(reader.kills)
}

/// Combines the two log lines of a kill: one names the cgroup, the other the process.
#[derive(Default)]
struct LogReader {
    cgroup: String,
    kills: Vec<Kill>,
}

impl LogReader {
    /// `6,1234,5678901,-;text`: priority, sequence, microseconds since boot, flags.
    fn take(&mut self, record: &str, now: Duration) {
        let Some((head, text)) = record.split_once(';') else { return };
        let text = text.lines().next().unwrap_or_default();
        if text.starts_with("oom-kill:") {
            let group = text.split(',').find_map(|field| field.strip_prefix("task_memcg="));
            group.unwrap_or_default().clone_into(&mut self.cgroup);
        }
        let Some((_, killed)) = text.split_once("Killed process ") else { return };
        let written = head.split(',').nth(2).and_then(|time| time.parse().ok()).map(Duration::from_micros);
        let ago = written.map_or(Duration::MAX, |written| now.saturating_sub(written));
        let cgroup = std::mem::take(&mut self.cgroup);
        if ago <= RECENT {
            self.kills.push(kill(killed, ago, cgroup));
        }
    }
}

/// `123 (python3) total-vm:…`
fn kill(killed: &str, ago: Duration, cgroup: String) -> Kill {
    let (pid, rest) = killed.split_once(' ').unwrap_or((killed, ""));
    let name = rest.trim_start_matches('(').split(") ").next().unwrap_or_default();
    let name = name.trim_end_matches([')', ',']);
    let (limit, group_empty) = group(&cgroup);
    Kill {
        pid: pid.parse().ok(),
        comm: shown(name, 32),
        ago,
        cgroup: shown(&cgroup, 160),
        limit,
        group_empty,
    }
}

/// The limit of a cgroup and whether it is empty, by its path within the hierarchy.
fn group(path: &str) -> (Option<u64>, Option<bool>) {
    let relative = path.trim_start_matches('/');
    if relative.is_empty() || relative.split('/').any(|part| part == "..") {
        return (None, None);
    }
    let standing = memory_roots().into_iter().map(|root| root.join(relative)).find(|at| at.is_dir());
    standing.map_or((None, None), |at| (memory_limit(&at), Some(is_empty(&at))))
}

fn memory_limit(at: &Path) -> Option<u64> {
    let files = ["memory.max", "memory.limit_in_bytes"];
    let limit =
        files.iter().find_map(|file| read_text(at.join(file), 64).ok()?.trim().parse::<u64>().ok())?;
    // Version 1 expresses "no limit" as the largest number of pages.
    (limit < 1 << 60).then_some(limit)
}

fn is_empty(at: &Path) -> bool {
    read_text(at.join("cgroup.procs"), 64).is_ok_and(|pids| pids.trim().is_empty())
}

/// Without the log: recently created cgroups in which a process was killed for memory and none is left.
fn from_cgroups() -> Vec<Kill> {
    let mut kills = Vec::new();
    for root in memory_roots() {
        let mut waiting: Vec<PathBuf> = vec![root.clone()];
        let mut looked = 0;
        while let Some(at) = waiting.pop() {
            looked += 1;
            if looked > MAX_DIRECTORIES {
                break;
            }
            kills.extend(kill_in(&root, &at));
            let Ok(entries) = fs::read_dir(&at) else { continue };
            waiting.extend(
                entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()),
            );
        }
    }
    kills
}

fn kill_in(root: &Path, at: &Path) -> Option<Kill> {
    let events = read_text(at.join("memory.events.local"), 4096)
        .or_else(|_| read_text(at.join("memory.events"), 4096))
        .or_else(|_| read_text(at.join("memory.oom_control"), 4096))
        .ok()?;
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(fs::metadata(at).ok()?.ctime().unsigned_abs());
    let ago = SystemTime::now().duration_since(made).unwrap_or_default();
    let killed =
        events.lines().any(|line| line.starts_with("oom_kill ")) && number(&events, "oom_kill ") > Some(0);
    let path = at.strip_prefix(root).ok()?.to_string_lossy().into_owned();
    (killed && ago <= RECENT && !path.is_empty() && is_empty(at)).then(|| Kill {
        pid: None,
        comm: String::new(),
        ago,
        cgroup: shown(&format!("/{path}"), 160),
        limit: memory_limit(at),
        group_empty: Some(true),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_kill_is_put_together_from_its_two_records() {
        let mut reader = LogReader::default();
        let now = Duration::from_secs(100);
        reader.take("6,1,90000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/box,task_memcg=/box/of,task=python3,pid=7,uid=0\n", now);
        reader.take("3,2,90000100,-;Memory cgroup out of memory: Killed process 7 (pyt) hon) total-vm:1kB, anon-rss:2kB\n", now);

        let [kill] = &reader.kills[..] else { panic!("{:?}", reader.kills) };
        assert_eq!((kill.pid, kill.cgroup.as_str()), (Some(7), "/box/of"));
        assert_eq!(kill.ago.as_secs(), 9);
        assert!(kill.comm.starts_with("pyt"));
    }

    #[test]
    fn an_old_kill_explains_nothing() {
        let mut reader = LogReader::default();

        reader.take("3,2,1000,-;Out of memory: Killed process 7 (x) total-vm:1kB", Duration::from_secs(7200));

        assert!(reader.kills.is_empty());
    }

    #[test]
    fn this_machine_can_be_asked() {
        let _ = recent_kills();
        assert_eq!(group("/../../etc"), (None, None));
    }

    proptest! {
        #[test]
        fn no_record_panics(record in ".*", killed in ".*") {
            let mut reader = LogReader::default();
            reader.take(&record, Duration::from_secs(10));
            reader.take(&format!("3,2,9000000,-;x Killed process {killed}"), Duration::from_secs(10));
            for kill in reader.kills {
                prop_assert!(!kill.comm.contains(char::is_control));
            }
        }
    }
}
