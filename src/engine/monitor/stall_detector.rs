//! Scans the live sessions for those that are stalled with bytes in transit, and for targets that accept nothing.
//!
//! A quiet session with nothing in transit costs a read of its counters and no kernel query. A session that has moved
//! bytes is tracked until it is quiet, and then queried once; the diagnosis worker judges what seems wrong. A pass is
//! bounded in sessions and queries.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::query_limit::QueryLimit;
use crate::diagnosis::stalled;
use crate::engine::targets::health::{Event, Stage};
use crate::engine::targets::notify::{RequestKind, StallReport};
use crate::engine::targets::registry::Targets;
use crate::engine::targets::target::Target;
use crate::ledger::{FlowMeter, Ledger, Live};
use crate::outcome::{Side, Traffic};
use crate::probe::sockets::connections;
use crate::probe::sockets::{self, TcpState};
use crate::sys;

/// The interval between two passes while there are sessions to scan.
pub(crate) const PACE: Duration = Duration::from_millis(250);

/// Sessions scanned in one pass, in whole parts of the ledger; the next pass continues from there.
const MAX_SAMPLED: usize = 8192;

/// Sessions tracked at one time.
const MAX_TRACKED: usize = 512;

/// Sessions queried in one pass, and the kernel lookups each may take.
const MAX_QUERIED: usize = 4;
const EACH: u32 = 3;

/// A session without progress for this long is queried,
const QUIET: Duration = Duration::from_secs(1);

/// and judged after this long, if bytes of it are in transit.
const STILL: Duration = Duration::from_secs(2);

/// How soon a stalled session is queried, and judged, again.
const QUERY_AGAIN: Duration = Duration::from_secs(1);
const JUDGE_AGAIN: Duration = Duration::from_secs(4);

/// How often each part is searched for peers that do not read: twice within the shortest `user_timeout` under which
/// they are kept.
const CHECK_NON_READERS: Duration = Duration::from_secs(15);

/// How long an accept queue is watched after a session was last found in it.
const WATCH_QUEUE: Duration = Duration::from_secs(3);

/// The tracked sessions, and the watched accept queues.
pub(crate) struct StallDetector {
    ledger: Arc<Ledger>,
    part: usize,
    /// When each part was last scanned.
    seen: [Instant; Ledger::PARTS],
    /// When it was last searched for peers that do not read.
    non_readers_checked: [Instant; Ledger::PARTS],
    /// When the tracked sessions were last reviewed.
    reviewed: Instant,
    tracked: HashMap<u64, TrackedSession>,
    queues: HashMap<Arc<str>, Queue>,
}

struct TrackedSession {
    live: Arc<Live>,
    traffic: Traffic,
    /// When its present traffic was first seen, and when it was last seen with less.
    moved: Instant,
    unmoved: Instant,
    queried: Option<Instant>,
    judged: Option<Instant>,
}

/// The accept queue of a target in which a session was found.
struct Queue {
    samples: Vec<u32>,
    found: Instant,
}

impl StallDetector {
    pub(crate) fn new(ledger: Arc<Ledger>, now: Instant) -> StallDetector {
        let (seen, non_readers_checked) = ([now; Ledger::PARTS], [now; Ledger::PARTS]);
        StallDetector {
            ledger,
            part: 0,
            seen,
            non_readers_checked,
            reviewed: now,
            tracked: HashMap::new(),
            queues: HashMap::new(),
        }
    }

    /// One pass. Returns whether the next should follow soon.
    pub(crate) fn pass(&mut self, targets: &Targets, queries: &mut QueryLimit, now: Instant) -> bool {
        let seen = self.sample(now);
        self.review(targets, queries, now);
        self.watch_queues(targets, queries, now);
        seen > 0 || !self.queues.is_empty()
    }

    fn sample(&mut self, now: Instant) -> usize {
        let mut seen = 0;
        for _ in 0..Ledger::PARTS {
            let (tracked, last) = (&mut self.tracked, self.seen[self.part]);
            seen += self.ledger.visit(self.part, |live| {
                if is_worth_tracking(live, now) && tracked.len() < MAX_TRACKED {
                    let traffic = live.meter.traffic();
                    tracked.entry(live.id).or_insert_with(|| TrackedSession {
                        live: live.clone(),
                        traffic,
                        // A session without any traffic has been quiet from the start.
                        moved: if traffic == Traffic::default() { live.started } else { now },
                        unmoved: last.max(live.started),
                        queried: None,
                        judged: None,
                    });
                }
            });
            self.seen[self.part] = now;
            self.keep_non_readers(now);
            self.part = (self.part + 1) % Ledger::PARTS;
            if seen >= MAX_SAMPLED {
                break;
            }
        }
        seen
    }

    /// Keeps the kernel from giving up on peers that acknowledge but do not read: `user_timeout` is for peers that do
    /// not acknowledge, `idle_timeout` for these.
    fn keep_non_readers(&mut self, now: Instant) {
        if now.saturating_duration_since(self.non_readers_checked[self.part]) < CHECK_NON_READERS {
            return;
        }
        self.non_readers_checked[self.part] = now;
        let mut open = Vec::new();
        self.ledger.visit(self.part, |live| open.extend(live.meter.up.sink().and(Some(live.clone()))));
        for live in open {
            [&live.meter.up, &live.meter.down].into_iter().filter_map(FlowMeter::sink).for_each(|sink| {
                sys::forgive(sink);
            });
        }
    }

    fn review(&mut self, targets: &Targets, queries: &mut QueryLimit, now: Instant) {
        self.tracked.retain(|_, session| session.live.meter.up.sink().is_some());
        let mut quiet = Vec::new();
        for (id, session) in &mut self.tracked {
            let traffic = session.live.meter.traffic();
            if traffic != session.traffic {
                (session.traffic, session.moved, session.unmoved) = (traffic, now, self.reviewed);
            }
            let is_due = session.queried.is_none_or(|at| now.duration_since(at) >= QUERY_AGAIN);
            if is_due && now.saturating_duration_since(session.moved) >= QUIET {
                quiet.push((session.queried, *id));
            }
        }
        self.reviewed = now;
        quiet.sort_unstable();
        for (_, id) in quiet.into_iter().take(MAX_QUERIED) {
            if !queries.take(EACH, now) {
                break;
            }
            let Some(session) = self.tracked.get_mut(&id) else { continue };
            session.queried = Some(now);
            let target = targets.find(session.live.target());
            match query(session) {
                Found::Nothing => {
                    self.tracked.remove(&id);
                }
                Found::Unaccepted => self.join_queue(id, target, now),
                Found::InTransit(side, local, remote) => self.report(id, target, (side, local, remote), now),
            }
        }
    }

    fn join_queue(&mut self, id: u64, target: Option<Arc<Target>>, now: Instant) {
        let Some(target) = target else { return };
        if target.stage() == Stage::Stalled
            && let Some(text) = target.verdict()
        {
            self.ledger.note(id, text);
        }
        let queue = self.queues.entry(target.name().clone());
        queue.or_insert_with(|| Queue { samples: Vec::new(), found: now }).found = now;
    }

    fn report(
        &mut self,
        id: u64,
        target: Option<Arc<Target>>,
        (side, local, remote): (Side, SocketAddr, SocketAddr),
        now: Instant,
    ) {
        let (Some(session), Some(target)) = (self.tracked.get_mut(&id), target) else { return };
        let still = now.saturating_duration_since(session.moved);
        let is_due = session.judged.is_none_or(|at| now.duration_since(at) >= JUDGE_AGAIN);
        // Bytes in transit to a client are the client's business, unless the path is at fault; that is reported early.
        let is_still = still >= if side == Side::Target { STILL } else { QUIET };
        if is_due && is_still {
            session.judged = Some(now);
            let at_most = now.saturating_duration_since(session.unmoved);
            target.ask(RequestKind::Session(StallReport { id, side, local, remote, still, at_most }), now);
        }
    }

    fn watch_queues(&mut self, targets: &Targets, queries: &mut QueryLimit, now: Instant) {
        self.queues.retain(|name, queue| {
            let Some(target) = targets.find(name) else { return false };
            let is_stalled = target.stage() == Stage::Stalled;
            let is_over = now.duration_since(queue.found) >= WATCH_QUEUE;
            if is_over && !is_stalled {
                return false;
            }
            let Some(waiting) = waiting(&target, queries, now) else { return true };
            queue.samples.push(waiting);
            let excess = queue.samples.len().saturating_sub(stalled::SAMPLES);
            queue.samples.drain(..excess);
            if is_stalled && waiting == 0 {
                target.note(Event::Accepts);
                return false;
            }
            if !is_stalled && stalled::is_stuck(&queue.samples) {
                target.note(Event::Stuck);
            }
            true
        });
    }
}

/// Whether a session is worth tracking: it has moved bytes since the last pass, or its target has sent nothing yet.
fn is_worth_tracking(live: &Live, now: Instant) -> bool {
    let (up, down) = (&live.meter.up, &live.meter.down);
    if up.sink().is_none() {
        return false;
    }
    // Both marks have to be updated, so `|` rather than `||`.
    let has_moved = up.has_moved() | down.has_moved();
    if down.flow().read > 0 {
        up.settle();
    }
    has_moved || !up.is_settled() && now.saturating_duration_since(live.started) >= QUIET
}

/// What the kernel knows about a quiet session.
enum Found {
    /// Nothing is in transit, or it has ended.
    Nothing,
    /// The target's kernel has completed the connection; the program has not accepted it.
    Unaccepted,
    /// Bytes are in transit to this side, on the connection with these two ends.
    InTransit(Side, SocketAddr, SocketAddr),
}

fn query(session: &TrackedSession) -> Found {
    let meter = &session.live.meter;
    let Some((local, remote)) = ends_of(&meter.up) else { return Found::Nothing };
    let theirs = connections::between(remote, local).ok().flatten();
    if let Some(theirs) = &theirs {
        if theirs.inode == 0 && theirs.state == TcpState::Established {
            return Found::Unaccepted;
        }
        meter.up.settle();
    }
    let is_unread = theirs.is_some_and(|theirs| theirs.receive_queue > 0);
    if is_unread || is_in_transit(&meter.up, local, remote) {
        return Found::InTransit(Side::Target, local, remote);
    }
    match ends_of(&meter.down) {
        Some((local, remote)) if is_in_transit(&meter.down, local, remote) => {
            Found::InTransit(Side::Client, local, remote)
        }
        _ => Found::Nothing,
    }
}

/// The addresses of the connection a flow writes to; `None` if it is not TCP, or is closed.
fn ends_of(flow: &FlowMeter) -> Option<(SocketAddr, SocketAddr)> {
    let descriptor = flow.sink()?;
    let ends = sys::ends(descriptor)?;
    // Still open now, so it was open when its addresses were read.
    (flow.sink() == Some(descriptor)).then_some(ends)
}

/// Whether the connection with these ends, which a flow writes to, has bytes that are not acknowledged. Of most there are
/// none, and then the socket alone is asked, which costs a thirtieth of a look at the kernel's table.
fn is_in_transit(flow: &FlowMeter, local: SocketAddr, remote: SocketAddr) -> bool {
    let is_empty = flow.sink().is_none_or(|descriptor| sys::send_queue(descriptor).unwrap_or(0) == 0);
    !is_empty && connections::between(local, remote).ok().flatten().is_some_and(|ours| ours.send_queue > 0)
}

/// How many connections wait to be accepted by the target; `None` if the query limit is used up.
fn waiting(target: &Target, queries: &mut QueryLimit, now: Instant) -> Option<u32> {
    let addresses = target.addresses();
    if !queries.take(addresses.len() as u32, now) {
        return None;
    }
    let listeners = addresses.iter().filter_map(|address| sockets::listener(*address).ok()?);
    Some(listeners.map(|listener| listener.receive_queue).sum())
}
