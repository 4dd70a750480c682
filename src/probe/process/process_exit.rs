//! Whether a process has ended, and a way to wait for it.

use std::io;

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::probe::read_text;

/// A descriptor that becomes readable when the process ends (pidfd_open(2)), whoever its user is. It stays with this
/// process even if its number is used again.
///
/// # Errors
/// ESRCH where it has ended already; ENOSYS before Linux 5.3; EMFILE, ENFILE, ENOMEM.
pub fn until_end(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
}

/// Whether a process is on its way out, or gone. True already while the kernel closes its sockets (do_exit sets
/// PF_EXITING before exit_files): who meets a reset and asks at once is told the truth.
pub fn is_ending(pid: u32) -> bool {
    match read_text(format!("/proc/{pid}/stat"), 1024) {
        Ok(stat) => says_ending(&stat).unwrap_or(true),
        Err(error) => error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH),
    }
}

/// include/linux/sched.h
const PF_EXITING: u64 = 0x4;

/// proc_pid_stat(5): the state is the third field, the flags are the ninth. The name before them may hold brackets.
fn says_ending(stat: &str) -> Option<bool> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let flags: u64 = fields.get(6)?.parse().ok()?;
    Some(matches!(fields[0], "Z" | "X") || flags & PF_EXITING != 0)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn the_end_of_a_child_is_seen_by_its_descriptor() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let pidfd = until_end(child.id()).unwrap();
        assert!(!is_ending(child.id()));

        drop(child.stdin.take());
        let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience)).unwrap();

        assert_eq!(ready, 1);
        assert!(is_ending(child.id()), "not yet waited for, it is a zombie");
        child.wait().unwrap();
        assert!(is_ending(child.id()));
    }

    #[test]
    fn a_name_with_brackets_and_numbers_does_not_shift_the_fields() {
        let stat = "7 (a) Z 1 2 3) S 1 7 7 0 -1 4194304 0";
        let exiting = "7 (a) S 1 7 7 0 -1 4194308 0";

        assert_eq!((says_ending(stat), says_ending(exiting)), (Some(false), Some(true)));
    }
}
