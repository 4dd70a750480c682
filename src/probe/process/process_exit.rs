//! Checks whether a process has ended, and waits for its end.

use std::io;

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::proc_stat::ProcStat;

/// A descriptor that becomes readable when the process ends (pidfd_open(2)), for a process of any user. It keeps
/// referring to this process even if the pid is reused.
///
/// # Errors
/// ESRCH if it has already ended; ENOSYS before Linux 5.3; EMFILE, ENFILE, ENOMEM.
pub fn until_end(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
}

/// Whether a process is exiting or gone. It is already true while the kernel closes the sockets (do_exit sets
/// PF_EXITING before exit_files), so the answer is right immediately after a reset.
pub fn is_ending(pid: u32) -> bool {
    match ProcStat::of(pid) {
        Ok(stat) => stat.is_ending(),
        // The line of a running process can always be read.
        Err(error) => {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData)
                || error.raw_os_error() == Some(libc::ESRCH)
        }
    }
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
}
