//! The signals a running proxy handles.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

/// One press of Ctrl-C can arrive twice: timeout(1) signals both its child and its group, and wrappers forward a signal
/// that the terminal has already sent to the group. Signals within this time count as one.
const ONE_PRESS: Duration = Duration::from_millis(50);

/// SIGHUP, SIGTERM and SIGINT, caught from the moment this value is created.
pub(super) struct Signals {
    /// SIGHUP: reload.
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

    /// Consumes the repeats of the signal that has just arrived, for [`ONE_PRESS`].
    pub(super) async fn settle(terminate: &mut Signal, interrupt: &mut Signal) {
        let more = async {
            loop {
                Signals::stop(terminate, interrupt).await;
            }
        };
        let _: Result<(), _> = timeout(ONE_PRESS, more).await;
    }

    /// The single signals (hangup, terminate, interrupt), so that different futures can wait for them.
    pub(super) fn split(self) -> (Signal, Signal, Signal) {
        (self.hangup, self.terminate, self.interrupt)
    }
}
