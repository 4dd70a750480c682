//! The exit code of a start whose listeners could not be bound. Pure.

use crate::diagnosis::finding::{Diagnosis, Subject};
use crate::diagnosis::verdict::Verdict;

/// The exit code of a start that failed for these reasons: 4 held by another process, 5 already running (all of them),
/// 6 denied, 7 address not on this machine, 8 out of resources, 1 anything else. Of several kinds the first of 8, 6, 7,
/// 4, 1, 5 wins. It is never 0, not even without a diagnosis: the caller's start has failed.
pub fn exit_code(diagnoses: &[Diagnosis]) -> u8 {
    let codes: Vec<u8> = diagnoses.iter().map(code).collect();
    [8, 6, 7, 4, 1, 5].into_iter().find(|code| codes.contains(code)).unwrap_or(1)
}

fn code(diagnosis: &Diagnosis) -> u8 {
    match (diagnosis.verdict, &diagnosis.subject) {
        (Verdict::AlreadyRunning, _) => 5,
        (Verdict::Unknown, _) | (_, Subject::Unix(_)) => of_errno(diagnosis.errno.as_deref()),
        (Verdict::PortPrivileged | Verdict::BindDeniedBySandbox, _) => 6,
        (
            Verdict::AddressNotLocal
            | Verdict::AddressTentative
            | Verdict::LoopbackDown
            | Verdict::LoopbackRouteLost
            | Verdict::Ipv6Disabled
            | Verdict::MissingScope,
            _,
        ) => 7,
        (Verdict::OwnFdLimit | Verdict::SystemFileLimit | Verdict::EphemeralPortsExhausted, _) => 8,
        _ => 4,
    }
}

fn of_errno(errno: Option<&str>) -> u8 {
    match errno {
        Some("EADDRINUSE" | "EEXIST") => 4,
        Some("EACCES" | "EPERM" | "EROFS") => 6,
        Some("EADDRNOTAVAIL" | "ENOENT" | "ENOTDIR") => 7,
        // EAGAIN is none of bind(2): no thread could be started that receives its datagrams.
        Some("EMFILE" | "ENFILE" | "ENOSPC" | "ENOMEM" | "ENOBUFS" | "EAGAIN") => 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::listen::diagnose::diagnose;
    use crate::diagnosis::listen::samples::{failure, holder, listener, taken};
    use crate::outcome::Holder;

    fn failed(errno: i32) -> Diagnosis {
        diagnose(&failure("127.0.0.1:80", errno))
    }

    #[test]
    fn of_several_kinds_the_worst_is_the_exit_code() {
        let codes =
            |errnos: &[i32]| exit_code(&errnos.iter().map(|errno| failed(*errno)).collect::<Vec<_>>());
        let ours = Holder { same_program: true, ..holder(7, "loopgate") };
        let running =
            || diagnose(&taken("127.0.0.1:80", vec![(listener("127.0.0.1:80", 9), vec![ours.clone()])]));

        assert_eq!(codes(&[libc::EADDRINUSE, libc::EACCES, libc::EMFILE]), 8);
        assert_eq!(codes(&[libc::EADDRINUSE, libc::EADDRNOTAVAIL, libc::EACCES]), 6);
        assert_eq!(exit_code(&[running(), running()]), 5);
        assert_eq!(exit_code(&[running(), failed(libc::EADDRINUSE)]), 4);
        assert_eq!(exit_code(&[running(), failed(libc::EIO)]), 1);
        assert_eq!(exit_code(&[]), 1);
    }

    #[test]
    fn an_address_in_use_without_a_visible_socket_is_held() {
        assert_eq!(
            (failed(libc::EADDRINUSE).verdict, exit_code(&[failed(libc::EADDRINUSE)])),
            (Verdict::Unknown, 4)
        );
    }
}
