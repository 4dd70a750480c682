//! How long a trace waits, and the wait itself.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;

/// The time limits of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the whole connection, from the dial on.
    pub whole: Duration,
    /// For the service to speak first, once it has accepted.
    pub silence: Duration,
}

/// How long to wait for a greeting. Server-first protocols greet within milliseconds of the accept; to a service that
/// does not, the trace sends a request.
const SILENCE: Duration = Duration::from_millis(200);
/// How long a further connection is watched if one already waits to be accepted.
const KNOCK: Duration = Duration::from_millis(100);

impl Patience {
    pub(super) fn new(whole: Duration) -> Patience {
        Patience { whole, silence: SILENCE.min(whole / 2) }
    }

    pub(super) fn knock() -> Patience {
        Patience { whole: KNOCK, silence: KNOCK }
    }

    /// For a connection after the first: the service has not greeted once, so it will not greet now.
    pub(super) fn shorter(self) -> Patience {
        Patience { whole: self.whole / 2, silence: Duration::from_millis(5) }
    }
}

/// Waits until a socket is ready or has failed, or the time is over; returns true if it is ready or has failed.
pub(super) fn wait(socket: impl AsFd, flags: PollFlags, time: Duration) -> rustix::io::Result<bool> {
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    let mut polled = [PollFd::new(&socket, flags)];
    match poll(&mut polled, Some(&time)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}
