//! System calls that this process is refused and does without: found at the start, logged once.

use crate::sys::refusals::{Call, refused};

/// Moving bytes inside the kernel needs both.
const STREAMS: [Call; 2] = [Call::Splice, Call::Pipe2];

/// Other calls of the data path for which there is another way.
const OTHERS: [Call; 3] = [Call::RecvMmsg, Call::SendMmsg, Call::Accept4];

/// Calls that nothing replaces: without the first four the runtime fails or panics; without the others no socket can be set
/// up or asked for its error, and no session can pass on an end.
const NEEDED: [Call; 7] = [
    Call::EpollCreate1,
    Call::Eventfd2,
    Call::Fcntl,
    Call::Socketpair,
    Call::Getsockopt,
    Call::Setsockopt,
    Call::Shutdown,
];

/// The system calls without which an engine cannot run and which a filter refuses this process, as
/// `socketpair (EPERM)`; `None` if it may call all of them. Call it before a tokio runtime is built.
pub fn refused_needs() -> Option<String> {
    refused(&NEEDED)
}

/// Logs what is refused. Returns whether streams can be moved inside the kernel.
pub(crate) fn log_refusals() -> bool {
    let streams = refused(&STREAMS);
    if let Some(calls) = &streams {
        tracing::warn!(
            "this process may not call {calls}: streams are copied through a buffer, which costs more processor time; \
             allow it in the seccomp filter (systemd: SystemCallFilter=@system-service)"
        );
    }
    if let Some(calls) = refused(&OTHERS) {
        tracing::warn!(
            "this process may not call {calls}: connections and datagrams are taken and sent with one more call each; \
             allow it in the seccomp filter (systemd: SystemCallFilter=@system-service)"
        );
    }
    streams.is_none()
}
