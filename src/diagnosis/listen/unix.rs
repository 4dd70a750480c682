//! Why a Unix socket could not be listened on: what a look finds, beside what the kernel said.

use std::io;
use std::path::PathBuf;

use super::unix_question::could_listen_unix;
use crate::address::UnixName;
use crate::diagnosis::finding::Diagnosis;
use crate::diagnosis::verdict::{Certainty, Verdict};

/// Finds out why a bind of a Unix socket failed; call it at once, while the reason is still there.
pub fn unix_bind_failure(name: &UnixName, error: &io::Error) -> Diagnosis {
    let mut told = could_listen_unix(&match name {
        UnixName::Path(path) => PathBuf::from(&**path),
        UnixName::Abstract(name) => PathBuf::from(format!("@{name}")),
    });
    told.failed_with(error);
    // A left-over file is no hindrance to a listener of ours, and what does not show is told in the system's words.
    if matches!(told.verdict, Verdict::Healthy | Verdict::UnixSocketStale) {
        (told.verdict, told.certainty) = (Verdict::Unknown, Certainty::Unknown);
        told.summary.clone_from(&told.os_message);
        told.details.clear();
        told.fixes.clear();
    }
    told
}

/// The exit code of a start that failed on this, by the same numbers as for a port.
pub fn unix_exit_code(told: &Diagnosis) -> u8 {
    match (told.verdict, told.errno.as_deref()) {
        (Verdict::AlreadyRunning, _) => 5,
        (_, Some("EADDRINUSE" | "EEXIST")) => 4,
        (_, Some("EACCES" | "EPERM" | "EROFS")) => 6,
        (_, Some("ENOENT" | "ENOTDIR")) => 7,
        (_, Some("EMFILE" | "ENFILE" | "ENOSPC" | "ENOMEM" | "ENOBUFS")) => 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reason_of_a_path_exits_as_a_bug_of_ours() {
        let code = |path: &str, errno: i32| {
            let name = UnixName::Path(path.into());
            unix_exit_code(&unix_bind_failure(&name, &io::Error::from_raw_os_error(errno)))
        };

        assert_eq!(code("/dev/null", libc::EEXIST), 4);
        assert_eq!(code("/nowhere/at/all", libc::ENOENT), 7);
        assert_eq!(code("/dev/null/x", libc::ENOTDIR), 7);
        assert_eq!(code("/proc/x", libc::EROFS), 6);
        assert_eq!(code("/tmp", libc::ENOSPC), 8);
    }
}
