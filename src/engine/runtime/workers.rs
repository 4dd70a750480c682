//! The threads that carry sessions, each with a single-threaded runtime.
//!
//! A session stays on the worker it was given to, so its wake-ups cross no thread and its buffer stays in that core's
//! cache. A work-stealing runtime was measured too and costs more per small request; see the benchmarks.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::relay;

/// All workers of an engine. Dropping them ends them and drops the sessions they still carry.
pub(crate) struct Workers {
    workers: Vec<Worker>,
    stop: CancellationToken,
}

struct Worker {
    handle: Handle,
    sessions: AtomicUsize,
    thread: Option<thread::JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` workers, at least one, that share `pipes` pipes. Where the system gives fewer threads, those do the
    /// work.
    ///
    /// # Errors
    /// The first thread, or a runtime, could not be started.
    pub(crate) fn start(count: usize, pipes: usize) -> io::Result<Workers> {
        let stop = CancellationToken::new();
        let count = count.max(1);
        let mut all = Workers { workers: Vec::with_capacity(count), stop };
        for n in 0..count {
            match start_one(n, pipes / count, all.stop.clone()) {
                Ok(worker) => all.workers.push(worker),
                Err(error) if n > 0 && is_no_thread(&error) => {
                    tracing::warn!(
                        "{n} of {count} workers: no more threads can be started: {error}; {NO_THREAD}"
                    );
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// The number of workers.
    pub(crate) fn count(&self) -> usize {
        self.workers.len()
    }

    /// Runs a listener's accept loop, or a session, on worker `n`.
    pub(crate) fn spawn(
        &self,
        n: usize,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        self.workers[n % self.workers.len()].handle.spawn(work)
    }

    /// The worker that this is called on; elsewhere the first.
    pub(crate) fn here(&self) -> usize {
        let here = Handle::try_current().ok().map(|here| here.id());
        self.workers.iter().position(|worker| Some(worker.handle.id()) == here).unwrap_or(0)
    }

    /// The worker for a session that was accepted on `here`: that worker, unless another carries an eighth less. A
    /// change of thread costs two wake-ups; streams, of which there are few, are spread evenly.
    pub(crate) fn place(&self, here: usize) -> usize {
        let load = |n: usize| self.workers[n].sessions.load(Relaxed);
        let least = (0..self.workers.len()).min_by_key(|n| load(*n)).unwrap_or(here);
        if load(here) <= load(least) + load(least) / 8 { here } else { least }
    }

    /// The number of sessions on all workers.
    pub(crate) fn sessions(&self) -> usize {
        self.workers.iter().map(|worker| worker.sessions.load(Relaxed)).sum()
    }

    /// Counts a session on worker `n`.
    pub(crate) fn enter(&self, n: usize) {
        self.workers[n].sessions.fetch_add(1, Relaxed);
    }

    /// Counts a session off worker `n`.
    pub(crate) fn leave(&self, n: usize) {
        self.workers[n].sessions.fetch_sub(1, Relaxed);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
        for worker in &mut self.workers {
            // A session may be the last owner of the engine; it must not wait for its own thread.
            if let Some(thread) = worker.thread.take().filter(|it| it.thread().id() != thread::current().id())
            {
                let _ = thread.join();
            }
        }
    }
}

/// What an administrator can do where no thread can be started.
pub const NO_THREAD: &str =
    "raise `ulimit -u`, TasksMax= of the systemd unit or --pids-limit of the container";

/// Whether an error of a thread's start is the limit of processes and threads (pthread_create(3), EAGAIN).
pub fn is_no_thread(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAGAIN)
}

fn start_one(n: usize, pipes: usize, stop: CancellationToken) -> io::Result<Worker> {
    // The runtime begins in its own thread: one that is dropped here, for want of a thread, would panic.
    let (sender, started) = mpsc::channel();
    let thread = thread::Builder::new().name(format!("worker-{n}")).spawn(move || {
        let runtime = match Builder::new_current_thread().enable_io().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(sender.send(Err(error))),
        };
        let _ = sender.send(Ok(Runtime::handle(&runtime).clone()));
        relay::prepare_thread(pipes);
        runtime.block_on(stop.cancelled());
    })?;
    let handle = started.recv().map_err(io::Error::other)??;
    Ok(Worker { handle, sessions: AtomicUsize::new(0), thread: Some(thread) })
}
