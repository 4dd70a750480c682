//! The files of a configuration: whether they have changed and settled, are missing, or are back.
//!
//! Each is examined with stat(2), four times a second. That detects every way of saving alike (in place, by rename, a
//! symlink swapped at any hop as in Kubernetes mounts, in a directory that did not exist before) on every file system.
//! inotify was rejected: it needs a watch on the directory of each hop, misses network file systems, and so needs the
//! polling anyway.
//!
//! The crate `notify` was rejected too: it does not follow swapped symlinks either.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::{LIMIT, NamedFile, Stamp, Unread, read_regular};
use crate::plan::Plan;
use crate::units::shown_path;

/// How soon files that could not be opened are tried again although they have not changed: those under a lease, which
/// the kernel ends after 45 s.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How long a file may be missing before that is reported: some programs remove a file to save it again.
const MISSING_MOMENT: Duration = Duration::from_secs(1);

/// The most files that one line names.
const MAX_NAMED: usize = 3;

/// The files, and the state of each when it was last read for a plan.
pub(super) struct Watch {
    /// The configuration itself; `None` if all routes are on the command line, which names no files.
    config: Option<(PathBuf, Watched)>,
    /// Its content, if that is in force.
    content: Option<Vec<u8>>,
    /// The files that the plan in force names, and those of the plan that was refused last.
    named: BTreeMap<PathBuf, Watched>,
    /// When they are read again without a change.
    again: Option<Instant>,
}

struct Watched {
    seen: Option<Stamp>,
    /// Whether its path is a pattern, for which a change of any matching file counts.
    is_pattern: bool,
    /// Whether the running plan was made from it.
    is_in_force: bool,
    presence: Presence,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    There,
    MissingSince(Instant),
    /// Missing, and reported.
    Gone,
}

/// The configuration at one moment.
pub(super) struct Taken {
    /// Its state just before it was read.
    seen: Option<Stamp>,
    /// Its content; `None` if it cannot be read.
    pub(super) content: Option<Vec<u8>>,
    /// Whether it may be read later without having changed.
    is_busy: bool,
}

impl Watched {
    fn new(seen: Option<Stamp>, is_in_force: bool) -> Watched {
        Watched { seen, is_pattern: false, is_in_force, presence: Presence::There }
    }

    /// Updates whether it exists now. True if the change must be reported.
    fn note(&mut self, is_there: bool, now: Instant) -> bool {
        let before = self.presence;
        self.presence = match before {
            _ if is_there => Presence::There,
            Presence::There if self.is_in_force && self.seen.is_some() => Presence::MissingSince(now),
            Presence::MissingSince(since) if now.saturating_duration_since(since) >= MISSING_MOMENT => {
                Presence::Gone
            }
            before => before,
        };
        (before == Presence::Gone) != (self.presence == Presence::Gone)
    }
}

impl Watch {
    /// Watches the configuration of a plan that is in force. Anything saved since it was read counts as a change.
    pub(super) fn new(config: Option<&Path>, plan: &Plan) -> Watch {
        let config = config.map(|path| (path.to_owned(), Watched::new(None, true)));
        let mut watch = Watch { config, content: None, named: BTreeMap::new(), again: None };
        watch.takes_over(Taken { seen: plan.stamp, content: None, is_busy: false }, &plan.files);
        watch
    }

    /// Keeps the content of the configuration, if it is still the one that was read for the plan.
    pub(super) fn begin(&mut self) {
        let taken = self.taken();
        let seen = self.config.as_ref().and_then(|(_, config)| config.seen);
        self.content = taken.content.filter(|_| taken.seen == seen);
    }

    /// Records that this content is in force, and which files it names.
    pub(super) fn takes_over(&mut self, taken: Taken, named: &[NamedFile]) {
        if let Some((_, config)) = &mut self.config {
            config.seen = taken.seen;
        }
        self.content = taken.content;
        self.again = None;
        self.named = named
            .iter()
            .map(|it| {
                (it.path.clone(), Watched { is_pattern: it.is_pattern, ..Watched::new(it.stamp, true) })
            })
            .collect();
    }

    /// Records that this content was refused, and which files it names. The content is not kept, so that saving it
    /// again causes another reload, as does a change of one of its files.
    pub(super) fn refuses(&mut self, taken: Taken, named: &[NamedFile]) {
        if let Some((_, config)) = &mut self.config {
            config.seen = taken.seen;
        }
        self.content = None;
        let is_busy = taken.is_busy || named.iter().any(|it| it.is_busy);
        self.again = is_busy.then(|| Instant::now() + TRY_AGAIN);
        self.named.retain(|_, it| it.is_in_force);
        // A content that cannot be parsed names no files, and another may name others. A file in force that changed is no
        // reason to refuse the same content again.
        for (path, watched) in &mut self.named {
            watched.seen = Stamp::of_named(path, watched.is_pattern).or(watched.seen);
        }
        for NamedFile { path, is_pattern, stamp, .. } in named {
            let watched = self.named.entry(path.clone()).or_insert(Watched::new(None, false));
            (watched.seen, watched.is_pattern) = (*stamp, *is_pattern);
        }
    }

    /// The names of the files that did not exist when they were last read; `None` if all did.
    pub(super) fn missing(&self) -> Option<String> {
        names(self.all().filter(|(path, it)| it.seen.is_none() && !path.exists()).map(|(path, _)| path))
    }

    /// The configuration at this moment.
    pub(super) fn as_it_is(&mut self) -> Taken {
        self.poll();
        self.taken()
    }

    fn taken(&self) -> Taken {
        Taken::from(self.config.as_ref().map(|(path, _)| &**path))
    }

    /// Whether the configuration, or a file that it names, exists and has changed, or is to be read again. A short
    /// absence is not a change; a long one is reported. While the configuration itself is missing, changes of the others
    /// are ignored.
    pub(super) fn is_restless(&mut self) -> bool {
        let named = self.poll();
        let Some((path, config)) = &self.config else { return false };
        let is_other = Stamp::of(path).is_some_and(|now| config.seen != Some(now));
        is_other || self.is_changed(&named) || self.is_due()
    }

    /// The configuration and the states of the named files now; `None` if the configuration is not there.
    pub(super) fn look(&self) -> Option<Look> {
        let taken = self.taken();
        taken.seen.is_some().then(|| Look { taken, named: self.stamps() })
    }

    /// The file that differs between two looks.
    pub(super) fn between(&self, before: &Look, now: &Look) -> Option<String> {
        let both = before.named.iter().zip(&now.named);
        let restless = self.named.keys().zip(both).find(|(_, (a, b))| a != b);
        let restless = match restless {
            Some((path, _)) => Some(path),
            None if before.taken.content != now.taken.content => self.config.as_ref().map(|(path, _)| path),
            None => None,
        };
        restless.map(|path| name(path))
    }

    /// The configuration, if what was seen is to be reloaded; a save without a change is not.
    pub(super) fn accept(&mut self, look: Look) -> Option<Taken> {
        if self.is_changed(&look.named) || self.is_due() || look.taken.content != self.content {
            return Some(look.taken);
        }
        if let Some((_, config)) = &mut self.config {
            config.seen = look.taken.seen;
        }
        None
    }

    fn is_due(&self) -> bool {
        self.again.is_some_and(|at| Instant::now() >= at)
    }

    /// The states of the named files now. Reports files that have disappeared or are back.
    fn poll(&mut self) -> Vec<Option<Stamp>> {
        let (now, stamps) = (Instant::now(), self.stamps());
        let config = self.config.as_mut().map(|(path, it)| (&*path, it, path.exists()));
        let named = self.named.iter_mut().zip(&stamps).map(|((path, it), stamp)| (path, it, stamp.is_some()));
        let (mut gone, mut back) = (Vec::new(), Vec::new());
        for (path, watched, is_there) in config.into_iter().chain(named) {
            if watched.note(is_there, now) {
                if is_there { &mut back } else { &mut gone }.push(path);
            }
        }
        if let Some(gone) = names(gone.into_iter()) {
            tracing::warn!(
                "no longer there: {gone}; the configuration in force stays, and is reloaded once this is back"
            );
        }
        if let Some(back) = names(back.into_iter()) {
            tracing::info!("there again: {back}");
        }
        stamps
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        self.named.iter().map(|(path, it)| Stamp::of_named(path, it.is_pattern)).collect()
    }

    /// Whether one of the named files exists and has changed.
    fn is_changed(&self, named: &[Option<Stamp>]) -> bool {
        self.named.values().zip(named).any(|(watched, now)| now.is_some() && watched.seen != *now)
    }

    fn all(&self) -> impl Iterator<Item = (&PathBuf, &Watched)> {
        self.config.iter().map(|(path, it)| (path, it)).chain(&self.named)
    }
}

/// The files at one moment.
pub(super) struct Look {
    taken: Taken,
    named: Vec<Option<Stamp>>,
}

impl Taken {
    fn from(config: Option<&Path>) -> Taken {
        // Taken before the read, so that a change during the read is seen as a change.
        let seen = config.and_then(Stamp::of);
        let read = seen.and(config).map(|path| read_regular(path, LIMIT));
        let is_busy = matches!(read, Some(Err(Unread::Leased)));
        Taken { seen, content: read.and_then(Result::ok).map(|it| it.bytes), is_busy }
    }
}

/// The first of these by name, and how many more there are; `None` if there are none.
fn names<'p>(mut paths: impl Iterator<Item = &'p PathBuf>) -> Option<String> {
    let named: Vec<String> = paths.by_ref().take(MAX_NAMED).map(|path| name(path)).collect();
    let more = match paths.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| named.join(", ") + &more)
}

/// A path as text that stays on one line of a log, whatever characters it has.
fn name(path: &Path) -> String {
    shown_path(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_absence_is_not_reported_and_a_long_one_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let start = Instant::now();
        let mut watched = Watched::new(Stamp::of(file.path()), true);
        let looks = [
            (0, false),
            (900, false),
            (950, true),
            (1000, false),
            (2000, false),
            (3000, false),
            (4000, true),
        ];

        let reported = looks.map(|(ms, is_there)| watched.note(is_there, start + Duration::from_millis(ms)));

        assert_eq!(reported, [false, false, false, false, true, false, true]);
    }

    #[test]
    fn a_refusal_is_not_repeated_because_a_file_in_force_has_changed_too() {
        let folder = tempfile::tempdir().unwrap();
        let [main, included] = ["loopgate.toml", "a.toml"].map(|name| folder.path().join(name));
        std::fs::write(&main, "include = 'a.toml'\nroutes.web = { listen = '1', target = '2' }\n").unwrap();
        std::fs::write(&included, "").unwrap();
        let plan =
            crate::plan::load(&crate::plan::Sources { file: Some(main.clone()), ..Default::default() });
        let mut watch = Watch::new(Some(&main), &plan.unwrap());

        std::fs::write(&included, "# changed").unwrap();
        assert!(watch.is_changed(&watch.stamps()));
        std::fs::write(&main, "include = ").unwrap();
        let taken = watch.as_it_is();
        watch.refuses(taken, &[]);

        assert!(!watch.is_changed(&watch.stamps()));
        std::fs::write(&included, "# changed again").unwrap();
        assert!(watch.is_changed(&watch.stamps()));
    }

    #[test]
    fn a_file_that_is_not_in_force_is_not_missed() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(9));
        let mut awaited = Watched::new(None, false);

        assert!(![now, later].map(|at| awaited.note(false, at)).contains(&true));
    }

    #[test]
    fn of_many_files_the_first_are_named_and_the_rest_counted() {
        let paths: Vec<PathBuf> = ["a", "b", "c\n", "d", "e"].map(PathBuf::from).into();

        assert_eq!(names(paths[..1].iter()).unwrap(), "a");
        assert_eq!(names(paths.iter()).unwrap(), r"a, b, c\n and 2 more");
        assert_eq!(names([].iter()), None);
    }
}
