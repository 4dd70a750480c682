//! Which system calls this process is refused. A seccomp filter (systemd's SystemCallFilter=, a container's profile)
//! answers them with an errno, whatever they are called with.
//!
//! Each is called with arguments that the kernel itself rejects before anything happens: EBADF for a descriptor that is
//! none, EINVAL for flags that do not exist. Any other answer comes from a filter.

use std::ffi::c_int;
use std::io;
use std::ptr;

/// A system call that a filter may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Accept4,
    EpollCreate1,
    Eventfd2,
    Fcntl,
    Getsockopt,
    Pipe2,
    Prlimit64,
    RecvMmsg,
    SendMmsg,
    Setsockopt,
    Shutdown,
    Socketpair,
    Splice,
}

impl Call {
    /// Its name in the kernel and in filters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Call::Accept4 => "accept4",
            Call::EpollCreate1 => "epoll_create1",
            Call::Eventfd2 => "eventfd2",
            Call::Fcntl => "fcntl",
            Call::Getsockopt => "getsockopt",
            Call::Pipe2 => "pipe2",
            Call::Prlimit64 => "prlimit64",
            Call::RecvMmsg => "recvmmsg",
            Call::SendMmsg => "sendmmsg",
            Call::Setsockopt => "setsockopt",
            Call::Shutdown => "shutdown",
            Call::Socketpair => "socketpair",
            Call::Splice => "splice",
        }
    }

    /// The errno with which this process is refused the call; `None` if it is allowed.
    pub(crate) fn refusal(self) -> Option<io::Error> {
        const NO_FLAGS: c_int = c_int::MAX;
        const NO_SOCKET: c_int = -1;
        // SAFETY: no call has an effect: the descriptor -1 is none, and the flags, the family and the resource do not
        // exist. The kernel checks these before it reads or writes through a pointer; those of pipe2 and socketpair are
        // live all the same, and the others are null.
        let answer = unsafe {
            let mut pair: [c_int; 2] = [0; 2];
            match self {
                Call::Accept4 => libc::accept4(NO_SOCKET, ptr::null_mut(), ptr::null_mut(), 0),
                Call::EpollCreate1 => libc::epoll_create1(NO_FLAGS),
                Call::Eventfd2 => libc::eventfd(0, NO_FLAGS),
                Call::Fcntl => libc::fcntl(NO_SOCKET, libc::F_GETFL),
                Call::Getsockopt => libc::getsockopt(
                    NO_SOCKET,
                    libc::SOL_SOCKET,
                    libc::SO_ERROR,
                    ptr::null_mut(),
                    ptr::null_mut(),
                ),
                Call::Pipe2 => libc::pipe2(pair.as_mut_ptr(), NO_FLAGS),
                Call::Prlimit64 => libc::prlimit(0, !0, ptr::null(), ptr::null_mut()),
                Call::RecvMmsg => libc::recvmmsg(NO_SOCKET, ptr::null_mut(), 0, 0, ptr::null_mut()),
                Call::SendMmsg => libc::sendmmsg(NO_SOCKET, ptr::null_mut(), 0, 0),
                Call::Setsockopt => {
                    libc::setsockopt(NO_SOCKET, libc::SOL_SOCKET, libc::SO_REUSEADDR, ptr::null(), 0)
                }
                Call::Shutdown => libc::shutdown(NO_SOCKET, libc::SHUT_WR),
                Call::Socketpair => libc::socketpair(NO_SOCKET, libc::SOCK_STREAM, 0, pair.as_mut_ptr()),
                Call::Splice => {
                    libc::splice(NO_SOCKET, ptr::null_mut(), NO_SOCKET, ptr::null_mut(), 1, 0) as c_int
                }
            }
        };
        let error = io::Error::last_os_error();
        (answer == -1 && is_of_a_filter(&error)).then_some(error)
    }
}

/// Whether an error may be a filter's, rather than the answer to the call: EPERM and EACCES are what filters are written
/// with, ENOSYS is what an old kernel or an emulated one says.
pub(crate) fn is_of_a_filter(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS))
}

/// Those of `calls` that are refused, as `splice (Operation not permitted)`; `None` if all are allowed.
pub(crate) fn refused(calls: &[Call]) -> Option<String> {
    let words = |call: &Call| call.refusal().map(|why| format!("{} ({})", call.name(), words_of(&why)));
    let all: Vec<String> = calls.iter().filter_map(words).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn words_of(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => "EPERM",
        Some(libc::EACCES) => "EACCES",
        _ => "ENOSYS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_are_allowed_are_not_called_refused() {
        for call in [
            Call::Accept4,
            Call::EpollCreate1,
            Call::Eventfd2,
            Call::Fcntl,
            Call::Getsockopt,
            Call::Pipe2,
            Call::Prlimit64,
            Call::RecvMmsg,
            Call::SendMmsg,
            Call::Setsockopt,
            Call::Shutdown,
            Call::Socketpair,
            Call::Splice,
        ] {
            assert!(call.refusal().is_none(), "{}: {:?}", call.name(), call.refusal());
        }
        assert_eq!(refused(&[Call::Splice, Call::RecvMmsg]), None);
    }
}
