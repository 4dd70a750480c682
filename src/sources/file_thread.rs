//! The thread that touches files while the program runs.
//!
//! A file of a network file system that does not answer, or of a disk that does not, holds up whoever asks for it, even for
//! its state alone. The thread that hears signals must not be the one.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a job may take before that is logged. There is one thread, and so at most one that waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// The jobs that may wait. A caller whose future was dropped leaves its job behind, and the next caller waits for both.
const MAX_JOBS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs one after another. It ends once it is dropped, after the job it is at.
pub(super) struct FileThread {
    /// `None` if no thread could be started: then each job runs where it is asked for.
    jobs: Option<SyncSender<Job>>,
}

impl FileThread {
    pub(super) fn start() -> FileThread {
        let (jobs, inbox) = sync_channel::<Job>(MAX_JOBS);
        let run = move || inbox.into_iter().for_each(|job| job());
        let started = thread::Builder::new().name("files".into()).spawn(run);
        if let Err(error) = &started {
            tracing::warn!(
                "no thread for reading files ({error}): a file that does not answer delays signals"
            );
        }
        FileThread { jobs: started.ok().map(|_| jobs) }
    }

    /// The result of a job. A job that takes longer than [`PATIENCE`] is logged once, and waited for.
    ///
    /// Cancel safe: a job that was accepted runs to its end.
    pub(super) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (reply, mut answer) = oneshot::channel();
        let job = move || {
            // The caller may be gone.
            let _ = reply.send(catch_unwind(AssertUnwindSafe(job)));
        };
        self.accept(Box::new(job)).await;
        let result = match timeout(PATIENCE, &mut answer).await {
            Ok(result) => result,
            Err(_) => {
                tracing::warn!(
                    "the files of the configuration have not answered for {} s; they are read once they do, and \
                     sessions go on",
                    PATIENCE.as_secs()
                );
                answer.await
            }
        };
        match result {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            // The thread runs every job it was given, and nothing ends it but the drop of this value.
            Err(_) => std::future::pending().await,
        }
    }

    async fn accept(&self, job: Job) {
        let Some(jobs) = &self.jobs else { return job() };
        let mut job = job;
        // A full queue means that the thread waits for a file, and that its callers were dropped.
        while let Err(error) = jobs.try_send(job) {
            job = match error {
                std::sync::mpsc::TrySendError::Full(job) => job,
                std::sync::mpsc::TrySendError::Disconnected(job) => return job(),
            };
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_hangs_holds_up_nobody_who_does_not_wait_for_it() {
        let files = FileThread::start();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let hanging = files.run(move || gate.recv().is_ok());
        let answered = timeout(Duration::from_millis(20), hanging).await;
        assert!(answered.is_err(), "it hangs, and this task goes on");

        go.send(()).unwrap();

        assert_eq!(files.run(|| 1).await, 1);
        let inline = FileThread { jobs: None };
        assert_eq!(inline.run(|| 2).await, 2);
    }
}
