//! Keeps an eye on every target beside the data path: asks the kernel who listens, waits for a holder's end, dials where
//! neither helps.
//!
//! A look is one netlink question of some 15 µs and disturbs nobody; all looks together are rationed (`query_limit`), the
//! target that has waited longest first. A target that is up and whose holder's end is waited for is not looked at. An
//! end only prompts a look: a child may hold the listener on. Whatever takes longer than a look is `diagnosis_worker`'s.

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

/// Dials at one time, over all targets.
const MAX_DIALS: usize = 8;

/// Between two looks for connections a target leaves open, where nothing else says when.
const LEAKS: Duration = Duration::from_secs(10);

/// More targets than these are looked at all together.
const FEW: usize = 8;

/// How long the addresses of this machine are taken for known.
const NETWORK_AGE: Duration = Duration::from_secs(5);

/// The running task. Dropped, it ends.
pub(crate) struct HealthChecker {
    walk: AbortHandle,
}

impl Drop for HealthChecker {
    fn drop(&mut self) {
        self.walk.abort();
    }
}

/// Starts to look at `targets`, on the current tokio runtime, which carries no session.
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
        walks: Instant::now(),
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
    /// When the stall detector walks next.
    walks: Instant,
    queries: QueryLimit,
    dials: Arc<Semaphore>,
    /// Dials under way, and the waits for a holder's end.
    tasks: JoinSet<()>,
    /// The addresses of this machine, and when they were read.
    network: Option<(Instant, Network)>,
}

impl Rounds {
    async fn walk(mut self, wake: Arc<Notify>, mut process_watches: mpsc::Receiver<ProcessWatch>) {
        loop {
            let pause = self.round(Instant::now());
            tokio::select! {
                () = sleep(pause) => {}
                () = wake.notified() => {}
                Some(watch) = process_watches.recv() => self.keep(watch),
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    /// One look at all that is due; gives how long nothing else will be.
    fn round(&mut self, now: Instant) -> Duration {
        let mut pause = IDLE;
        let mut due: Vec<(Option<Instant>, Step, Arc<Target>)> = Vec::new();
        for target in self.targets.all() {
            if target.health().flaps() {
                target.tick(now);
            }
            let is_here = self.is_here(&target, now);
            for (step, last, rest) in due_of(&target, is_here) {
                let wait = match (step, last) {
                    // Whatever changes that wakes us.
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
        let is_crowd = due.iter().filter(|(_, step, _)| *step == Step::Look).count() > FEW;
        let table = if is_crowd { self.survey(now) } else { None };
        for (_, step, target) in due {
            match (step, &table) {
                (Step::Dial, _) => self.dial(&target, now),
                (Step::Look, None) => self.look(&target, now),
                (Step::Look, Some(table)) => self.compare(&target, table, now),
            }
        }
        self.targets.settle_local_errors(now);
        if now >= self.walks {
            let soon = self.stalls.walk(&self.targets, &mut self.queries, now);
            self.walks = now + if soon { PACE } else { IDLE };
            self.look_for_leaks(now);
        }
        pause.min(self.walks.saturating_duration_since(now))
    }

    /// Has targets that were used lately looked at for connections they leave open.
    fn look_for_leaks(&mut self, now: Instant) {
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

    /// Every listener of this machine, for the price of two looks: where many targets are due, they would use up all there
    /// are and each would have to wait its turn.
    fn survey(&mut self, now: Instant) -> Option<HashMap<u16, Vec<Socket>>> {
        if !self.queries.take(2, now) {
            return None;
        }
        let (rows, is_cut) = sockets::listeners().ok()?;
        let mut table: HashMap<u16, Vec<Socket>> = HashMap::new();
        rows.into_iter().for_each(|row| table.entry(row.local.port()).or_default().push(row));
        if is_cut { None } else { Some(table) }
    }

    /// Notes what the table says of a target. That nobody listens is certain; who a connection would meet is the kernel's
    /// own look-up to say, where it makes a difference.
    fn compare(&mut self, target: &Arc<Target>, table: &HashMap<u16, Vec<Socket>>, now: Instant) {
        let may_answer = |address: &SocketAddr| {
            let rows = table.get(&address.port()).into_iter().flatten();
            rows.map(|row| row.local.ip().to_canonical())
                .any(|ip| ip.is_unspecified() || ip == address.ip().to_canonical())
        };
        let is_there = target.addresses().iter().any(may_answer);
        match (is_there, target.stage()) {
            (true, Stage::Up | Stage::Stalled) => note_look(target, now),
            (true, _) => self.look(target, now),
            (false, _) => {
                note_look(target, now);
                found(target, Ok(false), now);
            }
        }
    }

    fn look(&mut self, target: &Arc<Target>, now: Instant) {
        if let Some(name) = target.to().unix() {
            return self.look_at_path(target, &name, now);
        }
        let addresses = target.addresses();
        if !self.queries.take(addresses.len() as u32, now) {
            return;
        }
        note_look(target, now);
        found(target, listens(&addresses), now);
    }

    fn look_at_path(&mut self, target: &Arc<Target>, name: &UnixName, now: Instant) {
        if !self.queries.take(1, now) {
            return;
        }
        {
            let mut details = target.details();
            (details.looked, details.urgent) = (Some(now), false);
        }
        match unix::look(name) {
            Ok(Path::Listening) => target.note(Event::Listens),
            Ok(Path::Missing) => target.note(Event::Missing),
            Ok(Path::Fresh) => {}
            // Left over, or another namespace's: a dial tells which.
            Ok(Path::Quiet) => target.note(Event::Hidden),
            Err(error) if is_passing(&error) => {}
            Err(_) => target.details().blind = true,
        }
    }

    fn dial(&mut self, target: &Arc<Target>, now: Instant) {
        // Without a place it stays due, and those that have waited longest come first.
        let Ok(place) = self.dials.clone().try_acquire_owned() else { return };
        {
            let mut details = target.details();
            (details.dialled, details.dialling) = (Some(now), true);
        }
        let target = target.clone();
        self.tasks.spawn(async move {
            let found = check(&target).await;
            target.details().dialling = false;
            checked(&target, found);
            drop(place);
        });
    }

    /// Waits for a holder's end on a task of its own. It ends with the holder, or when the target forgets it.
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
                target.look_at_once();
            }
        });
        held.watch = Some(task);
    }

    /// Whether the kernel's table can tell about the target: it has addresses, and all are this machine's.
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

/// Notes what a check has found. Where looks tell how a target is, only that it can be dialled again is news.
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

fn note_look(target: &Target, now: Instant) {
    let mut details = target.details();
    (details.looked, details.urgent) = (Some(now), false);
}

/// Notes whether somebody listens. Of a target that is up it is asked who.
fn found(target: &Arc<Target>, listens: io::Result<bool>, now: Instant) {
    match listens {
        Ok(true) => target.note(Event::Listens),
        Ok(false) => {
            target.lose_holder(now);
            target.note(Event::Absent);
        }
        Err(error) if is_passing(&error) => {}
        // No netlink here, as in some sandboxes: then dials alone can tell.
        Err(_) => target.details().blind = true,
    }
    if target.stage() == Stage::Up && target.details().search == Search::Wanted {
        let asked = target.ask(RequestKind::Who, now);
        let mut details = target.details();
        if asked && details.search == Search::Wanted {
            details.search = Search::Asked;
        }
    }
}

/// Whether a look may work the next time: it wanted for a descriptor or for memory.
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
