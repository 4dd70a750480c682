//! The state of a file as far as it can be compared without reading it, and the files that a configuration names.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::pattern;

/// A state of a regular file, or of all files that match a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp(State);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    File {
        file: (u64, u64),
        size: u64,
        modified: (i64, i64),
        changed: (i64, i64),
    },
    /// A digest of their names and states.
    Files(u64),
}

impl Stamp {
    /// The state of the file now; `None` if there is no file, or none that can be read twice.
    pub fn of(path: &Path) -> Option<Stamp> {
        // A pipe can be read only once, so it has no state to watch.
        let meta = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Stamp(State::File {
            file: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }))
    }

    /// The state now of a named file, or of all files that match a pattern.
    pub(crate) fn of_named(path: &Path, is_pattern: bool) -> Option<Stamp> {
        if is_pattern { Stamp::of_all(path) } else { Stamp::of(path) }
    }

    /// The state now of all files that match a pattern; `None` if their folder cannot be listed.
    fn of_all(pattern: &Path) -> Option<Stamp> {
        let files: Vec<_> = pattern::matches(pattern).ok()?;
        let files: Vec<_> = files.into_iter().map(|path| (Stamp::of(&path), path)).collect();
        let mut digest = DefaultHasher::new();
        files.hash(&mut digest);
        Some(Stamp(State::Files(digest.finish())))
    }
}

/// A file that a configuration names, or a pattern of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The path as it was opened; a pattern keeps its `*` and `?`.
    pub path: PathBuf,
    /// Whether it stands for every file that matches it.
    pub is_pattern: bool,
    /// Its state just before it was read, so that a change during the read is seen as a change.
    pub stamp: Option<Stamp>,
    /// Whether it could not be read and may be later without having changed: another process holds a lease on it.
    pub is_busy: bool,
}

impl NamedFile {
    /// A file as it is now.
    pub(crate) fn new(path: PathBuf) -> NamedFile {
        NamedFile { stamp: Stamp::of(&path), path, is_pattern: false, is_busy: false }
    }

    /// Whether it stands for a file of this path, which need not exist; its folder must.
    #[cfg(feature = "cli")]
    pub(crate) fn takes(&self, file: &Path) -> bool {
        let folder = |path: &Path| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()
        };
        let (Some(own), Some(name)) = (self.path.file_name(), file.file_name()) else { return false };
        let fits = if self.is_pattern { pattern::takes(own, name) } else { own == name };
        fits && folder(&self.path).is_some_and(|own| folder(file) == Some(own))
    }

    /// The files that match a pattern, as they are now.
    pub(crate) fn fitting(pattern: PathBuf) -> NamedFile {
        NamedFile { stamp: Stamp::of_all(&pattern), path: pattern, is_pattern: true, is_busy: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "cli")]
    #[test]
    fn a_file_that_does_not_exist_yet_is_known_to_fit() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let pattern = NamedFile::fitting(at("*.toml"));

        assert!(pattern.takes(&at("home.toml")) && NamedFile::new(at("home.toml")).takes(&at("./home.toml")));
        for other in ["home.conf", ".home.toml", "home.toml~", "none/home.toml"] {
            assert!(!pattern.takes(&at(other)), "{other}");
        }
    }

    #[test]
    fn a_file_that_is_added_changed_or_removed_changes_the_state_of_its_pattern() {
        let folder = tempfile::tempdir().unwrap();
        let named = NamedFile::fitting(folder.path().join("*.toml"));
        let file = |name: &str| folder.path().join(name);
        let now = || Stamp::of_named(&named.path, named.is_pattern);
        let mut states = vec![named.stamp];

        for (name, text) in [("a.toml", "1"), ("b.toml", ""), ("a.toml", "longer")] {
            fs::write(file(name), text).unwrap();
            states.push(now());
        }
        fs::rename(file("a.toml"), file("c.toml")).unwrap();
        states.push(now());
        assert!(states.iter().all(Option::is_some));
        assert!(states.windows(2).all(|pair| pair[0] != pair[1]), "{states:?}");

        fs::write(file(".hidden.toml"), "").unwrap();
        fs::write(file("c.toml~"), "").unwrap();
        assert_eq!(now(), states[4]);
    }
}
