//! The files that a configuration names, such as certificates: each is read once here, and watched by the reloader.
//!
//! A relative path starts at the folder of the file it is written in, not at the working directory of the process.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use crate::config::{
    Content, FileName, Limit, NamedFile, Place, Problem, Texts, Unread, Written, read_regular,
};

/// The largest file that is read. The certificates of all public authorities together take a quarter of it.
const LIMIT: Limit = Limit { mebibytes: 1, name: "the limit for certificates" };

/// The most files that one configuration may name: each is checked four times a second.
const MAX_FILES: usize = 4096;

/// Why a file has no content: what is wrong, to follow the file's name, and what to do.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    pub(super) what: String,
    pub(super) help: &'static str,
}

/// Every file that was requested.
pub(super) struct Files<'t> {
    texts: &'t Texts,
    read: BTreeMap<PathBuf, (NamedFile, Result<Content, Unreadable>)>,
    authorities: OnceCell<Vec<CertificateDer<'static>>>,
}

impl<'t> Files<'t> {
    /// No files yet; paths are resolved against the folders of these texts.
    pub(super) fn new(texts: &'t Texts) -> Files<'t> {
        Files { texts, read: BTreeMap::new(), authorities: OnceCell::new() }
    }

    /// The path that is opened.
    pub(super) fn path(&self, named: &Written<FileName>) -> PathBuf {
        self.texts.folder(&named.place).join(&named.value.0)
    }

    /// The file that a place is in; `None` if it is in none.
    pub(super) fn of(&self, place: &Place) -> Option<&Path> {
        self.texts.file(place)
    }

    /// The path of the main file; `None` if there is none.
    pub(super) fn main(&self) -> Option<&Path> {
        self.texts.main().map(|main| Path::new(&main.name)).filter(|path| !path.as_os_str().is_empty())
    }

    /// The content of the file.
    pub(super) fn read(&mut self, named: &Written<FileName>) -> Result<&Content, &Unreadable> {
        let path = self.path(named);
        let read = |path: &PathBuf| {
            let mut named = NamedFile::new(path.clone());
            let content = read_regular(path, LIMIT);
            named.is_busy = matches!(content, Err(Unread::Leased));
            let told = content.map_err(|unread| {
                let (what, help) = unread.told();
                Unreadable { what, help }
            });
            (named, told)
        };
        self.read.entry(path).or_insert_with_key(read).1.as_ref()
    }

    /// The certificate authorities this machine trusts; empty if it has none.
    pub(super) fn authorities(&self) -> &[CertificateDer<'static>] {
        // An authority that cannot be read is treated as missing: a certificate that needs it is refused.
        self.authorities.get_or_init(|| rustls_native_certs::load_native_certs().certs)
    }

    /// Every file that was requested, and these. Sorted.
    pub(super) fn and(self, others: impl Iterator<Item = NamedFile>) -> Vec<NamedFile> {
        let own = self.read.into_values().map(|(file, _)| file);
        let all: BTreeMap<_, _> = own.chain(others).map(|it| (it.path.clone(), it)).collect();
        all.into_values().collect()
    }
}

/// Adds a problem if there are too many files to watch.
pub(super) fn few_enough(files: &[NamedFile], problems: &mut Vec<Problem>) {
    if files.len() > MAX_FILES {
        let message = format!("it names {} files, and at most {MAX_FILES} can be watched", files.len());
        let help = "put several into one file: a list has any number of lines, and a PEM file any number of authorities";
        problems.push(Problem::new(Place::File, "", message).help(help));
    }
}
