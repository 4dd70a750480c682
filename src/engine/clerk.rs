//! The one thread that searches and judges for the engine: what takes longer than a look waits here, in a bounded queue.
//!
//! A search through /proc can take a third of a second, a diagnosis longer. Neither a look of the lookout nor a session
//! waits for them: whoever has a question leaves it at the desk and goes on. A full desk tells news without a diagnosis.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fd::OwnedFd;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::health::{News, Stage};
use super::targets::Target;
use super::tell::{self, Judged};
use crate::diagnosis::{self, Certainty, Diagnosis, Question as Asked, Subject, Verdict};
use crate::outcome::Cause;
use crate::probe::sockets::{self, Socket};
use crate::probe::{ending, holders};

/// Questions that may wait.
const MOST_WAITING: usize = 1024;

/// Questions answered together, so that one search through /proc serves them all.
const BATCH: usize = 64;

/// Something to find out about a target.
pub(super) struct Question {
    pub(super) target: Arc<Target>,
    pub(super) matter: Matter,
    /// When it came up.
    pub(super) at: Instant,
}

/// Why it is asked.
pub(super) enum Matter {
    /// It is up, and nobody knows who holds it.
    Who,
    /// There is something to tell.
    News {
        news: News,
        /// Clients that were held at that moment.
        waiting: usize,
    },
    /// It stays down, and something may have come up nearby.
    Again(Cause),
}

/// The way to leave a question.
#[derive(Clone)]
pub(super) struct Desk {
    questions: SyncSender<Question>,
}

/// A holder whose end is to be waited for.
pub(super) struct Vigil {
    pub(super) target: Weak<Target>,
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
    pub(super) permit: OwnedSemaphorePermit,
}

/// Where vigils go, and how many there may be at one time.
pub(super) struct Vigils {
    pub(super) sender: mpsc::Sender<Vigil>,
    pub(super) places: Arc<Semaphore>,
}

impl Desk {
    /// Leaves a question; never waits. False where it was not taken.
    pub(super) fn ask(&self, question: Question) -> bool {
        match self.questions.try_send(question) {
            Ok(()) => true,
            Err(TrySendError::Full(untaken) | TrySendError::Disconnected(untaken)) => {
                if let Matter::News { news, waiting } = untaken.matter {
                    tell::news(&untaken.target, news, waiting, None);
                }
                false
            }
        }
    }
}

/// Starts the thread; it ends with the last desk.
pub(super) fn start(vigils: Vigils) -> io::Result<Desk> {
    let (questions, inbox) = sync_channel(MOST_WAITING);
    let clerk = Clerk { inbox, vigils };
    thread::Builder::new().name("clerk".into()).spawn(move || clerk.work())?;
    Ok(Desk { questions })
}

struct Clerk {
    inbox: Receiver<Question>,
    vigils: Vigils,
}

impl Clerk {
    fn work(self) {
        while let Ok(first) = self.inbox.recv() {
            let mut questions = vec![first];
            questions.extend(self.inbox.try_iter().take(BATCH - 1));
            self.find_holders(&questions);
            questions.into_iter().for_each(answer);
        }
    }

    /// One search for all that are up and whose holder is not known.
    fn find_holders(&self, questions: &[Question]) {
        let mut wanted: Vec<(Arc<Target>, Vec<Socket>)> = Vec::new();
        for Question { target, matter, .. } in questions {
            let is_asked = match matter {
                Matter::Who => true,
                Matter::News { news: News::Became { stage, .. } | News::Settled { stage, .. }, .. } => {
                    *stage != Stage::Unknown && !matches!(stage, Stage::Down(_))
                }
                Matter::News { .. } | Matter::Again(_) => false,
            };
            let is_new = wanted.iter().all(|(known, _)| !Arc::ptr_eq(known, target));
            if is_asked && is_new && target.dossier().holder.is_none() {
                wanted.push((target.clone(), listeners(target)));
            }
        }
        let sockets: Vec<Socket> = wanted.iter().flat_map(|(_, sockets)| sockets.clone()).collect();
        let found = if sockets.is_empty() { Vec::new() } else { holders::of(&sockets).found };
        for (target, sockets) in wanted {
            let is_theirs = |held: &&holders::Held| sockets.iter().any(|socket| socket.inode == held.inode);
            // Of a master and its workers, the oldest; it is the one that ends last.
            let holder = found.iter().filter(is_theirs).max_by_key(|held| held.holder.age);
            target.found_holder(holder.map(|held| held.holder.clone()));
            if let Some(held) = holder {
                self.keep_vigil(&target, held);
                tell::holder(&target, &held.holder);
            }
        }
    }

    /// Has the lookout wait for the holder's end, where there is a place left and the process can be waited for.
    fn keep_vigil(&self, target: &Arc<Target>, held: &holders::Held) {
        let Ok(permit) = self.vigils.places.clone().try_acquire_owned() else { return };
        let pid = held.holder.pid;
        // Looked at once more with the descriptor open: then it cannot be another process with the same number.
        let Ok(pidfd) = ending::until_end(pid) else { return };
        if holders::holds(pid, held.inode) {
            let vigil = Vigil { target: Arc::downgrade(target), pid, pidfd, permit };
            // Full, or the engine is at its end: then it is looked at now and then.
            let _ = self.vigils.sender.try_send(vigil);
        }
    }
}

/// The listening sockets a dial to the target would meet.
fn listeners(target: &Target) -> Vec<Socket> {
    let addresses = target.addresses();
    addresses.into_iter().filter_map(|address| sockets::listener(address).ok().flatten()).collect()
}

fn answer(question: Question) {
    let Question { target, matter, at } = question;
    match matter {
        Matter::Who => {}
        Matter::News { news, waiting } => {
            let judged = match news {
                News::Became { stage: Stage::Down(cause), .. } => Some(judge_down(&target, cause, at)),
                News::Flaps { changes, within } => Some(tell::flapping(&target, changes, within)),
                _ => None,
            };
            tell::news(&target, news, waiting, judged.as_ref());
            if let (Some(judged), News::Became { .. } | News::Flaps { .. }) = (judged, news) {
                target.judged(stage_of(news), judged.verdict, judged.to_string().into(), at);
            }
        }
        Matter::Again(cause) => judge_again(&target, cause, at),
    }
}

fn stage_of(news: News) -> Stage {
    match news {
        News::Became { stage, .. } | News::Settled { stage, .. } => stage,
        News::Flaps { .. } => Stage::Unknown,
    }
}

/// Another verdict is told; the same in other words only becomes the hint.
fn judge_again(target: &Arc<Target>, cause: Cause, at: Instant) {
    let before = target.dossier().verdict.as_ref().map(|(verdict, _)| *verdict);
    if target.stage() != Stage::Down(cause) || before == Some(Verdict::TargetFlapping) {
        return;
    }
    let judged = judge_down(target, cause, at);
    if before.is_some_and(|before| before != judged.verdict) {
        tell::still_down(target, cause, &judged);
    }
    target.judged(Stage::Down(cause), judged.verdict, judged.to_string().into(), at);
}

/// A holder that ended longer ago than this before the target went down has nothing to do with it.
const RECENTLY: Duration = Duration::from_secs(5);

fn judge_down(target: &Arc<Target>, cause: Cause, at: Instant) -> Judged {
    let mut diagnosis = unreached(target, cause);
    if cause == Cause::Refused && diagnosis.verdict != Verdict::FirewallReject {
        // A session may have met the refusal before the holder's end was noticed.
        target.lose_holder(at);
    }
    let mut text = String::new();
    if cause == Cause::Refused {
        text.extend(how_it_ended(target, at).map(|ended| format!("{ended}; ")));
    }
    text.push_str(&diagnosis.summary);
    match target.take_cut() {
        0 => {}
        cut => {
            diagnosis.verdict = Verdict::TargetDiedMidstream;
            text.push_str(&format!("; {cut} connection{} cut", if cut == 1 { "" } else { "s" }));
        }
    }
    Judged { verdict: diagnosis.verdict, text }
}

/// `node (pid 931) ended after 2.0h`
fn how_it_ended(target: &Target, at: Instant) -> Option<String> {
    let ended = target.dossier().ended.clone()?;
    if at.saturating_duration_since(ended.at) > RECENTLY {
        return None;
    }
    let who = tell::name(&ended.holder);
    if !ending::is_ending(ended.holder.pid) {
        return Some(format!("{who} runs on, but listens no more"));
    }
    let lived = ended.holder.started.and_then(|started| SystemTime::now().duration_since(started).ok());
    Some(match lived {
        Some(lived) => format!("{who} ended after {}", tell::Lived(lived)),
        None => format!("{who} ended"),
    })
}

/// Why it cannot be reached, without dialling it once more.
fn unreached(target: &Target, cause: Cause) -> Diagnosis {
    match target.addresses().first() {
        Some(address) if cause == Cause::Refused => diagnosis::refusal(*address),
        address => {
            let address = address.copied().unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
            let subject = Subject::Tcp(address);
            let mut unknown = Diagnosis::new(Asked::Reach, subject, Verdict::Unknown, Certainty::Unknown);
            unknown.summary = cause.remedy().to_owned();
            unknown
        }
    }
}
