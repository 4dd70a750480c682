//! The signals of a running proxy.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGHUP, SIGTERM and SIGINT, caught from the moment this is made.
pub(super) struct Signals {
    /// Reload.
    pub(super) hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn catch() -> io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves with the number of the next SIGTERM or SIGINT. Cancel safe.
    pub(super) async fn stop(terminate: &mut Signal, interrupt: &mut Signal) -> u8 {
        let number = tokio::select! {
            _ = terminate.recv() => SignalKind::terminate(),
            _ = interrupt.recv() => SignalKind::interrupt(),
        };
        number.as_raw_value().try_into().unwrap_or(u8::MAX)
    }

    /// The parts, so that each can be waited for beside the others.
    pub(super) fn split(self) -> (Signal, Signal, Signal) {
        (self.hangup, self.terminate, self.interrupt)
    }
}
