//! The task that does what time alone makes due: a look-up that hangs gives its place to one that waits.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::table::Names;

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
    loop {
        let next = names.places().next(Instant::now());
        let due = async {
            match next {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => names.start(),
            () = names.wake.notified() => {}
        }
    }
}
