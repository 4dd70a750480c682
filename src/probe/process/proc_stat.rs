//! Lists the processes, and reads the line in /proc/PID/stat of each.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;

use crate::probe::read_start;

/// A line has some fifty numbers and a name of at most 64 bytes.
const MAX_STAT: u64 = 4 * 1024;

/// include/linux/sched.h
const PF_EXITING: u32 = 0x4;
const PF_KTHREAD: u32 = 0x0020_0000;

/// Every process of this PID namespace.
pub(crate) fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The fields in use, of a process or of one of its threads.
pub(super) struct ProcStat {
    /// The raw name, not escaped for a terminal.
    pub(super) comm: String,
    /// The letter of its state.
    pub(super) state: char,
    pub(super) parent: u32,
    /// The device number of its controlling terminal.
    pub(super) terminal: u32,
    /// Processor time used, in user mode and in the kernel.
    pub(super) used: Duration,
    pub(super) started_ticks: u64,
    flags: u32,
}

impl ProcStat {
    /// Reads the line of a process. An error means that it is gone, or that /proc hides it.
    pub(super) fn of(pid: u32) -> io::Result<ProcStat> {
        ProcStat::read_file(format!("/proc/{pid}/stat"))
    }

    /// Reads any file of this format.
    pub(super) fn read_file(path: impl AsRef<Path>) -> io::Result<ProcStat> {
        ProcStat::read(&read_start(path, MAX_STAT)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Parses proc_pid_stat(5). The name is in brackets and may itself contain spaces and brackets: the last bracket
    /// ends it.
    fn read(stat: &[u8]) -> Option<ProcStat> {
        let opening = stat.iter().position(|byte| *byte == b'(')?;
        let closing = stat.iter().rposition(|byte| *byte == b')')?;
        let comm = String::from_utf8_lossy(stat.get(opening + 1..closing)?).into_owned();
        let fields = std::str::from_utf8(&stat[closing + 1..]).ok()?;
        // The first field after the name is the third of the line.
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let (user, system): (u64, u64) = (field(14)?.parse().ok()?, field(15)?.parse().ok()?);
        let used = user.saturating_add(system).saturating_mul(1000) / clock_ticks_per_second().max(1);
        Some(ProcStat {
            comm,
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            // The kernel prints the device number as a signed number.
            terminal: field(7)?.parse::<i32>().ok()? as u32,
            used: Duration::from_millis(used),
            started_ticks: field(22)?.parse().ok()?,
            flags: field(9)?.parse().ok()?,
        })
    }

    pub(super) fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// Whether it is exiting: do_exit sets PF_EXITING before exit_files closes its sockets.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.state, 'Z' | 'X') || self.flags & PF_EXITING != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_full_of_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = b"7 (a) R 1 (b) T 41 7 7 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 12345 0 0";

        let stat = ProcStat::read(stat).unwrap();

        assert_eq!((stat.comm.as_str(), stat.parent, stat.started_ticks), ("a) R 1 (b", 41, 12345));
        assert_eq!((stat.state, stat.terminal), ('T', 0));
        assert_eq!(stat.used, Duration::from_millis(200_000 / clock_ticks_per_second()));
    }

    #[test]
    fn a_process_on_its_way_out_is_known_by_its_state_or_its_flags() {
        let ending = |stat: &[u8]| ProcStat::read(stat).unwrap().is_ending();

        assert!(!ending(b"7 (a) Z 1 2 3) S 1 7 7 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"));
        assert!(ending(b"7 (a) S 1 7 7 0 -1 4194308 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"));
        assert!(ending(b"7 (a) Z 1 7 7 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"));
    }

    proptest! {
        #[test]
        fn no_file_of_a_process_panics(bytes: Vec<u8>) {
            let _ = ProcStat::read(&bytes);
        }
    }
}
