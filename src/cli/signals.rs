//! The signals of a running proxy.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

/// One press of Ctrl-C can arrive twice: timeout(1) signals its child and its group, wrappers pass on what the terminal
/// has sent already. What comes within this time is one signal.
const ONE_PRESS: Duration = Duration::from_millis(50);

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

    /// Takes what else belongs to the signal that has just come.
    pub(super) async fn settle(terminate: &mut Signal, interrupt: &mut Signal) {
        let more = async {
            loop {
                Signals::stop(terminate, interrupt).await;
            }
        };
        let _: Result<(), _> = timeout(ONE_PRESS, more).await;
    }

    /// The parts, so that each can be waited for beside the others.
    pub(super) fn split(self) -> (Signal, Signal, Signal) {
        (self.hangup, self.terminate, self.interrupt)
    }
}
