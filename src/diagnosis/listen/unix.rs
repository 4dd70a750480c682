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
    if is_of_own_file(&diagnosis, error) {
        return file_not_changed(diagnosis, error);
    }
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

/// Whether the socket listens already and is our own: then the mode or the owner of its file could not be changed.
fn is_of_own_file(diagnosis: &Diagnosis, error: &io::Error) -> bool {
    error.raw_os_error() != Some(libc::EADDRINUSE)
        && diagnosis.holders.iter().any(|holder| holder.this_process)
}

fn file_not_changed(mut diagnosis: Diagnosis, error: &io::Error) -> Diagnosis {
    diagnosis.details.clear();
    diagnosis.fixes.clear();
    diagnosis.holders.clear();
    if error.kind() == io::ErrorKind::PermissionDenied {
        diagnosis.verdict = Verdict::UnixSocketDenied;
        diagnosis.summary = "this user may not give its socket file that mode or owner".to_owned();
    } else {
        (diagnosis.verdict, diagnosis.certainty) = (Verdict::Unknown, Certainty::Unknown);
        diagnosis.summary.clone_from(&diagnosis.os_message);
    }
    diagnosis
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::listen::exit_code::exit_code;

    #[test]
    fn a_file_of_our_own_that_cannot_be_changed_is_not_told_as_taken_by_this_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _ours = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let name = UnixName::Path(path.to_str().unwrap().into());
        let told = |error: io::Error| {
            let diagnosis = unix_bind_failure(&name, &error);
            assert!(
                diagnosis.fixes.is_empty() && diagnosis.holders.is_empty(),
                "this process would be ended"
            );
            (diagnosis.verdict, diagnosis.summary)
        };

        let denied = told(io::Error::from_raw_os_error(libc::EPERM));
        let unknown = told(io::Error::new(io::ErrorKind::InvalidInput, "no group staff in /etc/group"));

        assert_eq!(denied.0, Verdict::UnixSocketDenied);
        assert_eq!(denied.1, "this user may not give its socket file that mode or owner");
        assert_eq!(unknown, (Verdict::Unknown, "no group staff in /etc/group".to_owned()));
    }

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
