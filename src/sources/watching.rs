//! Waits for the files of a configuration to change and to settle. Every look at them is a job of the thread for files.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::file::{Look, Taken, Watch};
use super::file_thread::FileThread;
use crate::plan::Plan;

/// The time between two polls of the files.
const POLL: Duration = Duration::from_millis(250);

/// Two reads this far apart must be equal, because a half-saved file can be valid TOML.
const SETTLE: Duration = Duration::from_millis(100);

/// How often a file that keeps changing is reported.
const REMIND: Duration = Duration::from_secs(10);

/// The files, and the thread that touches them.
pub(super) struct Watching {
    /// Locked by the thread for files alone, for as long as a job takes.
    watch: Arc<Mutex<Watch>>,
    thread: FileThread,
    /// Whether the content in force has been looked at.
    has_begun: bool,
}

impl Watching {
    /// Watches the configuration of a plan that is in force.
    pub(super) fn new(config: Option<&Path>, plan: &Plan) -> Watching {
        let watch = Arc::new(Mutex::new(Watch::new(config, plan)));
        Watching { watch, thread: FileThread::start(), has_begun: false }
    }

    /// The answer of the watch, which may read files.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Watch) -> T + Send + 'static,
    ) -> T {
        let watch = self.watch.clone();
        self.thread.run(move || question(&mut watch.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// The result of a job that reads other files.
    pub(super) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.thread.run(job).await
    }

    /// Resolves once the configuration, or a file that it names, has changed, and has settled.
    ///
    /// Cancel safe.
    pub(super) async fn change(&mut self) -> Taken {
        if !self.has_begun {
            self.ask(Watch::begin).await;
            self.has_begun = true;
        }
        loop {
            sleep(POLL).await;
            if !self.ask(Watch::is_restless).await {
                continue;
            }
            let Some(look) = self.settled().await else { continue };
            if let Some(taken) = self.ask(|watch| watch.accept(look)).await {
                return taken;
            }
        }
    }

    /// What two looks agree on; `None` if the configuration disappeared meanwhile.
    async fn settled(&self) -> Option<Look> {
        let mut before = self.ask(|watch| watch.look()).await?;
        let mut reported = Instant::now();
        loop {
            sleep(SETTLE).await;
            let compared = self.ask(move |watch| {
                let now = watch.look()?;
                Some((watch.between(&before, &now), now))
            });
            let (restless, now) = compared.await?;
            let Some(restless) = restless else { return Some(now) };
            if reported.elapsed() >= REMIND {
                reported = Instant::now();
                tracing::warn!(
                    "{restless} keeps changing, so it is not reloaded yet; SIGHUP reloads it as it is"
                );
            }
            before = now;
        }
    }
}
