//! What tells one state of a file from another without reading it, and the files a configuration names.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A state of a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// What the file is now; `None` where there is none, or none that can be read twice.
    pub fn of(path: &Path) -> Option<Stamp> {
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

/// A file that a configuration names beside itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// As it was opened.
    pub path: PathBuf,
    /// What it was just before it was read, so that what changes meanwhile is a change after it.
    pub stamp: Option<Stamp>,
}
