//! The one thread that searches and diagnoses for the engine: what takes longer than a query is queued here, in a
//! bounded queue.
//!
//! A search through /proc can take a third of a second, a diagnosis longer. Neither the health checker nor a session
//! waits for them: each queues its request and continues. When the queue is full, a change is logged without a
//! diagnosis.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::diagnose_target::{self, ListenerSurvey};
use crate::diagnosis::Verdict;
use crate::engine::targets::health::{News, Stage};
use crate::engine::targets::incidents::Incidents;
use crate::engine::targets::notify::RequestKind;
use crate::engine::targets::state_log::{self, Judged};
use crate::engine::targets::target::Target;
use crate::ledger::Ledger;
use crate::outcome::{Cause, Side};
use crate::probe::process::{holders, process_exit};
use crate::probe::sockets::Socket;

/// The largest number of queued requests.
const MAX_WAITING: usize = 1024;

/// Requests answered together, so that one search through /proc serves them all.
const BATCH: usize = 64;

/// With more requests than this at once, a target with no listener on or near its port is reported without a search of
/// its own: each takes some hundredths of a second, and the last of a thousand would be reported after half a minute.
const FEW: usize = 4;

/// Something to find out about a target.
struct Request {
    target: Arc<Target>,
    kind: RequestKind,
    /// When it arose.
    at: Instant,
}

/// The handle that queues requests.
pub(crate) struct DiagnosisQueue {
    requests: SyncSender<Request>,
}

/// A holder whose end is to be waited for.
pub(crate) struct ProcessWatch {
    pub(crate) target: Weak<Target>,
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Where these watches are sent, and how many there may be at one time.
pub(crate) struct ProcessWatches {
    pub(crate) sender: mpsc::Sender<ProcessWatch>,
    pub(crate) places: Arc<Semaphore>,
}

impl DiagnosisQueue {
    /// Queues a request; never waits. False if the queue is full.
    pub(super) fn ask(&self, target: &Arc<Target>, kind: RequestKind, at: Instant) -> bool {
        match self.requests.try_send(Request { target: target.clone(), kind, at }) {
            Ok(()) => true,
            Err(TrySendError::Full(untaken) | TrySendError::Disconnected(untaken)) => {
                if let RequestKind::News { news, waiting } = untaken.kind {
                    state_log::news(&untaken.target, news, waiting, None);
                }
                false
            }
        }
    }
}

/// Starts the thread; it ends with the last queue handle.
///
/// # Errors
/// The thread could not be started.
pub(crate) fn start(process_watches: ProcessWatches, ledger: Arc<Ledger>) -> io::Result<DiagnosisQueue> {
    let (requests, inbox) = sync_channel(MAX_WAITING);
    let worker = DiagnosisWorker { inbox, process_watches, ledger, incidents: Incidents::default() };
    thread::Builder::new().name("diagnosis".into()).spawn(move || worker.work())?;
    Ok(DiagnosisQueue { requests })
}

struct DiagnosisWorker {
    inbox: Receiver<Request>,
    process_watches: ProcessWatches,
    ledger: Arc<Ledger>,
    /// The ongoing problems of sessions, by target.
    incidents: Incidents<(Arc<str>, &'static str)>,
}

/// How often the worker checks whether a problem is over.
const SETTLE: Duration = Duration::from_secs(1);

impl DiagnosisWorker {
    fn work(mut self) {
        loop {
            match self.inbox.recv_timeout(SETTLE) {
                Ok(first) => {
                    let mut requests = vec![first];
                    requests.extend(self.inbox.try_iter().take(BATCH - 1));
                    self.find_holders(&requests);
                    let survey = (requests.len() > FEW).then(ListenerSurvey::read).flatten();
                    requests.into_iter().for_each(|request| self.answer(request, survey.as_ref()));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            for ((target, verdict), incident) in self.incidents.over(Instant::now()) {
                state_log::incident_over(&target, verdict, incident);
            }
        }
    }

    /// One search for all targets that are up and whose holder is not known.
    fn find_holders(&self, requests: &[Request]) {
        let mut wanted: Vec<(Arc<Target>, Vec<Socket>)> = Vec::new();
        for Request { target, kind, .. } in requests {
            let is_wanted = match kind {
                RequestKind::Who => true,
                RequestKind::News {
                    news: News::Became { stage, .. } | News::Settled { stage, .. }, ..
                } => *stage != Stage::Unknown && !matches!(stage, Stage::Down(_)),
                _ => false,
            };
            let is_new = wanted.iter().all(|(known, _)| !Arc::ptr_eq(known, target));
            if is_wanted && is_new && target.details().holder.is_none() {
                wanted.push((target.clone(), diagnose_target::listeners(target)));
            }
        }
        let sockets: Vec<Socket> = wanted.iter().flat_map(|(_, sockets)| sockets.clone()).collect();
        let found = if sockets.is_empty() { Vec::new() } else { holders::of(&sockets).found };
        for (target, sockets) in wanted {
            let is_theirs = |held: &&holders::Held| sockets.iter().any(|socket| socket.inode == held.inode);
            // Of a master and its workers, the oldest; it is the one that ends last.
            let holder = found.iter().filter(is_theirs).min_by_key(|held| held.holder.seniority());
            let theirs = found.iter().filter(is_theirs);
            let is_loopgate = theirs.clone().any(|held| held.holder.is_loopgate());
            target.led_to(is_loopgate, theirs.map(|held| held.inode));
            target.found_holder(holder.map(|held| held.holder.clone()));
            if let Some(held) = holder {
                self.watch_process(&target, held);
                state_log::holder(&target, &held.holder);
            }
        }
    }

    /// Has the health checker wait for the holder's end, if a permit is free and the process can be waited for.
    fn watch_process(&self, target: &Arc<Target>, held: &holders::Held) {
        let Ok(permit) = self.process_watches.places.clone().try_acquire_owned() else { return };
        let pid = held.holder.pid;
        // Checked once more with the descriptor open: then it cannot be another process with the same number.
        let Ok(pidfd) = process_exit::until_end(pid) else { return };
        if holders::holds(pid, held.inode) {
            let watch = ProcessWatch { target: Arc::downgrade(target), pid, pidfd, permit };
            // Full, or the engine is ending: then the target is queried now and then.
            let _ = self.process_watches.sender.try_send(watch);
        }
    }

    fn answer(&mut self, Request { target, kind, at }: Request, survey: Option<&ListenerSurvey>) {
        match kind {
            RequestKind::Who => {}
            RequestKind::News { news, waiting } => answer_news(&target, news, waiting, at, survey),
            RequestKind::Again(cause) => judge_again(&target, cause, at, survey),
            // Whether the other end reads is not to be seen in the socket of a tunnel.
            RequestKind::Session(report) if report.side == Side::Target && target.by_tunnel().is_some() => {}
            RequestKind::Session(report) => {
                if let Some(finding) = diagnose_target::session(&target, &report) {
                    let judged = Judged::from(finding);
                    self.ledger.note(report.id, judged.to_string().into());
                    self.report_incident(&target, &judged, at);
                }
            }
            RequestKind::Leaks => {
                if let Some(finding) = diagnose_target::leaks(&target, at) {
                    self.report_incident(&target, &Judged::from(finding), at);
                }
            }
        }
    }

    fn report_incident(&mut self, target: &Target, judged: &Judged, at: Instant) {
        if self.incidents.meet(&(target.name().clone(), judged.verdict.id()), at) {
            state_log::incident(target, judged);
        }
    }
}

fn answer_news(
    target: &Arc<Target>,
    news: News,
    waiting: usize,
    at: Instant,
    survey: Option<&ListenerSurvey>,
) {
    let judged = match news {
        News::Became { stage: Stage::Down(cause), .. } => {
            diagnose_target::why_down(target, cause, at, survey)
        }
        News::Became { stage: Stage::Stalled, .. } => Some(diagnose_target::stalled(target)),
        News::Flaps { changes, within } => {
            let now = match target.stage() {
                Stage::Down(cause) => diagnose_target::why_down(target, cause, at, survey),
                Stage::Stalled => Some(diagnose_target::stalled(target)),
                Stage::Unknown | Stage::Up => None,
            };
            Some(state_log::flapping(target, changes, within, now))
        }
        _ => None,
    };
    state_log::news(target, news, waiting, judged.as_ref());
    let stage = match news {
        News::Became { stage, .. } => stage,
        News::Flaps { .. } => target.stage(),
        News::Settled { .. } => return,
    };
    if let Some(judged) = judged {
        target.judged(stage, judged.verdict, judged.to_string().into(), at);
    }
}

/// Another verdict is logged; the same verdict with another text only replaces the hint.
fn judge_again(target: &Arc<Target>, cause: Cause, at: Instant, survey: Option<&ListenerSurvey>) {
    let before = target.details().verdict.as_ref().map(|(verdict, _)| *verdict);
    if target.stage() != Stage::Down(cause) || before == Some(Verdict::TargetFlapping) {
        return;
    }
    let Some(judged) = diagnose_target::why_down(target, cause, at, survey) else { return };
    if before.is_some_and(|before| before != judged.verdict) {
        state_log::still_down(target, cause, &judged);
    }
    target.judged(Stage::Down(cause), judged.verdict, judged.to_string().into(), at);
}
