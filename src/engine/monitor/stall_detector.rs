//! Walks past the live sessions and notices those that stand still with bytes under way, and targets that accept nothing.
//!
//! A session that is quiet and owes nothing to anybody costs a glance at its counts, and no question to the kernel. One that
//! has moved is followed until it is quiet, and then asked about once; what seems wrong is the diagnosis worker's to judge. A walk is
//! bounded in sessions and questions.

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
use crate::probe::sockets::connections::{self, Connection};
use crate::probe::sockets::{self, TcpState};
use crate::sys;

/// Between two walks while there is somebody to walk past.
pub(crate) const PACE: Duration = Duration::from_millis(250);

/// Sessions glanced at in one walk, by whole parts of the ledger; the next walk goes on from there.
const MAX_SAMPLED: usize = 8192;

/// Sessions followed at one time.
const MAX_TRACKED: usize = 512;

/// Sessions the kernel is asked about in one walk, and the look-ups each may take.
const MAX_QUERIED: usize = 4;
const EACH: u32 = 3;

/// A session that has not moved for so long is asked about,
const QUIET: Duration = Duration::from_secs(1);

/// and judged after so long, if bytes of it are under way.
const STILL: Duration = Duration::from_secs(2);

/// One that stands still is looked at, and judged, again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const JUDGE_AGAIN: Duration = Duration::from_secs(4);

/// How often those who do not read are looked for, of each part: twice in the shortest `user_timeout` under which they are
/// waited for.
const FORGIVE: Duration = Duration::from_secs(15);

/// How long a queue is watched after the last session was found in it.
const WATCH_QUEUE: Duration = Duration::from_secs(3);

/// The sessions followed, and the accept queues watched.
pub(crate) struct StallDetector {
    ledger: Arc<Ledger>,
    part: usize,
    /// When each part was walked past last.
    seen: [Instant; Ledger::PARTS],
    /// When those of it who do not read were looked for last.
    forgiven: [Instant; Ledger::PARTS],
    /// When the suspects were.
    reviewed: Instant,
    tracked: HashMap<u64, TrackedSession>,
    queues: HashMap<Arc<str>, Queue>,
}

struct TrackedSession {
    live: Arc<Live>,
    traffic: Traffic,
    /// When it was first seen to have moved as far as it has, and when it had not yet.
    moved: Instant,
    unmoved: Instant,
    looked: Option<Instant>,
    judged: Option<Instant>,
}

/// The accept queue of a target in which a session was found.
struct Queue {
    samples: Vec<u32>,
    found: Instant,
}

impl StallDetector {
    pub(crate) fn new(ledger: Arc<Ledger>, now: Instant) -> StallDetector {
        let (seen, forgiven) = ([now; Ledger::PARTS], [now; Ledger::PARTS]);
        StallDetector {
            ledger,
            part: 0,
            seen,
            forgiven,
            reviewed: now,
            tracked: HashMap::new(),
            queues: HashMap::new(),
        }
    }

    /// One walk. Says whether the next should follow soon.
    pub(crate) fn walk(&mut self, targets: &Targets, queries: &mut QueryLimit, now: Instant) -> bool {
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
                        // Whoever was never heard has been quiet from the start.
                        moved: if traffic == Traffic::default() { live.started } else { now },
                        unmoved: last.max(live.started),
                        looked: None,
                        judged: None,
                    });
                }
            });
            self.seen[self.part] = now;
            self.forgive(now);
            self.part = (self.part + 1) % Ledger::PARTS;
            if seen >= MAX_SAMPLED {
                break;
            }
        }
        seen
    }

    /// Keeps the kernel from giving up whoever is there and only does not read: `user_timeout` is about those who do not
    /// answer, and `idle_timeout` about these.
    fn forgive(&mut self, now: Instant) {
        if now.saturating_duration_since(self.forgiven[self.part]) < FORGIVE {
            return;
        }
        self.forgiven[self.part] = now;
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
            let is_due = session.looked.is_none_or(|at| now.duration_since(at) >= LOOK_AGAIN);
            if is_due && now.saturating_duration_since(session.moved) >= QUIET {
                quiet.push((session.looked, *id));
            }
        }
        self.reviewed = now;
        quiet.sort_unstable();
        for (_, id) in quiet.into_iter().take(MAX_QUERIED) {
            if !queries.take(EACH, now) {
                break;
            }
            let Some(session) = self.tracked.get_mut(&id) else { continue };
            session.looked = Some(now);
            let target = targets.find(session.live.target());
            match look(session) {
                Found::Nothing => {
                    self.tracked.remove(&id);
                }
                Found::Unaccepted => self.join_queue(id, target, now),
                Found::UnderWay(side, local, remote) => self.report(id, target, (side, local, remote), now),
            }
        }
    }

    fn join_queue(&mut self, id: u64, target: Option<Arc<Target>>, now: Instant) {
        let Some(target) = target else { return };
        if target.stage() == Stage::Stalled
            && let Some(words) = target.verdict()
        {
            self.ledger.note(id, words);
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
        // Bytes under way to a client are its own business, unless the way is at fault; that needs no patience.
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

/// Whether a session is worth following: it has moved since the last walk, or its target has never been heard.
fn is_worth_tracking(live: &Live, now: Instant) -> bool {
    let (up, down) = (&live.meter.up, &live.meter.down);
    if up.sink().is_none() {
        return false;
    }
    // Both marks are to be set.
    let has_moved = up.has_moved() | down.has_moved();
    if down.flow().read > 0 {
        up.settle();
    }
    has_moved || !up.is_settled() && now.saturating_duration_since(live.started) >= QUIET
}

/// What the kernel says about a quiet session.
enum Found {
    /// It owes nothing to anybody, or is over.
    Nothing,
    /// The target's kernel has it, the program has not.
    Unaccepted,
    /// Bytes are under way to this side, by the connection with these ends.
    UnderWay(Side, SocketAddr, SocketAddr),
}

fn look(session: &TrackedSession) -> Found {
    let meter = &session.live.meter;
    let Some((local, remote, ours)) = our_end(&meter.up) else { return Found::Nothing };
    let theirs = connections::between(remote, local).ok().flatten();
    if let Some(theirs) = &theirs {
        if theirs.inode == 0 && theirs.state == TcpState::Established {
            return Found::Unaccepted;
        }
        meter.up.settle();
    }
    let is_unread = theirs.is_some_and(|theirs| theirs.receive_queue > 0);
    if ours.send_queue > 0 || is_unread {
        return Found::UnderWay(Side::Target, local, remote);
    }
    match our_end(&meter.down) {
        Some((local, remote, ours)) if ours.send_queue > 0 => Found::UnderWay(Side::Client, local, remote),
        _ => Found::Nothing,
    }
}

/// Our end of the connection a flow goes to; `None` where it is no TCP, or no more.
fn our_end(flow: &FlowMeter) -> Option<(SocketAddr, SocketAddr, Connection)> {
    let descriptor = flow.sink()?;
    let (local, remote) = sys::ends(descriptor)?;
    // Open still, so it was open when its ends were asked for.
    if flow.sink() != Some(descriptor) {
        return None;
    }
    Some((local, remote, connections::between(local, remote).ok()??))
}

/// How many connections wait to be accepted by the target; `None` where that was not asked.
fn waiting(target: &Target, queries: &mut QueryLimit, now: Instant) -> Option<u32> {
    let addresses = target.addresses();
    if !queries.take(addresses.len() as u32, now) {
        return None;
    }
    let listeners = addresses.iter().filter_map(|address| sockets::listener(*address).ok()?);
    Some(listeners.map(|listener| listener.receive_queue).sum())
}
