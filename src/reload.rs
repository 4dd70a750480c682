//! A file change or SIGHUP → plan → the one door. A reload is a transaction: any problem, and nothing changes.
//!
//! The file is looked at by stat(2), four times a second. That sees every way of saving alike (in place, by rename, a
//! symlink swapped at any hop, as Kubernetes mounts do it) and on every file system. Watching with inotify was refused:
//! it needs a watch on the directory of each hop, misses network file systems, and so needs the poll all the same.

use std::fs::{self, File};
use std::future::Future;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::sleep;

use crate::config::{MAX_BYTES, Problems};
use crate::engine::{self, Declared, Handle, NotListening, Refused, Source};
use crate::ledger::LogFormat;
use crate::plan::{self, Plan, Route, Sources};

/// Between two looks at the file.
const LOOK: Duration = Duration::from_millis(250);

/// Two reads this far apart must be equal: a half-saved file can be valid TOML.
const SETTLE: Duration = Duration::from_millis(100);

/// How often a file that is never left alone is told.
const REMIND: Duration = Duration::from_secs(10);

/// Keeps an engine at what the configuration says.
pub struct Reloader {
    sources: Sources,
    handle: Handle,
    plan: Plan,
    /// What the file was when it was last taken.
    seen: Option<Stamp>,
    /// What was in it then, if that was taken over.
    content: Option<Vec<u8>>,
    /// The files it names, and what they were.
    named: Named,
    log_format: Option<LogFormat>,
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        // A pipe can be read once and not again; what is in it is no state to watch.
        let meta = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Stamp {
            file: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

/// Each with what it was when it was last taken; `None` where it could not be looked at.
type Named = Vec<(PathBuf, Option<Stamp>)>;

fn look_at(files: &[PathBuf]) -> Named {
    files.iter().map(|file| (file.clone(), Stamp::of(file))).collect()
}

impl Reloader {
    /// For an engine that runs `plan`, which came from `sources`.
    pub fn new(sources: Sources, plan: Plan, handle: Handle) -> Reloader {
        let seen = sources.file.as_deref().and_then(Stamp::of);
        let content = seen.and(sources.file.as_deref()).and_then(read);
        let named = look_at(&plan.files);
        Reloader { sources, handle, plan, seen, content, named, log_format: None }
    }

    /// Keeps the log's form at what the command line says, whatever the file does.
    #[must_use]
    pub fn with_log_format(mut self, format: Option<LogFormat>) -> Reloader {
        self.log_format = format;
        self
    }

    /// The plan that runs now.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Waits for one trigger and carries it out. Triggers during a reload become exactly one more: hang-ups by the nature
    /// of `hangup`, which tells that there was one and not how many, and changes because only the latest state counts.
    ///
    /// Cancel safe until it begins to reload; a reload that has begun is carried out by the engine.
    pub async fn turn(&mut self, hangup: impl Future<Output = ()>) {
        let changed = settled_change(self.sources.file.as_deref(), self.seen, self.content.as_deref());
        let (seen, content) = tokio::select! {
            (seen, content) = changed => (Some(seen), Some(content)),
            // Taken as it is, at once.
            () = hangup => self.as_it_is(),
            () = settled_change_of(&self.named) => self.as_it_is(),
        };
        // Before they are read: what changes while they are is a change after it.
        let files: Vec<PathBuf> = self.named.iter().map(|(file, _)| file.clone()).collect();
        self.named = look_at(&files);
        self.seen = seen;
        self.reload(content).await;
    }

    /// The file at this moment.
    fn as_it_is(&self) -> (Option<Stamp>, Option<Vec<u8>>) {
        let file = self.sources.file.as_deref();
        let seen = file.and_then(Stamp::of);
        (seen, seen.and(file).and_then(read))
    }

    async fn reload(&mut self, content: Option<Vec<u8>>) {
        match self.try_reload(content.as_deref()).await {
            Ok(declared) => {
                self.content = content;
                tell(&declared);
                let changed = [declared.change.added, declared.change.replaced].concat();
                let changed = || changed.iter().filter_map(|name| self.plan.routes.get(name));
                warn_of_open_routes(changed());
                warn_of_cautions(changed());
            }
            Err(why) => {
                // Not remembered as taken over, so that saving it again tries again.
                self.content = None;
                tracing::error!("reload refused, nothing has changed:\n{}", why.trim_end());
            }
        }
    }

    async fn try_reload(&mut self, content: Option<&[u8]>) -> Result<Declared, String> {
        if let Some(path) = self.sources.file.as_deref().filter(|path| is_no_file(path)) {
            return Err(format!("{} is not a regular file, so it cannot be read again", path.display()));
        }
        let mut plan = self.parse(content).map_err(|problems| problems.render(false))?;
        plan.log.format = self.log_format.unwrap_or(plan.log.format);
        let unchangeable = plan::unchangeable(&self.plan, &plan);
        if !unchangeable.is_empty() {
            return Err(unchangeable.join("\n"));
        }
        match self.handle.declare(Source::Config, plan.routes.clone()).await {
            Ok(declared) => {
                self.plan = plan;
                let files = std::mem::take(&mut self.plan.files);
                let known =
                    |file: &PathBuf| self.named.iter().find(|(known, _)| known == file).map(|(_, it)| *it);
                let named = |file: &PathBuf| (file.clone(), known(file).unwrap_or_else(|| Stamp::of(file)));
                self.named = files.iter().map(named).collect();
                self.plan.files = files;
                Ok(declared)
            }
            Err(Refused::Bind(failures)) => Err(engine::diagnose(&failures).report()),
            Err(refused @ Refused::Stopped) => Err(refused.to_string()),
        }
    }

    fn parse(&self, content: Option<&[u8]>) -> Result<Plan, Problems> {
        match (&self.sources.file, content.map(std::str::from_utf8)) {
            (Some(path), Some(Ok(text))) if text.len() as u64 <= MAX_BYTES => {
                plan::parse(&path.display().to_string(), text, &self.sources.forwards)
            }
            // Whatever keeps it from being read as a text is told as at the start.
            _ => plan::load(&self.sources),
        }
    }
}

/// Warns of each of these routes that lets in whoever can reach it.
pub(crate) fn warn_of_open_routes<'r>(routes: impl Iterator<Item = &'r Arc<Route>>) {
    for route in routes.filter(|route| route.is_exposed() && !route.is_guarded()) {
        tracing::warn!(
            "route {} listens beyond this machine, and whoever can reach it may connect: say who may, as \
             allow = [\"192.168.0.0/16\"], or that everybody may, as allow = [\"0.0.0.0/0\", \"::/0\"]",
            route.name
        );
    }
}

/// Warns of what works in these routes and should be known all the same.
pub(crate) fn warn_of_cautions<'r>(routes: impl Iterator<Item = &'r Arc<Route>>) {
    for caution in routes.flat_map(|route| route.cautions(SystemTime::now())) {
        tracing::warn!("route {}: {}", caution.route, caution.text);
    }
}

/// The line of a reload, and one for each address that is left for later.
fn tell(declared: &Declared) {
    let change = &declared.change;
    let (added, replaced, removed) = (change.added.len(), change.replaced.len(), change.removed.len());
    tracing::info!("reload added={added} replaced={replaced} removed={removed}");
    for NotListening { route, address, why } in &declared.not_listening {
        tracing::warn!("route {route} does NOT listen on {address}: {why}");
    }
}

/// Resolves once the file is there, holds something other than `content`, and stays so. A missing moment in between is no
/// change.
///
/// Cancel safe.
async fn settled_change(
    file: Option<&Path>,
    mut seen: Option<Stamp>,
    content: Option<&[u8]>,
) -> (Stamp, Vec<u8>) {
    let Some(path) = file else { return std::future::pending().await };
    loop {
        sleep(LOOK).await;
        let Some(now) = Stamp::of(path).filter(|now| Some(*now) != seen) else { continue };
        let Some(settled) = settled(path).await else { continue };
        if content != Some(&settled[..]) {
            return (now, settled);
        }
        seen = Some(now);
    }
}

/// Resolves once one of these files is there, is another than it was, and stays so.
///
/// Cancel safe.
async fn settled_change_of(named: &Named) {
    if named.is_empty() {
        return std::future::pending().await;
    }
    let stamps = || named.iter().map(|(file, _)| Stamp::of(file)).collect::<Vec<_>>();
    let changed = |now: &[Option<Stamp>]| {
        let both = named.iter().zip(now);
        both.filter(|((_, seen), now)| now.is_some() && seen != *now).count() > 0
    };
    loop {
        sleep(LOOK).await;
        let mut first = stamps();
        if !changed(&first) {
            continue;
        }
        loop {
            sleep(SETTLE).await;
            let second = stamps();
            if second == first {
                break;
            }
            first = second;
        }
        if changed(&first) {
            return;
        }
    }
}

/// The file once two reads are equal; `None` if it went away meanwhile.
async fn settled(path: &Path) -> Option<Vec<u8>> {
    let mut first = read(path)?;
    let mut told = Instant::now();
    loop {
        sleep(SETTLE).await;
        let second = read(path)?;
        if second == first {
            return Some(second);
        }
        first = second;
        if told.elapsed() >= REMIND {
            told = Instant::now();
            tracing::warn!(
                "{} keeps changing, so it is not taken over yet; SIGHUP takes it as it is",
                path.display()
            );
        }
    }
}

/// The file's bytes, or as many of them as show that it is no configuration; `None` where it cannot be read.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn is_no_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}
