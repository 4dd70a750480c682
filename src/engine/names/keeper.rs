//! The task that does what time alone makes due: names are looked up again by the rules of their routes, and a look-up that
//! hangs gives its place to one that waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::table::Names;

/// The least time between two passes over the names, of which there may be thousands.
const PACE: Duration = Duration::from_millis(250);

/// The running task. It ends when this is dropped.
pub(crate) struct Keeper(AbortHandle);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    /// Starts it on the current tokio runtime, which carries no session.
    pub(crate) fn start(names: &Arc<Names>) -> Keeper {
        Keeper(Handle::current().spawn(keep(names.clone())).abort_handle())
    }
}

async fn keep(names: Arc<Names>) {
    let (mut passed, mut next_pass) = (Instant::now(), None);
    loop {
        let next_place = names.places().next(Instant::now());
        let next = [next_place, next_pass].into_iter().flatten().min();
        let due = async {
            match next {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {
                let now = Instant::now();
                names.start();
                if next_pass.is_some_and(|at| at <= now) {
                    let next: Option<Instant> = names.look_up_due(now);
                    (passed, next_pass) = (now, next.map(|at| at.max(now + PACE)));
                }
            }
            () = names.wake.notified() => {}
            () = names.changed.notified() => {
                let soon = passed + PACE;
                next_pass = Some(next_pass.map_or(soon, |at: Instant| at.min(soon)));
            }
        }
    }
}
