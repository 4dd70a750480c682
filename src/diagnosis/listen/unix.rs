//! Why listening on a Unix socket failed: the kernel's error, and what an inspection of the path finds.

use std::io;
use std::path::PathBuf;

use super::unix_question::could_listen_unix;
use crate::address::UnixName;
use crate::diagnosis::finding::Diagnosis;
use crate::diagnosis::verdict::{Certainty, Verdict};

/// Finds out why a bind of a Unix socket failed. Call it immediately after the failure, while the cause still exists.
pub fn unix_bind_failure(name: &UnixName, error: &io::Error) -> Diagnosis {
    let mut diagnosis = could_listen_unix(&match name {
        UnixName::Path(path) => PathBuf::from(&**path),
        UnixName::Abstract(name) => PathBuf::from(format!("@{name}")),
    });
    diagnosis.failed_with(error);
    // Our listeners replace a left-over file, so it is not the cause; an unseen cause is reported in the system's
    // words.
    if matches!(diagnosis.verdict, Verdict::Healthy | Verdict::UnixSocketStale) {
        (diagnosis.verdict, diagnosis.certainty) = (Verdict::Unknown, Certainty::Unknown);
        diagnosis.summary.clone_from(&diagnosis.os_message);
        diagnosis.details.clear();
        diagnosis.fixes.clear();
    }
    diagnosis
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::listen::exit_code::exit_code;

    #[test]
    fn no_failure_of_a_path_exits_as_an_internal_error() {
        let code = |path: &str, errno: i32| {
            let name = UnixName::Path(path.into());
            exit_code(&[unix_bind_failure(&name, &io::Error::from_raw_os_error(errno))])
        };

        assert_eq!(code("/dev/null", libc::EEXIST), 4);
        assert_eq!(code("/nowhere/at/all", libc::ENOENT), 7);
        assert_eq!(code("/dev/null/x", libc::ENOTDIR), 7);
        assert_eq!(code("/proc/x", libc::EROFS), 6);
        assert_eq!(code("/tmp", libc::ENOSPC), 8);
    }
}
