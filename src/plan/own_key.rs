//! This machine's key for tunnels: which file has it, and what is wrong with that file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::files::Files;
use crate::config::{FileName, NamedFile, Place, Problem, Problems, Written};
use crate::transport::tunnel::identity::{PrivateKey, places};
use crate::units::shown_path;

/// What is wrong where no key exists.
const NO_KEY: &str = "this machine has no key for tunnels";

/// Whether nothing is wrong but that this machine has no key for tunnels, in any place where one is looked for.
pub fn lacks_own_key(problems: &Problems) -> bool {
    matches!(&problems.list[..], [problem] if problem.message == NO_KEY) && problems.more == 0
}

/// The keys that were read, each file once.
#[derive(Default)]
pub(super) struct OwnKeys {
    read: BTreeMap<PathBuf, (NamedFile, Option<Arc<PrivateKey>>)>,
    /// Whether a key that is not named was looked for, and what was found.
    found: Option<Option<Arc<PrivateKey>>>,
}

impl OwnKeys {
    /// The key in the file that `key` names. Adds a problem if it cannot be used.
    pub(super) fn named(
        &mut self,
        written: &Written<FileName>,
        key: &str,
        files: &Files<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<PrivateKey>> {
        self.read(files.path(written), &written.place, key, problems)
    }

    /// The key of a configuration that names none: the first file that exists. Adds a problem, once, if there is none or
    /// if it cannot be used; `place` is what needs it.
    pub(super) fn found(
        &mut self,
        place: &Place,
        files: &Files<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<PrivateKey>> {
        if let Some(found) = &self.found {
            return found.clone();
        }
        let places = places(files.main(), |name| std::env::var_os(name));
        let found = match places.found() {
            Some(path) => self.read(path.to_owned(), place, "tunnel.private_key", problems),
            None => {
                let problem = Problem::new(place.clone(), "tunnel.private_key", NO_KEY);
                let at = places.made_at.as_ref();
                let file = at.map_or_else(|| "tunnel.key".to_owned(), |path| shown_path(path));
                problems.push(problem.help(format!("make one: loopgate tunnel key --file {file}")));
                // Once it is made, the configuration is read again.
                self.read.extend(at.map(|path| (path.clone(), (NamedFile::new(path.clone()), None))));
                None
            }
        };
        self.found = Some(found.clone());
        found
    }

    fn read(
        &mut self,
        path: PathBuf,
        place: &Place,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<PrivateKey>> {
        if let Some((_, read)) = self.read.get(&path) {
            return read.clone();
        }
        // Its state from before it is read: a change during the read is seen as a change.
        let named = NamedFile::new(path.clone());
        let read = match PrivateKey::read(&path) {
            Ok(read) => Some(Arc::new(read)),
            Err(fault) => {
                let message = format!("{}: {}", shown_path(&path), fault.what);
                problems.push(Problem::new(place.clone(), key, message).help(fault.help));
                None
            }
        };
        self.read.insert(path, (named, read.clone()));
        read
    }

    /// Every file that was read or would have been.
    pub(super) fn files(self) -> impl Iterator<Item = NamedFile> {
        self.read.into_values().map(|(named, _)| named)
    }
}
