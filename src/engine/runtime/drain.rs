//! The end of an engine: wait for the remaining sessions, then reset them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{interval, timeout};

use super::context::Context;
use crate::ledger::Order;
use crate::units::{Seconds, counted};

/// How often a drain logs how many sessions it still waits for.
const REPORT: Duration = Duration::from_secs(5);

/// How long reset sessions may take to write their records.
const RECORD_TIME: Duration = Duration::from_secs(2);

/// Waits up to `patience` for all sessions to end, or until `hurry` resolves, then resets the rest. Returns how many
/// were reset.
pub(crate) async fn drain(cx: &Arc<Context>, patience: Duration, hurry: impl Future<Output = ()>) -> usize {
    let begun = Instant::now();
    cx.udp.drain();
    cx.stopping.draining.cancel();
    let left = sessions(cx);
    if left > 0 {
        tracing::info!("stopping: waiting up to {} for {}", Seconds(patience), counted(left, "session"));
    }
    let report = async {
        let mut often = interval(REPORT);
        often.tick().await;
        loop {
            often.tick().await;
            tracing::info!("stopping: still {}", counted(sessions(cx), "session"));
        }
    };
    let (cut_off, waited) = tokio::select! {
        gone = timeout(patience, all_gone(cx)) => (if gone.is_ok() { 0 } else { sessions(cx) }, patience),
        () = hurry => (sessions(cx), begun.elapsed()),
        () = report => (0, patience),
    };
    cut(cx);
    // Their records are part of the drain; a session that cannot even end is not waited for.
    let _ = timeout(RECORD_TIME, all_gone(cx)).await;
    if cut_off > 0 {
        tracing::warn!("{} reset after {}", counted(cut_off, "session"), Seconds(waited));
    }
    cx.ledger.settle_all();
    cut_off
}

/// Resets every remaining session.
pub(crate) fn cut(cx: &Context) {
    cx.ledger.order_all(Order::Drain);
    cx.stopping.cut.cancel();
}

fn sessions(cx: &Context) -> usize {
    // Not counted by the permits: a waiter for all of them already holds those that are back.
    cx.workers.sessions() + cx.udp.flows()
}

/// Cancel safe.
async fn all_gone(cx: &Context) {
    // This fails only on a closed semaphore, and this one is never closed.
    let _ = cx.slots.acquire_many(cx.most_sessions).await;
    cx.udp.all_gone().await;
}
