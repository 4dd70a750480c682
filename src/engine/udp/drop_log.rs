//! What a loop says beside its records: datagrams that were lost before they had a flow, each reason with its count.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::outcome::End;
use crate::sys::datagrams::backlog;

/// Between two looks at what was lost, while datagrams come.
pub(super) const TELL: Duration = Duration::from_secs(1);

/// Between two lines about one listener.
const REMIND: Duration = Duration::from_secs(10);

/// Why a datagram had no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The kernel's receive buffer of the listener was full.
    ReceiveBuffer,
    /// No flow more was allowed, and none could make place.
    FlowsFull,
    /// The target could not be reached.
    NoTarget,
    /// Too many waited for the target's name to be looked up.
    NotHeld,
    /// The listener is retired and takes no new client.
    Closed,
    /// Its client may not connect.
    Denied,
    /// A limit of the route kept its client out.
    Limited,
    /// Not a datagram: a flow that made place for a new client. It has a record; here it is only counted.
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

/// Who was turned away when, so that a flood of them is no flood of records.
#[derive(Default)]
pub(super) struct TurnedAway {
    /// As many as there are ends of this kind, which are few.
    last: Vec<(End, Instant)>,
}

impl TurnedAway {
    /// Whether a client that ends so is to be recorded: one in each [`TELL`] is.
    pub(super) fn is_due(&mut self, end: End, now: Instant) -> bool {
        let Some((_, last)) = self.last.iter_mut().find(|(of, _)| *of == end) else {
            self.last.push((end, now));
            return true;
        };
        let is_due = now.saturating_duration_since(*last) >= TELL;
        if is_due {
            *last = now;
        }
        is_due
    }
}

/// What a listener has lost since it was last told.
pub(super) struct Lost {
    counts: [u64; KINDS],
    /// What the kernel had dropped when it was last asked.
    kernel: u32,
    told: Option<Instant>,
}

impl Lost {
    pub(super) fn since(socket: impl AsFd) -> Lost {
        let kernel = backlog(socket).map(|backlog| backlog.dropped).unwrap_or_default();
        Lost { counts: [0; KINDS], kernel, told: None }
    }

    pub(super) fn add(&mut self, why: Loss, count: u64) {
        self.counts[why as usize] += count;
    }

    fn count(&self, why: Loss) -> u64 {
        self.counts[why as usize]
    }

    fn ask_kernel(&mut self, socket: impl AsFd) {
        if let Ok(backlog) = backlog(socket) {
            self.add(Loss::ReceiveBuffer, backlog.dropped.wrapping_sub(self.kernel).into());
            self.kernel = backlog.dropped;
        }
    }

    fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// Tells what was lost, if it has not lately; false where it is to be told later.
    pub(super) fn tell_now_and_then(
        &mut self,
        socket: impl AsFd,
        route: &str,
        address: SocketAddr,
        now: Instant,
    ) -> bool {
        self.ask_kernel(socket);
        if self.is_empty() {
            return true;
        }
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < REMIND) {
            return false;
        }
        self.tell(route, address);
        (self.counts, self.told) = ([0; KINDS], Some(now));
        true
    }

    /// One line for all that was lost.
    pub(super) fn tell(&self, route: &str, address: SocketAddr) {
        let evicted = self.count(Loss::Evicted);
        if evicted > 0 {
            tracing::warn!(
                "route {route}: as many flows as may be: {evicted} that had been idle longest made place for new clients; \
                 see max_flows, limits.flows and `ulimit -n`"
            );
        }
        let lost: u64 = LOSSES.iter().map(|(why, _)| self.count(*why)).sum();
        if lost > 0 {
            let what = if lost == 1 { "datagram" } else { "datagrams" };
            tracing::warn!("route {route}: {lost} {what} lost on {address}: {self}");
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
