//! Monitors every target beside the data path: queries the kernel for listeners, waits for a holder's end, dials where
//! neither helps.
//!
//! A query is one netlink request of about 15 µs and disturbs no process; all queries together are rate limited
//! (`query_limit`), the target that has waited longest first. A target that is up and whose holder's end is being
//! waited for is not queried. The end only prompts a query: a child process may keep the listener open.
//! `diagnosis_worker` does what takes longer than a query.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::active_check::{Failed, check};
use super::diagnosis_worker::ProcessWatch;
use super::query_limit::QueryLimit;
use super::schedule::{IDLE, Step, due_of};
use super::stall_detector::{PACE, StallDetector};
use super::unix::{self, Path};
use crate::address::UnixName;
use crate::balance::Check;
use crate::engine::targets::health::{Event, Stage};
use crate::engine::targets::notify::RequestKind;
use crate::engine::targets::registry::Targets;
use crate::engine::targets::state::Search;
use crate::engine::targets::target::Target;
use crate::ledger::Ledger;
use crate::probe::network::Network;
use crate::probe::sockets::{self, Socket};
use crate::sys;

/// Concurrent dials, over all targets.
const MAX_DIALS: usize = 8;

/// The interval between two checks for connections a target leaves open, unless a check sets another.
const LEAKS: Duration = Duration::from_secs(10);

/// With more targets than this due at once, one listing of all listeners replaces the single queries.
const FEW: usize = 8;

/// How long the addresses of this machine are cached.
const NETWORK_AGE: Duration = Duration::from_secs(5);

/// The running task. It ends when this is dropped.
pub(crate) struct HealthChecker {
    walk: AbortHandle,
}

impl Drop for HealthChecker {
    fn drop(&mut self) {
        self.walk.abort();
    }
}

/// Starts to monitor `targets`, on the current tokio runtime, which carries no session.
pub(crate) fn start(
    targets: Arc<Targets>,
    ledger: Arc<Ledger>,
    wake: Arc<Notify>,
    process_watches: mpsc::Receiver<ProcessWatch>,
) -> HealthChecker {
    let rounds = Rounds {
        targets,
        stalls: StallDetector::new(ledger.clone(), Instant::now()),
        ledger,
        next_pass: Instant::now(),
        queries: QueryLimit::new(Instant::now()),
        dials: Arc::new(Semaphore::new(MAX_DIALS)),
        tasks: JoinSet::new(),
        network: None,
    };
    HealthChecker { walk: Handle::current().spawn(rounds.walk(wake, process_watches)).abort_handle() }
}

struct Rounds {
    targets: Arc<Targets>,
    ledger: Arc<Ledger>,
    stalls: StallDetector,
    /// When the stall detector's next pass is due.
    next_pass: Instant,
    queries: QueryLimit,
    dials: Arc<Semaphore>,
    /// Dials in progress, and the waits for a holder's end.
    tasks: JoinSet<()>,
    /// The addresses of this machine, and when they were read.
    network: Option<(Instant, Network)>,
}

impl Rounds {
    async fn walk(mut self, wake: Arc<Notify>, mut process_watches: mpsc::Receiver<ProcessWatch>) {
        loop {
            let pause = self.round(Instant::now());
            let lines = self.targets.lines().clone();
            tokio::select! {
                () = lines.changed() => {}
                () = sleep(pause) => {}
                () = wake.notified() => {}
                Some(watch) = process_watches.recv() => self.keep(watch),
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    /// Does everything that is due; returns the time until the next thing is.
    fn round(&mut self, now: Instant) -> Duration {
        let mut pause = IDLE;
        let mut due: Vec<(Option<Instant>, Step, Arc<Target>)> = Vec::new();
        for target in self.targets.all() {
            target.notice_move();
            target.follow_tunnel(false);
            if target.health().flaps() {
                target.tick(now);
            }
            let is_here = self.is_here(&target, now);
            for (step, last, rest) in due_of(&target, is_here) {
                let wait = match (step, last) {
                    // Every event that changes this wakes the task.
                    (None, None) => rest,
                    (_, last) => {
                        last.map_or(Duration::ZERO, |last| (last + rest).saturating_duration_since(now))
                    }
                };
                match step {
                    Some(step) if wait.is_zero() => due.push((last, step, target.clone())),
                    _ => {}
                }
                pause = pause.min(wait.max(rest / 10));
            }
        }
        due.sort_by_key(|(last, ..)| *last);
        let is_many = due.iter().filter(|(_, step, _)| *step == Step::Query).count() > FEW;
        let table = if is_many { self.survey(now) } else { None };
        for (_, step, target) in due {
            match (step, &table) {
                (Step::Dial, _) => self.dial(&target, now),
                (Step::Query, None) => self.query(&target, now),
                (Step::Query, Some(table)) => self.compare(&target, table, now),
            }
        }
        self.targets.settle_local_errors(now);
        if now >= self.next_pass {
            let soon = self.stalls.pass(&self.targets, &mut self.queries, now);
            self.next_pass = now + if soon { PACE } else { IDLE };
            self.check_for_leaks(now);
        }
        pause.min(self.next_pass.saturating_duration_since(now))
    }

    /// Requests a check of recently used targets for connections they leave open.
    fn check_for_leaks(&mut self, now: Instant) {
        let opened = self.ledger.totals().opened;
        for target in self.targets.all() {
            if target.stage() != Stage::Up || !self.is_here(&target, now) {
                continue;
            }
            let mut details = target.details();
            let is_due = details.leaks_due.is_none_or(|due| now >= due) && details.leaks_opened != opened;
            if is_due {
                (details.leaks_due, details.leaks_opened) = (Some(now + LEAKS), opened);
                drop(details);
                target.ask(RequestKind::Leaks, now);
            }
        }
    }

    /// Every listener of this machine, at the price of two queries: with many targets due, single queries would exhaust
    /// the limit and each target would have to wait for its turn.
    fn survey(&mut self, now: Instant) -> Option<HashMap<u16, Vec<Socket>>> {
        if !self.queries.take(2, now) {
            return None;
        }
        let (rows, is_cut) = sockets::listeners().ok()?;
        let mut table: HashMap<u16, Vec<Socket>> = HashMap::new();
        rows.into_iter().for_each(|row| table.entry(row.local.port()).or_default().push(row));
        if is_cut { None } else { Some(table) }
    }

    /// Records what the listing shows of a target. That no socket listens is certain; which listener a connection would
    /// reach is left to the kernel's own lookup, where it matters.
    fn compare(&mut self, target: &Arc<Target>, table: &HashMap<u16, Vec<Socket>>, now: Instant) {
        let may_answer = |address: &SocketAddr| {
            let rows = table.get(&address.port()).into_iter().flatten();
            rows.map(|row| row.local.ip().to_canonical())
                .any(|ip| ip.is_unspecified() || ip == address.ip().to_canonical())
        };
        let is_there = target.addresses().iter().any(may_answer);
        match (is_there, target.stage()) {
            (true, Stage::Up | Stage::Stalled) => note_query(target, now),
            (true, _) => self.query(target, now),
            (false, _) => {
                note_query(target, now);
                found(target, Ok(false), now);
            }
        }
    }

    fn query(&mut self, target: &Arc<Target>, now: Instant) {
        if let Some(name) = target.to().unix() {
            return self.query_path(target, &name, now);
        }
        let addresses = target.addresses();
        if !self.queries.take(addresses.len() as u32, now) {
            return;
        }
        note_query(target, now);
        found(target, listens(&addresses), now);
    }

    fn query_path(&mut self, target: &Arc<Target>, name: &UnixName, now: Instant) {
        if !self.queries.take(1, now) {
            return;
        }
        {
            let mut details = target.details();
            (details.queried, details.urgent) = (Some(now), false);
        }
        match unix::query(name) {
            Ok(Path::Listening) => target.note(Event::Listens),
            Ok(Path::Missing) => target.note(Event::Missing),
            Ok(Path::Fresh) => {}
            // Left over, or in another network namespace: a dial decides.
            Ok(Path::Quiet) => target.note(Event::Hidden),
            Err(error) if is_passing(&error) => {}
            Err(_) => target.details().blind = true,
        }
    }

    fn dial(&mut self, target: &Arc<Target>, now: Instant) {
        // Without a permit it stays due, and the targets that have waited longest come first.
        let Ok(permit) = self.dials.clone().try_acquire_owned() else { return };
        {
            let mut details = target.details();
            (details.dialled, details.dialling) = (Some(now), true);
        }
        let target = target.clone();
        self.tasks.spawn(async move {
            let found = check(&target).await;
            target.details().dialling = false;
            checked(&target, found);
            drop(permit);
        });
    }

    /// Waits for a holder's end on a task of its own. The task ends with the holder, or when the target forgets the
    /// holder.
    fn keep(&mut self, watch: ProcessWatch) {
        let ProcessWatch { target, pid, pidfd, permit } = watch;
        let Some(watched) = target.upgrade() else { return };
        let mut details = watched.details();
        let Some(held) = details.holder.as_mut().filter(|held| held.holder.pid == pid) else { return };
        let task = self.tasks.spawn(async move {
            let Ok(pidfd) = sys::readable(Arc::new(pidfd)) else { return };
            let _ = pidfd.readable().await;
            drop(permit);
            if let Some(target) = target.upgrade() {
                target.lose_holder(Instant::now());
                target.query_at_once();
            }
        });
        held.watch = Some(task);
    }

    /// Whether the kernel's listing covers the target: it has addresses, and all are this machine's.
    fn is_here(&mut self, target: &Target, now: Instant) -> bool {
        if target.to().unix().is_some() {
            return true;
        }
        let addresses = target.addresses();
        if addresses.iter().all(|address| address.ip().to_canonical().is_loopback()) {
            return !addresses.is_empty();
        }
        let fresh = self.network.take().filter(|(read, _)| now.duration_since(*read) < NETWORK_AGE);
        let (_, network) = self.network.insert(fresh.unwrap_or_else(|| (now, Network::read())));
        addresses.iter().all(|address| network.has(address.ip().to_canonical()) == Some(true))
    }
}

/// Records the result of a check. Where queries determine the state, only a successful dial matters.
fn checked(target: &Arc<Target>, found: Result<(), Failed>) {
    match (target.rules().check, found) {
        (Check::Connect, Ok(())) => target.note(Event::Passed),
        (Check::Connect, Err(failed)) if failed.cause.blames_target() => {
            target.details().answer = failed.answer;
            target.note(Event::Failed(failed.cause));
        }
        (_, Ok(())) => target.note(Event::Reached),
        (_, Err(_)) => {}
    }
}

fn note_query(target: &Target, now: Instant) {
    let mut details = target.details();
    (details.queried, details.urgent) = (Some(now), false);
}

/// Records whether a process listens. For a target that is up, requests a search for its holder.
fn found(target: &Arc<Target>, listens: io::Result<bool>, now: Instant) {
    match listens {
        Ok(true) => target.note(Event::Listens),
        Ok(false) => {
            target.lose_holder(now);
            target.note(Event::Absent);
        }
        Err(error) if is_passing(&error) => {}
        // No netlink here, as in some sandboxes: only dials can determine the state.
        Err(_) => target.details().blind = true,
    }
    if target.stage() == Stage::Up && target.details().search == Search::Wanted {
        let queued = target.ask(RequestKind::Who, now);
        let mut details = target.details();
        if queued && details.search == Search::Wanted {
            details.search = Search::Asked;
        }
    }
}

/// Whether the next query may work: this one lacked a descriptor or memory.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EINTR)
    )
}

fn listens(addresses: &[SocketAddr]) -> io::Result<bool> {
    for address in addresses {
        if sockets::listening(*address)? {
            return Ok(true);
        }
    }
    Ok(false)
}
