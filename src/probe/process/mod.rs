//! Identifies a process from /proc/PID, as text that is escaped for a terminal and contains no secret.
//!
//! It needs only what every user may read; without the right to read `exe`, a process is not recognised as the same
//! program.

mod cgroup_files;
mod cgroup_unit;
mod cgroups;
pub mod holders;
pub mod memory;
pub mod other_connections;
pub mod port_mentions;
mod proc_stat;
pub mod process_exit;
pub mod process_stats;
pub mod program;
pub mod stale_files;
pub mod threads;

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

use proc_stat::ProcStat;
pub(crate) use proc_stat::pids;

use super::system::redact::mask_secrets;
use super::{read_start, read_text};
use crate::outcome::{Ancestor, Holder};
use crate::units::shown;

const MAX_COMMAND_BYTES: u64 = 16 * 1024;
const MAX_COMMAND_CHARS: usize = 160;
const MAX_NAME_CHARS: usize = 32;
const MAX_PATH_CHARS: usize = 160;
const MAX_ANCESTORS: usize = 16;
const MAX_SMALL_FILE: u64 = 8 * 1024;
const MAX_PASSWD: u64 = 1 << 20;

/// Whether /proc shows processes at all: it is not mounted in a bare chroot.
pub fn is_proc_mounted() -> bool {
    fs::symlink_metadata("/proc/self").is_ok()
}

/// Identifies a process.
///
/// # Errors
/// The process is gone, or /proc hides it.
pub fn identify(pid: u32) -> io::Result<Holder> {
    let stat = ProcStat::of(pid)?;
    let status = read_text(format!("/proc/{pid}/status"), MAX_SMALL_FILE)?;
    let uid = effective_user_in(&status)?;
    let command = read_start(format!("/proc/{pid}/cmdline"), MAX_COMMAND_BYTES).unwrap_or_default();
    let since_boot = since_boot(stat.started_ticks);
    let age = since_boot.and_then(age);
    let (unit, container) = cgroup_unit::of(pid);
    Ok(Holder {
        pid,
        comm: shown(&stat.comm, MAX_NAME_CHARS),
        cmdline: words(&mask_secrets(&arguments(&command))),
        exe: link(pid, "exe"),
        uid,
        user: user_name(uid),
        started: age.and_then(|age| SystemTime::now().checked_sub(age)),
        since_boot,
        age,
        cwd: link(pid, "cwd"),
        terminal: terminal(stat.terminal),
        parent: stat.parent,
        chain: chain(pid, &stat),
        state: stat.state,
        tracer: field(&status, "TracerPid:").and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0),
        unit,
        container,
        same_program: same_program(pid),
        this_process: pid == std::process::id(),
        proven: true,
        sockets: Vec::new(),
    })
}

/// Whether the arguments of a process contain this number as a whole word.
pub fn names_number(pid: u32, number: u16) -> bool {
    let command = read_start(format!("/proc/{pid}/cmdline"), MAX_COMMAND_BYTES).unwrap_or_default();
    let wanted = number.to_string();
    command.split(|byte| !byte.is_ascii_digit()).any(|digits| digits == wanted.as_bytes())
}

/// The effective user id of a process. The owner of /proc/PID is not reliable: it is root if the process is not
/// dumpable.
///
/// # Errors
/// The process is gone, or /proc hides it.
pub fn effective_user(pid: u32) -> io::Result<u32> {
    effective_user_in(&read_text(format!("/proc/{pid}/status"), MAX_SMALL_FILE)?)
}

fn effective_user_in(status: &str) -> io::Result<u32> {
    // Real, effective, saved, file system.
    field(status, "Uid:")
        .and_then(|ids| ids.split_ascii_whitespace().nth(1)?.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// The words of a command line, cut at the maximum total length.
fn words(words: &[String]) -> Vec<String> {
    let mut left = MAX_COMMAND_CHARS;
    let mut kept = Vec::new();
    for word in words {
        if left == 0 {
            kept.push("…".to_owned());
            break;
        }
        let word = shown(word, left);
        left = left.saturating_sub(word.chars().count() + 1);
        kept.push(word);
    }
    kept
}

/// `exe` or `cwd`, which only the process's own user and root may read.
fn link(pid: u32, name: &str) -> Option<String> {
    let target = fs::read_link(format!("/proc/{pid}/{name}")).ok()?;
    Some(shown(&target.to_string_lossy(), MAX_PATH_CHARS))
}

/// The controlling terminal by its device number: drivers/tty, Documentation/admin-guide/devices.txt.
fn terminal(device: u32) -> Option<String> {
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    match major {
        4 if minor < 64 => Some(format!("tty{minor}")),
        4 => Some(format!("ttyS{}", minor - 64)),
        136..=143 => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        _ => None,
    }
}

/// The processes that started within the last `time`, with their parents, without kernel threads.
pub fn young(time: Duration) -> Vec<(u32, u32)> {
    let of = |pid: u32| {
        let stat = ProcStat::of(pid).ok().filter(|stat| !stat.is_kernel_thread())?;
        (since_boot(stat.started_ticks).and_then(age)? < time).then_some((pid, stat.parent))
    };
    pids().into_iter().filter_map(of).collect()
}

/// The ancestors of a process, the oldest first, and the process itself.
fn chain(pid: u32, stat: &ProcStat) -> Vec<Ancestor> {
    let ancestor = |pid, stat: &ProcStat| Ancestor { pid, comm: shown(&stat.comm, MAX_NAME_CHARS) };
    let mut chain = vec![ancestor(pid, stat)];
    let mut parent = stat.parent;
    while parent != 0 && chain.len() < MAX_ANCESTORS {
        let Ok(stat) = ProcStat::of(parent) else { break };
        chain.push(ancestor(parent, &stat));
        parent = stat.parent;
    }
    chain.reverse();
    chain
}

/// The name of a user in /etc/passwd. Other name services are not queried: they may depend on the network that is
/// failing.
pub fn user_name(uid: u32) -> Option<String> {
    name_in("/etc/passwd", uid)
}

/// The name of a group in /etc/group.
pub fn group_name(gid: u32) -> Option<String> {
    name_in("/etc/group", gid)
}

/// Both files have the name first and the number third: passwd(5), group(5).
fn name_in(file: &str, id: u32) -> Option<String> {
    let table = read_text(file, MAX_PASSWD).ok()?;
    let wanted = id.to_string();
    let name = table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == wanted).then_some(name)
    })?;
    Some(shown(name, MAX_NAME_CHARS))
}

/// Whether a process is a Loopgate, as far as can be seen: another user's by its name alone.
pub(crate) fn is_loopgate(pid: u32) -> bool {
    let name = || read_text(format!("/proc/{pid}/comm"), MAX_SMALL_FILE);
    pid == std::process::id() || same_program(pid) || name().is_ok_and(|name| name.trim_end() == NAME)
}

/// The name of our own program.
const NAME: &str = env!("CARGO_PKG_NAME");

/// Whether a process runs the same program file as this process: the same device and inode, under any name. A file
/// replaced since the process started (a new build) also counts, by its former path.
fn same_program(pid: u32) -> bool {
    let theirs = format!("/proc/{pid}/exe");
    let (Ok(their_file), Ok(our_file)) = (fs::metadata(&theirs), fs::metadata("/proc/self/exe")) else {
        return false;
    };
    if (their_file.dev(), their_file.ino()) == (our_file.dev(), our_file.ino()) {
        return true;
    }
    let (Ok(their_path), Ok(our_path)) = (fs::read_link(&theirs), fs::read_link("/proc/self/exe")) else {
        return false;
    };
    let replaced = their_path.as_os_str().as_bytes().strip_suffix(b" (deleted)");
    replaced.is_some_and(|path| path == our_path.as_os_str().as_bytes())
}

fn since_boot(started_ticks: u64) -> Option<Duration> {
    let started = started_ticks.checked_mul(1000)? / clock_ticks_per_second().max(1);
    Some(Duration::from_millis(started))
}

/// The age of a process, by the clock that the kernel uses too, which also runs while the machine sleeps.
fn age(since_boot: Duration) -> Option<Duration> {
    let now = clock_gettime(ClockId::Boottime);
    let now = Duration::new(now.tv_sec.try_into().ok()?, now.tv_nsec.try_into().ok()?);
    Some(now.saturating_sub(since_boot))
}

fn arguments(command: &[u8]) -> Vec<String> {
    let end = command.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let command = &command[..end];
    if command.is_empty() {
        return Vec::new();
    }
    command.split(|byte| *byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known_to_itself() {
        let me = identify(std::process::id()).unwrap();

        assert!(me.same_program && me.this_process && !me.suspended());
        assert_eq!(me.chain.last().map(|last| last.pid), Some(me.pid));
        assert_eq!(me.cwd.as_deref(), std::env::current_dir().unwrap().to_str());
        assert!(me.age.unwrap() < Duration::from_secs(3600));
        assert_eq!(me.uid, rustix::process::geteuid().as_raw());
    }

    #[test]
    fn a_command_line_is_split_at_its_zeros_and_loses_the_padding() {
        assert_eq!(arguments(b"nginx: master process\0\0\0\0"), ["nginx: master process"]);
        assert_eq!(arguments(b"a\0\0b\0"), ["a", "", "b"]);
        assert!(arguments(b"\0\0").is_empty());
    }

    #[test]
    fn a_terminal_is_named_by_its_device_number() {
        for (device, want) in
            [(0x8803, Some("pts/3")), (0x8900, Some("pts/256")), (0x0401, Some("tty1")), (0, None)]
        {
            assert_eq!(terminal(device).as_deref(), want, "{device:x}");
        }
    }

    #[test]
    fn a_long_command_line_is_cut_between_words_and_within_one() {
        let words: Vec<String> = ["a", &"b".repeat(200), "c"].map(String::from).into();

        let shown = super::words(&words);

        assert_eq!((shown.len(), shown[1].chars().count()), (3, 159));
        assert_eq!(shown[2], "…");
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(identify(u32::MAX).is_err());
    }
}
