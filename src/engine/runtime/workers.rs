//! The threads that carry sessions, each with a single-threaded runtime.
//!
//! A session stays on the worker it was given to, so its wake-ups cross no thread and its buffer stays in that core's
//! cache. A work-stealing runtime was measured too and costs more per small request; see the benchmarks.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::relay;

/// Threads for name lookups, per worker. Idle ones end by themselves.
const MAX_LOOKUPS: usize = 4;
const LOOKUP_IDLE: Duration = Duration::from_secs(1);

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
    /// Starts `count` workers, at least one, that share `pipes` pipes.
    ///
    /// # Errors
    /// A thread or its runtime could not be started.
    pub(crate) fn start(count: usize, pipes: usize) -> io::Result<Workers> {
        let stop = CancellationToken::new();
        let count = count.max(1);
        let workers =
            (0..count).map(|n| start_one(n, pipes / count, stop.clone())).collect::<io::Result<_>>()?;
        Ok(Workers { workers, stop })
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

fn start_one(n: usize, pipes: usize, stop: CancellationToken) -> io::Result<Worker> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(MAX_LOOKUPS)
        .thread_keep_alive(LOOKUP_IDLE)
        .build()?;
    let handle = runtime.handle().clone();
    let thread = thread::Builder::new().name(format!("worker-{n}")).spawn(move || {
        relay::prepare_thread(pipes);
        runtime.block_on(stop.cancelled());
        // A lookup that hangs in the system's resolver must not delay the end.
        runtime.shutdown_background();
    })?;
    Ok(Worker { handle, sessions: AtomicUsize::new(0), thread: Some(thread) })
}
