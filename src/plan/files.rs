//! The files that a configuration names, such as certificates: each is read once here, and watched by the reloader.
//!
//! A relative path starts at the folder of the file it is written in, not at the working directory of the process.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use crate::config::{FileName, NamedFile, Place, Problem, Texts, Written, unreadable};

/// The largest file that is read, in bytes. The certificates of all public authorities together take a quarter of it.
const MAX_BYTES: u64 = 1024 * 1024;

/// The most files that one configuration may name: each is checked four times a second.
const MAX_FILES: usize = 4096;

/// The content of a file, and its permissions.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// The permission bits.
    pub(super) mode: u32,
}

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

    /// The content of the file.
    pub(super) fn read(&mut self, named: &Written<FileName>) -> Result<&Content, &Unreadable> {
        let path = self.path(named);
        self.read.entry(path).or_insert_with_key(|path| (NamedFile::new(path.clone()), read(path))).1.as_ref()
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

fn read(path: &Path) -> Result<Content, Unreadable> {
    let failed = |error: std::io::Error| {
        let (what, help) = unreadable(&error);
        Unreadable { what, help }
    };
    // The kind is checked first: opening a pipe would block until another process writes to it.
    let meta = fs::metadata(path).map_err(failed)?;
    if meta.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    if !meta.is_file() {
        let help = "name a regular file, which can be read again when it changes";
        return Err(Unreadable { what: "this is not a regular file".into(), help });
    }
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // One byte more than allowed distinguishes a file that is too large from one that just fits.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        let what = "the file is larger than 1 MiB, the limit for certificates".to_owned();
        return Err(Unreadable { what, help: "is this the right file?" });
    }
    Ok(Content { bytes, mode: meta.mode() & 0o777 })
}
