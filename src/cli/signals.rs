//! The signals a running proxy handles. docs/reference/signals.md has them as a table.

use std::ffi::c_int;
use std::future::{pending, poll_fn};
use std::io;
use std::task::Poll;
use std::time::Duration;

use rustix::process::Signal as Name;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::sys::signals;

/// One press of Ctrl-C can arrive twice: timeout(1) signals both its child and its group, and wrappers forward a signal
/// that the terminal has already sent to the group. Signals within this time count as one.
const ONE_PRESS: Duration = Duration::from_millis(50);

/// The signals that stop: asked for by a person or a service manager, and those before the power or the allowed
/// processor time runs out.
const STOP: [Name; 5] = [Name::TERM, Name::INT, Name::QUIT, Name::XCPU, Name::POWER];

/// The signals that end nothing. A timer that a parent has set lives on over execve(2), and so does a limit of file sizes,
/// where the write fails with EFBIG instead.
const IGNORED: [Name; 6] = [Name::ALARM, Name::VTALARM, Name::PROF, Name::IO, Name::XFSZ, Name::STKFLT];

/// What other programs do on these, and this one does not.
const TOLD: [(Name, &str); 2] = [
    (Name::USR1, "SIGUSR1: nothing to reopen: the log goes to standard error"),
    (Name::USR2, "SIGUSR2: not supported yet: upgrade; stop this one and start the other"),
];

/// Undoes what a parent may have left behind, for every command: a blocked signal would never arrive.
pub(super) fn unblock() {
    // Refused by nothing but a filter; then signals stay as they are.
    let _ = signals::unblock_all();
}

/// The signals of a proxy, caught from the moment this value is created.
pub(super) struct Signals {
    pub(super) hangup: Hangup,
    pub(super) stop: Stop,
    pub(super) told: Told,
}

/// SIGHUP; `None` where it was ignored at the start, as under nohup(1), and stays so.
pub(super) struct Hangup(Option<Signal>);

/// The signals that stop.
pub(super) struct Stop([Signal; STOP.len()]);

/// The signals that are answered with a line, once each.
pub(super) struct Told([Option<Signal>; TOLD.len()]);

impl Signals {
    pub(super) fn catch() -> io::Result<Signals> {
        let caught = |name: Name| signal(SignalKind::from_raw(name.as_raw()));
        let hangup = (!signals::is_ignored(Name::HUP.as_raw())).then(|| caught(Name::HUP)).transpose()?;
        let [term, int, quit, processor_time, power] = STOP.map(caught);
        let [reopen, upgrade] = TOLD.map(|(name, _)| caught(name));
        IGNORED.iter().for_each(|name| signals::ignore(name.as_raw()));
        signals::ignore_realtime();
        signals::ignore_those_of_the_c_library();
        signals::reset_connections_at_a_fault();
        Ok(Signals {
            hangup: Hangup(hangup),
            stop: Stop([term?, int?, quit?, processor_time?, power?]),
            told: Told([Some(reopen?), Some(upgrade?)]),
        })
    }
}

impl Hangup {
    /// Resolves at the next SIGHUP. Cancel safe.
    pub(super) async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => signal.recv().await.unwrap_or_default(),
            None => pending().await,
        }
    }
}

impl Stop {
    /// Resolves with the number of the next signal. Cancel safe.
    pub(super) async fn next(&mut self) -> u8 {
        let number = poll_fn(|context| {
            let mut all = STOP.iter().zip(&mut self.0);
            let next = all.find_map(|(name, it)| it.poll_recv(context).is_ready().then(|| name.as_raw()));
            next.map_or(Poll::Pending, Poll::Ready)
        });
        let number: c_int = number.await;
        number.try_into().unwrap_or(u8::MAX)
    }

    /// Consumes the repeats of the signal that has just arrived, for [`ONE_PRESS`].
    pub(super) async fn settle(&mut self) {
        let more = async {
            loop {
                self.next().await;
            }
        };
        let _: Result<(), _> = timeout(ONE_PRESS, more).await;
    }
}

impl Told {
    /// Logs the line of each signal at its first arrival; never resolves. Cancel safe.
    pub(super) async fn answer(&mut self) {
        poll_fn(|context| {
            for ((_, line), slot) in TOLD.iter().zip(&mut self.0) {
                if slot.as_mut().is_some_and(|it| it.poll_recv(context).is_ready()) {
                    tracing::warn!("{line}");
                    // The signal stays caught: tokio never returns it to its default.
                    *slot = None;
                }
            }
            Poll::<()>::Pending
        })
        .await;
    }
}
