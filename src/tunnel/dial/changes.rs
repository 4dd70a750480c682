//! When the network may have changed: the machine was suspended, or has other addresses or routes.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::sys::rtnetlink::Changes;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A look that comes so much too late means that the machine, or this process, stood still.
const STOOD_STILL: Duration = Duration::from_secs(5);

/// How long a change is given to be complete: an address comes first, and its routes after it.
const SETTLED: Duration = Duration::from_millis(300);

/// The shortest time between two nudges: the other end takes no more than two questions a second, and some routers change
/// their routes all day.
const BETWEEN: Duration = Duration::from_secs(5);

/// Changes `nudges` whenever tunnels should be dialled at once, or asked whether they live; for as long as it is polled.
/// Cancel safe.
pub(crate) async fn watch(nudges: &watch::Sender<u64>) {
    tokio::join!(clock(nudges), network(nudges));
}

/// A look that comes too late by the clock that runs on while the machine is suspended (clock_gettime(2), CLOCK_BOOTTIME).
async fn clock(nudges: &watch::Sender<u64>) {
    loop {
        let before = boot_time();
        sleep(LOOK_EVERY).await;
        if boot_time().saturating_sub(before) > LOOK_EVERY + STOOD_STILL {
            nudge(nudges);
        }
    }
}

async fn network(nudges: &watch::Sender<u64>) {
    let changes = match Changes::open() {
        Ok(changes) => changes,
        Err(error) => {
            tracing::debug!("changes of the network are not seen ({error}): tunnels notice them by silence");
            return;
        }
    };
    while changes.next().await.is_ok() {
        sleep(SETTLED).await;
        nudge(nudges);
        sleep(BETWEEN).await;
    }
}

/// Has tunnels dialled at once, or asked whether they live.
pub(crate) fn nudge(nudges: &watch::Sender<u64>) {
    nudges.send_modify(|count| *count = count.wrapping_add(1));
}

fn boot_time() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
}
