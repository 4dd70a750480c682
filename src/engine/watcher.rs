//! Notices that a target which was down is back, so that the change is told and waiting clients are let through.
//!
//! One task per target that is down, no more.

use std::sync::Weak;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::targets::Target;
use crate::address::Address;
use crate::outcome::Cause;
use crate::{probe, transport};

/// Between two looks at the kernel's table, which disturb nobody.
const LOOK: Duration = Duration::from_millis(100);

/// Between two dials, which the target sees.
const DIAL: Duration = Duration::from_secs(1);

/// Watches until the target is up again or no route dials it any more.
pub(super) fn watch(target: Weak<Target>, address: Option<Address>, cause: Cause) {
    let Some(address) = address else { return };
    Handle::current().spawn(async move {
        // Refused on this machine with no listener: the kernel says when there is one, without a connection. Refused in
        // spite of a listener is a firewall's doing, and only a dial can tell when it ends.
        let by_look = cause == Cause::Refused && is_here(&address) && listens(&address) == Some(false);
        loop {
            sleep(if by_look { LOOK } else { DIAL }).await;
            let Some(target) = target.upgrade() else { return };
            if !target.is_down() {
                return;
            }
            let is_back = if by_look { listens(&address) == Some(true) } else { answers(&address).await };
            if is_back {
                target.note_up();
                return;
            }
        }
    });
}

fn is_here(address: &Address) -> bool {
    match address {
        Address::Net(address) => address.ip().is_loopback(),
        Address::Unix(_) => true,
    }
}

/// `None` where the kernel cannot be asked.
fn listens(address: &Address) -> Option<bool> {
    match address {
        Address::Net(address) => probe::sockets::listening(*address).ok(),
        Address::Unix(_) => None,
    }
}

async fn answers(address: &Address) -> bool {
    matches!(timeout(DIAL, transport::dial(address, &[])).await, Ok(Ok(_)))
}
