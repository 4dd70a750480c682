//! What is watched of targets of UDP routes beside their flows: whether one that is down is back, and whether one drops what it
//! is sent.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::sleep;

use super::target::UdpTarget;
use crate::diagnosis::Verdict;
use crate::outcome::Cause;
use crate::probe;
use crate::transport::Destination;

/// The interval between two checks whether a socket is there again, and between two reads of the target socket's drop
/// counter.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_AT_DROPS: Duration = Duration::from_secs(1);

/// The interval between two log lines about a target that is too slow.
const REMIND: Duration = Duration::from_secs(10);

impl UdpTarget {
    /// Says that it is down.
    pub(super) fn log_down(&self, cause: Cause) {
        log_down(&self.to, cause);
    }

    /// Watches until it is up again, beside the loops.
    pub(super) fn look_for(self: &Arc<Self>, address: SocketAddr, beside: &Handle) {
        beside.spawn(watch_until_back(Arc::downgrade(self), address));
    }

    /// Watches what its own socket drops from now on, while flows live.
    pub(super) fn look_at_drops(self: &Arc<Self>, address: SocketAddr, beside: &Handle) {
        beside.spawn(watch_drops(Arc::downgrade(self), address, drops(address)));
    }
}

/// Watches until the target is up again or no route sends to it any more.
async fn watch_until_back(target: Weak<UdpTarget>, address: SocketAddr) {
    loop {
        sleep(LOOK).await;
        let Some(target) = target.upgrade() else { return };
        if !target.is_down.load(Relaxed) {
            return;
        }
        // The kernel shows nothing of another machine; only an answer does.
        if matches!(probe::sockets::udp::buffer(address), Ok(Some(_))) {
            return target.note_up();
        }
    }
}

/// Watches, while flows live, whether the target's receive buffer drops what they send. One read a second.
async fn watch_drops(target: Weak<UdpTarget>, address: SocketAddr, mut seen: Option<(u32, u32)>) {
    let mut logged: Option<Instant> = None;
    let mut unlogged = 0;
    loop {
        sleep(LOOK_AT_DROPS).await;
        let Some(target) = target.upgrade() else { return };
        let now = drops(address);
        if let (Some((before, dropped_before)), Some((inode, dropped))) = (seen, now)
            && before == inode
        {
            unlogged += u64::from(dropped.wrapping_sub(dropped_before));
            target.dropped.fetch_add(dropped.wrapping_sub(dropped_before).into(), Relaxed);
        }
        seen = now;
        if unlogged > 0 && logged.is_none_or(|logged| logged.elapsed() >= REMIND) {
            log_drops(&target.to, unlogged);
            (logged, unlogged) = (Some(Instant::now()), 0);
        }
        if target.flows.load(Relaxed) == 0 && unlogged == 0 {
            target.is_watched.store(false, Relaxed);
            return;
        }
    }
}

/// On this machine a refusal is ICMP's "port unreachable", which the kernel sends where no socket receives.
fn log_down(name: &Destination, cause: Cause) {
    let text = format!("target {name}/udp DOWN {cause}: {}", cause.remedy());
    match cause {
        Cause::Refused => {
            let verdict = Verdict::UdpTargetNotRunning.id();
            tracing::warn!("target" = %name, state = "down", verdict, "{text} [{verdict}]");
        }
        _ => tracing::warn!("target" = %name, state = "down", "{text}"),
    }
}

fn log_drops(name: &Destination, datagrams: u64) {
    let verdict = Verdict::UdpReceiverDrops.id();
    tracing::warn!(
        "target" = %name,
        state = "up",
        verdict,
        "target {name}/udp drops: its receive buffer was full and {datagrams} datagrams were lost; give its socket a \
         larger one (SO_RCVBUF, net.core.rmem_max), or make it read faster [{verdict}]"
    );
}

/// The target's socket and its drop count; `None` if it is not on this machine or not visible.
fn drops(address: SocketAddr) -> Option<(u32, u32)> {
    let receiver = probe::sockets::udp::buffer(address).ok()??;
    Some((receiver.inode, receiver.dropped))
}
