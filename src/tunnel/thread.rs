//! The thread on which tunnels live: a runtime of its own, so that what they do never delays the thread that hears signals.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use super::accept::{Accept, Book, Newcomer, keep_seat};
use super::asked;
use super::dial::{self, changes};
use super::link::Link;

/// How often refusals are looked at that were not logged.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How long the goodbyes of a tunnel that is no longer wanted may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// A tunnel that has just begun, as the thread takes it.
pub(super) struct Start {
    pub(super) link: Arc<Link>,
    pub(super) asked: asked::Inbox,
    pub(super) role: Role,
}

/// Which end opens the connections.
pub(super) enum Role {
    /// This one.
    Dialling,
    /// The other.
    Accepting(mpsc::Receiver<Newcomer>),
}

/// The thread.
pub(super) struct Thread {
    starts: mpsc::UnboundedSender<Start>,
    nudges: Arc<watch::Sender<u64>>,
    /// Resolves once every tunnel has ended.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Thread {
    /// Starts it. It ends once `stopping` is cancelled and its tunnels have said goodbye, or it is dropped.
    ///
    /// # Errors
    /// No thread, or no poller for it.
    pub(super) fn start(
        accept: Arc<Accept>,
        book: Arc<Book>,
        stopping: CancellationToken,
    ) -> io::Result<Thread> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        // One entry for each tunnel that a plan begins, taken at once.
        let (starts, inbox) = mpsc::unbounded_channel();
        let nudges = Arc::new(watch::Sender::new(0));
        let nudged = nudges.clone();
        let (told, ended) = oneshot::channel();
        thread::Builder::new().name("tunnels".into()).spawn(move || {
            runtime.block_on(run(inbox, nudged, accept, book, stopping));
            // Whoever waited may be gone.
            let _ = told.send(());
        })?;
        Ok(Thread { starts, nudges, ended: Mutex::new(Some(ended)) })
    }

    /// Begins a tunnel.
    pub(super) fn begin(&self, start: Start) {
        // It fails only after the stop.
        let _ = self.starts.send(start);
    }

    /// The network may have changed, or the configuration was read anew: what waits to dial dials at once.
    pub(super) fn nudge(&self) {
        changes::nudge(&self.nudges);
    }

    /// Resolves once every tunnel has ended.
    pub(super) async fn ended(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            // An error means that the thread has panicked, and so has ended.
            let _ = ended.await;
        }
    }
}

async fn run(
    mut starts: mpsc::UnboundedReceiver<Start>,
    nudges: Arc<watch::Sender<u64>>,
    accept: Arc<Accept>,
    book: Arc<Book>,
    stopping: CancellationToken,
) {
    let mut tunnels = JoinSet::new();
    let mut tells = interval(TELL_EVERY);
    let mut changes = pin!(async {
        changes::watch(&nudges).await;
        pending::<()>().await
    });
    loop {
        tokio::select! {
            start = starts.recv() => match start {
                Some(start) => {
                    tunnels.spawn(live(start, nudges.subscribe(), book.clone()));
                }
                // The program drops everything.
                None => return,
            },
            Some(ended) = tunnels.join_next() => {
                if let Err(error) = ended {
                    tracing::error!("a tunnel has ended by a panic ({error}); this is a bug in Loopgate, please report it");
                }
            }
            _ = tells.tick() => accept.tell(),
            () = &mut changes => {}
            () = stopping.cancelled(), if tunnels.is_empty() => return,
        }
    }
}

/// A tunnel, from the plan that has it first to the one that no longer has it.
async fn live(start: Start, nudges: watch::Receiver<u64>, book: Arc<Book>) {
    let Start { link, asked, role } = start;
    let connections = async {
        match role {
            Role::Dialling => dial::run(link.clone(), nudges).await,
            Role::Accepting(newcomers) => keep_seat(link.clone(), book, newcomers).await,
        }
    };
    let over = async {
        link.over.cancelled().await;
        sleep(GOODBYE).await;
    };
    let connected = async {
        tokio::select! {
            () = connections => {}
            () = over => {}
        }
        link.line.set_down();
    };
    let asking = async {
        tokio::select! {
            () = asked::keep(link.clone(), asked, asked::Times::default()) => {}
            () = link.over.cancelled() => {}
        }
        // At once, before a tunnel that comes after it under the same name declares anything. (The engine retires everything
        // when the program stops.)
        if !link.stopping.is_cancelled() {
            asked::withdraw(&link).await;
        }
    };
    tokio::join!(connected, asking);
}
