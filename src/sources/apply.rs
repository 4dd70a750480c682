//! A file change or SIGHUP → plan → [`Handle::declare`]. A reload is a transaction: if there is any problem, nothing
//! changes.
//!
//! `watching` decides when to reload: it watches the configuration and every file that it names.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::announce::log_chosen;
use super::declare::{Undeclared, declare};
use super::file::{Taken, Watch};
use super::refusal::Refusal;
use super::watching::Watching;
use crate::config::{LIMIT, NamedFile, Problems};
use crate::engine::{self, Declared, Handle, NotListening, Refused};
use crate::ledger::LogFormat;
use crate::plan::{self, Plan, Route, Sources, Tunnel};
use crate::tunnel::Tunnels;

/// Keeps an engine in step with its configuration.
pub struct Reloader {
    sources: Sources,
    handle: Handle,
    tunnels: Arc<Tunnels>,
    plan: Plan,
    watch: Watching,
    log_format: Option<LogFormat>,
    last: Option<Last>,
}

/// What a reload did, or why it did nothing.
pub type Answer = Result<Arc<Declared>, Arc<Refusal>>;

/// The last reload.
#[derive(Clone, Debug)]
pub struct Last {
    /// When it ended.
    pub at: SystemTime,
    /// Its result.
    pub answer: Answer,
}

/// A refusal, and the files that the refused configuration names.
type Rejected = (Refusal, Vec<NamedFile>);

impl Reloader {
    /// A reloader for an engine that runs `plan`, which was loaded from `sources`. Its tunnels are those that begin with the
    /// first reload; see [`Reloader::with_tunnels`].
    pub fn new(sources: Sources, plan: Plan, handle: Handle) -> Reloader {
        let watch = Watching::new(sources.file.as_deref(), &plan);
        let tunnels = Arc::new(Tunnels::new(handle.clone()));
        Reloader { sources, handle, tunnels, plan, watch, log_format: None, last: None }
    }

    /// With these tunnels, which [`declare`] has given the plan that runs.
    #[must_use]
    pub fn with_tunnels(mut self, tunnels: Arc<Tunnels>) -> Reloader {
        self.tunnels = tunnels;
        self
    }

    /// Fixes the log's format to that of the command line, whatever the file has.
    #[must_use]
    pub fn with_log_format(mut self, format: Option<LogFormat>) -> Reloader {
        self.log_format = format;
        self
    }

    /// The plan that runs now.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether there is a file to reload; otherwise every route is on the command line.
    pub fn has_file(&self) -> bool {
        self.sources.file.is_some()
    }

    /// The last reload; `None` before the first.
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// Waits for one trigger and reloads. Triggers during a reload cause exactly one more: `hangup` resolves once for
    /// any number of signals, and of file changes only the latest state counts.
    ///
    /// Cancel safe until the reload begins; the engine completes a reload that has begun.
    pub async fn turn(&mut self, hangup: impl Future<Output = ()>) {
        let taken = tokio::select! {
            taken = self.watch.change() => Some(taken),
            () = hangup => None,
        };
        // A signal reloads the file at once, as it is.
        let taken = match taken {
            Some(taken) => taken,
            None => {
                self.handle.look_up_names();
                self.watch.ask(|watch| watch.as_it_is()).await
            }
        };
        // The answer is kept in `last`.
        let _ = self.carry_out(taken).await;
    }

    /// Reloads the configuration as it is now, as at a hang-up. The answer is also kept in [`Reloader::last`].
    ///
    /// # Errors
    /// The [`Refusal`]; then nothing has changed.
    ///
    /// Not cancel safe: if it is dropped, the engine may have completed the reload without the reloader knowing.
    pub async fn reload(&mut self) -> Answer {
        self.handle.look_up_names();
        let taken = self.watch.ask(|watch| watch.as_it_is()).await;
        self.carry_out(taken).await
    }

    async fn carry_out(&mut self, taken: Taken) -> Answer {
        let before = self.plan.tunnels.links.clone();
        let answer = match self.try_reload(taken.content.clone()).await {
            Ok(declared) => {
                let files = self.plan.files.clone();
                self.watch.ask(move |watch| watch.takes_over(taken, &files)).await;
                log(&declared);
                let changed = [&*declared.change.added, &*declared.change.replaced].concat();
                let changed = || changed.iter().filter_map(|name| self.plan.routes.get(name));
                log_chosen(&declared, changed());
                warn_of_open_routes(changed());
                warn_of_cautions(changed());
                let tunnels = self.plan.tunnels.links.values();
                warn_of_tunnels(tunnels.filter(|tunnel| before.get(&tunnel.name) != Some(tunnel)));
                Ok(Arc::new(declared))
            }
            Err((refusal, files)) => {
                let refused = move |watch: &mut Watch| {
                    watch.refuses(taken, &files);
                    watch.missing()
                };
                let missing = self.watch.ask(refused).await;
                let awaited =
                    missing.map_or(String::new(), |it| format!("\n(tried again once this exists: {it})"));
                let why = refusal.to_string();
                tracing::error!("reload refused, nothing has changed:\n{}{awaited}", why.trim_end());
                Err(Arc::new(refusal))
            }
        };
        self.last = Some(Last { at: SystemTime::now(), answer: answer.clone() });
        answer
    }

    async fn try_reload(&mut self, content: Option<Vec<u8>>) -> Result<Declared, Rejected> {
        let sources = self.sources.clone();
        let mut plan = self.watch.run(move || planned(&sources, content.as_deref())).await?;
        plan.log.format = self.log_format.unwrap_or(plan.log.format);
        let unchangeable = plan::unchangeable(&self.plan, &plan);
        if !unchangeable.is_empty() {
            return Err((Refusal::Unchangeable(unchangeable), plan.files));
        }
        plan.tunnels = plan::keep_equal_tunnels(&self.plan.tunnels, plan.tunnels);
        match declare(&self.handle, &self.tunnels, &plan).await {
            Ok(declared) => {
                self.handle.limit_handshakes(plan.limits.handshakes);
                self.plan = plan;
                Ok(declared)
            }
            Err(Undeclared::Refused(Refused::Bind(failures))) => {
                let diagnose = move || {
                    let diagnoses = engine::diagnose(&failures, &|_, _| None);
                    Refusal::Bind { failures, diagnoses }
                };
                Err((self.watch.run(diagnose).await, plan.files))
            }
            Err(Undeclared::Refused(refused)) => Err((Refusal::Engine(refused), plan.files)),
            Err(Undeclared::NoThread(error)) => Err((Refusal::NoThread(error), plan.files)),
        }
    }
}

/// The plan of the sources, of which the file was read already. Reads the files that it names.
fn planned(sources: &Sources, content: Option<&[u8]>) -> Result<Plan, Rejected> {
    if let Some(path) = sources.file.as_deref().filter(|path| is_no_file(path)) {
        return Err((Refusal::NoFile(path.to_owned()), Vec::new()));
    }
    parse(sources, content).map_err(|problems| {
        let files = problems.files.clone();
        (Refusal::Problems(problems), files)
    })
}

fn parse(sources: &Sources, content: Option<&[u8]>) -> Result<Plan, Problems> {
    match (&sources.file, content.map(std::str::from_utf8)) {
        (Some(path), Some(Ok(text))) if text.len() as u64 <= LIMIT.bytes() => {
            plan::load_text(sources, path, text)
        }
        // Any fault in reading the text is reported as at the start.
        _ => plan::load(sources),
    }
}

/// Warns about each of these routes that accepts every client that can reach it.
pub(crate) fn warn_of_open_routes<'r>(routes: impl Iterator<Item = &'r Arc<Route>>) {
    for route in routes.filter(|route| route.is_exposed() && !route.is_guarded()) {
        tracing::warn!(
            "route {} listens beyond this machine, and every client that can reach it may connect: restrict it, as \
            allow = [\"192.168.0.0/16\"], or open it explicitly, as allow = [\"0.0.0.0/0\", \"::/0\"]",
            route.name
        );
    }
}

/// Logs the cautions of these routes (see [`Route::cautions`]).
pub(crate) fn warn_of_cautions<'r>(routes: impl Iterator<Item = &'r Arc<Route>>) {
    for caution in routes.flat_map(|route| route.cautions(SystemTime::now())) {
        tracing::warn!("route {}: {}", caution.route, caution.text);
    }
}

/// Logs the cautions of these tunnels (see [`Tunnel::cautions`]).
pub(crate) fn warn_of_tunnels<'t>(tunnels: impl Iterator<Item = &'t Arc<Tunnel>>) {
    for tunnel in tunnels {
        for caution in tunnel.cautions() {
            tracing::warn!("tunnel {}: {caution}", tunnel.name);
        }
    }
}

/// Logs the line of a reload, and one for each address that is not bound yet.
fn log(declared: &Declared) {
    let change = &declared.change;
    let (added, replaced, removed) = (change.added.len(), change.replaced.len(), change.removed.len());
    tracing::info!("reload added={added} replaced={replaced} removed={removed}");
    for NotListening { owner, address, why } in &declared.not_listening {
        tracing::warn!("{owner} does NOT listen on {address}: {why}");
    }
}

fn is_no_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}
