//! What a loop logs beside its records: datagrams lost before they had a flow, counted by reason.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::door::Door;
use crate::outcome::End;
use crate::sys::datagrams::backlog;

/// The interval between two checks for losses, while datagrams arrive.
pub(super) const CHECK: Duration = Duration::from_secs(1);

/// The interval between two log lines about one listener.
const REMIND: Duration = Duration::from_secs(10);

/// Why a datagram had no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The kernel's receive buffer of the listener was full.
    ReceiveBuffer,
    /// No more flows were allowed, and none could be evicted.
    FlowsFull,
    /// The target could not be reached.
    NoTarget,
    /// Too many datagrams waited for the lookup of the target's name.
    NotHeld,
    /// The listener is retired and accepts no new client.
    Closed,
    /// The client may not connect.
    Denied,
    /// A limit of the route rejected the client.
    Limited,
    /// Not a datagram: a flow evicted for a new client. It has a record; here it is only counted.
    Evicted,
}

const LOSSES: [(Loss, &str); 7] = [
    (Loss::ReceiveBuffer, "receive_buffer"),
    (Loss::FlowsFull, "flows_full"),
    (Loss::NoTarget, "no_target"),
    (Loss::NotHeld, "not_held"),
    (Loss::Closed, "closed"),
    (Loss::Denied, "denied"),
    (Loss::Limited, "limited"),
];

/// Every kind of [`Loss`].
const KINDS: usize = LOSSES.len() + 1;

/// When clients were last rejected with which end, so that a flood of them is no flood of records.
#[derive(Default)]
pub(super) struct TurnedAway {
    /// One entry per kind of end, of which there are few.
    last: Vec<(End, Instant)>,
}

impl TurnedAway {
    /// Whether to record a client that ends this way: at most one per [`CHECK`].
    pub(super) fn is_due(&mut self, end: End, now: Instant) -> bool {
        let Some((_, last)) = self.last.iter_mut().find(|(of, _)| *of == end) else {
            self.last.push((end, now));
            return true;
        };
        let is_due = now.saturating_duration_since(*last) >= CHECK;
        if is_due {
            *last = now;
        }
        is_due
    }
}

/// What a listener has lost since its last log line.
pub(super) struct Lost {
    counts: [u64; KINDS],
    /// The kernel's drop counter when it was last read.
    kernel: u32,
    logged: Option<Instant>,
}

impl Lost {
    /// Nothing yet, of what comes by a socket or by tunnels.
    pub(super) fn since(socket: Option<&Arc<OwnedFd>>) -> Lost {
        let kernel = socket.and_then(|socket| Some(backlog(socket).ok()?.dropped)).unwrap_or_default();
        Lost { counts: [0; KINDS], kernel, logged: None }
    }

    pub(super) fn add(&mut self, why: Loss, count: u64) {
        self.counts[why as usize] += count;
    }

    fn count(&self, why: Loss) -> u64 {
        self.counts[why as usize]
    }

    fn read_kernel(&mut self, socket: impl AsFd) {
        if let Ok(backlog) = backlog(socket) {
            self.add(Loss::ReceiveBuffer, backlog.dropped.wrapping_sub(self.kernel).into());
            self.kernel = backlog.dropped;
        }
    }

    fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// Logs the losses, unless it did so lately; false if they are still to be logged.
    pub(super) fn log_now_and_then(&mut self, door: &Door, route: &str, now: Instant) -> bool {
        door.socket().into_iter().for_each(|socket| self.read_kernel(socket));
        if self.is_empty() {
            return true;
        }
        if self.logged.is_some_and(|logged| now.saturating_duration_since(logged) < REMIND) {
            return false;
        }
        self.log(route, door);
        (self.counts, self.logged) = ([0; KINDS], Some(now));
        true
    }

    /// One line for all losses.
    pub(super) fn log(&self, route: &str, door: &Door) {
        let evicted = self.count(Loss::Evicted);
        if evicted > 0 {
            tracing::warn!(
                "route {route}: the limit of flows is reached: {evicted} evicted for new clients, the longest idle first; \
                 see max_flows, limits.flows and `ulimit -n`"
            );
        }
        let lost: u64 = LOSSES.iter().map(|(why, _)| self.count(*why)).sum();
        if lost > 0 {
            let what = if lost == 1 { "datagram" } else { "datagrams" };
            tracing::warn!("route {route}: {lost} {what} lost on {door}: {self}");
        }
    }
}

/// `12 receive_buffer, 3 flows_full`
impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = LOSSES.iter().map(|(why, word)| (self.count(*why), word)).filter(|(count, _)| *count > 0);
        for (n, (count, word)) in each.enumerate() {
            write!(f, "{}{count} {word}", if n > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
