//! The vital signs of a process: whether it runs, waits or is stopped, and whether it has reached a limit.
//!
//! Every user may read the state, limits and processor time. Only its user and root may read what a thread waits for
//! and how many descriptors are open; for others these are `None`.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::cgroup_files::{GroupFiles, number};
use super::proc_stat::{ProcStat, pids};
use super::threads::{self, Thread};
use crate::probe::read_text;
use crate::units::shown;

/// The vital signs of a process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// The process.
    pub pid: u32,
    /// Its short name.
    pub comm: String,
    /// The letter of its state: `R`, `S`, `D`, `T`, `t`, `Z` (proc_pid_stat(5)).
    pub state: char,
    /// Its threads, at most 256.
    pub threads: Vec<Thread>,
    /// Processor time used by all its threads.
    pub used: Duration,
    /// How long its runnable threads waited for a processor, and how often one was scheduled; zero if the kernel keeps
    /// no account.
    pub queued: Queued,
    /// Its open descriptors.
    pub descriptors: Option<u64>,
    /// Its limit of descriptors; `None` is no limit.
    pub descriptor_limit: Option<u64>,
    /// The debugger that traces it: pid and name.
    pub tracer: Option<(u32, String)>,
    /// Whether its cgroup is frozen.
    pub frozen: bool,
    /// When this was read.
    pub at: Instant,
}

/// The kernel's account of waiting for a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// The time of all threads together.
    pub time: Duration,
    /// How often a thread was scheduled.
    pub turns: u64,
}

/// A limit on the number of processes that is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRoom {
    /// The number of processes.
    pub used: u64,
    /// The limit.
    pub limit: u64,
    /// The owner of the limit, as `user 43210`.
    pub of: String,
}

const MAX_SMALL_FILE: u64 = 16 * 1024;
const MAX_NAME_CHARS: usize = 32;

impl Vitals {
    /// Reads the vital signs of a process.
    ///
    /// # Errors
    /// The process is gone, or /proc hides it.
    pub fn read(pid: u32) -> io::Result<Vitals> {
        let ProcStat { comm, state, used, .. } = ProcStat::of(pid)?;
        let status = read_text(format!("/proc/{pid}/status"), MAX_SMALL_FILE).unwrap_or_default();
        let tracer =
            number(&status, "TracerPid:").and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
        Ok(Vitals {
            pid,
            comm: shown(&comm, MAX_NAME_CHARS),
            state,
            threads: threads::of(pid),
            used,
            queued: queued(pid),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|entries| entries.count() as u64),
            descriptor_limit: limit(pid, "Max open files"),
            tracer: tracer.map(|pid| (pid, name_of(pid))),
            frozen: GroupFiles::of(pid).frozen(),
            at: Instant::now(),
        })
    }

    /// The processors it used on average since an earlier reading, from 0.0 to the number of processors.
    pub fn load_since(&self, earlier: &Vitals) -> f64 {
        let passed = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        if passed <= 0.0 { 0.0 } else { self.used.saturating_sub(earlier.used).as_secs_f64() / passed }
    }

    /// Like [`Vitals::load_since`], including the time it was runnable but queued: on a loaded machine a program that
    /// never waits gets only a share of a processor and queues for the rest.
    pub fn demand_since(&self, earlier: &Vitals) -> f64 {
        let passed = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        let queued = self.queued.time.saturating_sub(earlier.queued.time).as_secs_f64();
        if passed <= 0.0 { 0.0 } else { self.load_since(earlier) + queued / passed }
    }

    /// Whether at most one descriptor is left: accept(2) needs one.
    pub fn out_of_descriptors(&self) -> bool {
        matches!((self.descriptors, self.descriptor_limit), (Some(used), Some(limit)) if used >= limit)
    }

    /// How many threads wait in a kernel function whose name begins with `prefix`; `None` if nothing could be read.
    pub fn waiting_in(&self, prefix: &str) -> Option<usize> {
        let readable = self.threads.iter().any(|thread| thread.waits_in.is_some());
        let waits = |thread: &&Thread| thread.waits_in.as_ref().is_some_and(|name| name.starts_with(prefix));
        readable.then(|| self.threads.iter().filter(waits).count())
    }
}

/// Sums, over the threads, the nanoseconds spent runnable but not running and the number of turns: the second and third
/// number of schedstat (Documentation/scheduler/sched-stats.rst).
fn queued(pid: u32) -> Queued {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Queued::default() };
    let of = |entry: fs::DirEntry| -> Option<(u64, u64)> {
        let text = read_text(entry.path().join("schedstat"), 256).ok()?;
        let mut fields = text.split_ascii_whitespace().skip(1).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    let threads = entries.take(threads::MAX_THREADS).filter_map(|entry| of(entry.ok()?));
    threads.fold(Queued::default(), |sum, (nanoseconds, turns)| Queued {
        time: sum.time.saturating_add(Duration::from_nanos(nanoseconds)),
        turns: sum.turns.saturating_add(turns),
    })
}

/// The limit that keeps a process from starting another one; `None` if none is reached.
pub fn process_room(pid: u32) -> Option<ProcessRoom> {
    let group = GroupFiles::of(pid);
    let current =
        group.file("pids", "pids.current", "pids.current").and_then(|text| text.trim().parse().ok());
    let most = group.file("pids", "pids.max", "pids.max").and_then(|text| text.trim().parse().ok());
    if let (Some(used), Some(limit)) = (current, most)
        && used >= limit
    {
        return Some(ProcessRoom { used, limit, of: "its cgroup".to_owned() });
    }
    let limit = limit(pid, "Max processes")?;
    let user = real_user(pid)?;
    // RLIMIT_NPROC does not apply to root (setrlimit(2)).
    if user == 0 {
        return None;
    }
    let used = tasks_of(user);
    (used >= limit).then(|| ProcessRoom { used, limit, of: format!("user {user}") })
}

fn real_user(pid: u32) -> Option<u32> {
    let status = read_text(format!("/proc/{pid}/status"), MAX_SMALL_FILE).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_ascii_whitespace().next()?.parse().ok()
}

/// The threads of a user on the whole machine, as the limit counts them.
fn tasks_of(user: u32) -> u64 {
    let of = |pid: u32| {
        let status = read_text(format!("/proc/{pid}/status"), MAX_SMALL_FILE).ok()?;
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        let theirs: u32 = ids.split_ascii_whitespace().next()?.parse().ok()?;
        (theirs == user).then(|| number(&status, "Threads:"))?
    };
    pids().into_iter().filter_map(of).sum()
}

/// A soft limit of /proc/PID/limits; `None` if it is unlimited or not readable.
fn limit(pid: u32, name: &str) -> Option<u64> {
    let limits = read_text(format!("/proc/{pid}/limits"), MAX_SMALL_FILE).ok()?;
    limits.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?.parse().ok()
}

/// The short name of a process, escaped for a terminal; empty if the process is gone.
pub fn name_of(pid: u32) -> String {
    shown(read_text(format!("/proc/{pid}/comm"), 64).unwrap_or_default().trim_end(), MAX_NAME_CHARS)
}

/// The endings by which a word in a command line is taken for a host name; other words with dots are code and files.
const HOST_ENDINGS: [&str; 16] = [
    "test",
    "localhost",
    "local",
    "lan",
    "internal",
    "intranet",
    "example",
    "home",
    "corp",
    "dev",
    "app",
    "com",
    "net",
    "org",
    "io",
    "invalid",
];
const MAX_HOST_NAMES: usize = 4;

/// Host names in the arguments of a process.
pub fn host_names(pid: u32) -> Vec<String> {
    let arguments = read_text(format!("/proc/{pid}/cmdline"), MAX_SMALL_FILE).unwrap_or_default();
    let words = arguments.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')));
    let is_host = |word: &&str| {
        word.rsplit_once('.').is_some_and(|(front, last)| front.len() > 1 && HOST_ENDINGS.contains(&last))
    };
    let mut names: Vec<String> =
        words.map(|word| word.trim_matches(['.', '-'])).filter(is_host).map(str::to_owned).collect();
    names.dedup();
    names.truncate(MAX_HOST_NAMES);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives() {
        let vitals = Vitals::read(std::process::id()).unwrap();

        assert!(!vitals.threads.is_empty() && !vitals.frozen && vitals.tracer.is_none());
        assert!(vitals.descriptors.unwrap() >= 3 && !vitals.out_of_descriptors());
        assert!(Vitals::read(u32::MAX).is_err());
    }
}
