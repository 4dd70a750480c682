//! The files a configuration names beside itself, as certificates: each is read once, and watched by whoever reloads.
//!
//! A relative path starts at the folder of the file it is written in, wherever the process was started.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use crate::config::{FileName, NamedFile, Place, Problem, Texts, Written, unreadable};

/// The largest file that is read. The certificates of every authority there is take a quarter of it.
const MAX_BYTES: u64 = 1024 * 1024;

/// The most files that one configuration names: each is looked at four times a second.
const MAX_FILES: usize = 4096;

/// What is in a file, and who may read it.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// The permission bits.
    pub(super) mode: u32,
}

/// Why there is nothing: what is wrong, to follow the file's name, and what to do.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    pub(super) what: String,
    pub(super) help: &'static str,
}

/// Every file that was asked for.
pub(super) struct Files<'t> {
    texts: &'t Texts,
    read: BTreeMap<PathBuf, (NamedFile, Result<Content, Unreadable>)>,
    authorities: OnceCell<Vec<CertificateDer<'static>>>,
}

impl<'t> Files<'t> {
    /// Files named by these texts.
    pub(super) fn new(texts: &'t Texts) -> Files<'t> {
        Files { texts, read: BTreeMap::new(), authorities: OnceCell::new() }
    }

    /// The path as it is opened.
    pub(super) fn path(&self, named: &Written<FileName>) -> PathBuf {
        self.texts.folder(&named.place).join(&named.value.0)
    }

    /// What is in the file.
    pub(super) fn read(&mut self, named: &Written<FileName>) -> Result<&Content, &Unreadable> {
        let path = self.path(named);
        self.read.entry(path).or_insert_with_key(|path| (NamedFile::new(path.clone()), read(path))).1.as_ref()
    }

    /// The certificate authorities this machine trusts; empty where it knows none.
    pub(super) fn authorities(&self) -> &[CertificateDer<'static>] {
        // What cannot be read of them is no worse than what is not there: a certificate that needs it is refused.
        self.authorities.get_or_init(|| rustls_native_certs::load_native_certs().certs)
    }

    /// Every file that was asked for, and these. Sorted.
    pub(super) fn and(self, others: impl Iterator<Item = NamedFile>) -> Vec<NamedFile> {
        let own = self.read.into_values().map(|(file, _)| file);
        let all: BTreeMap<_, _> = own.chain(others).map(|it| (it.path.clone(), it)).collect();
        all.into_values().collect()
    }
}

/// Adds a problem where they are too many to be watched.
pub(super) fn few_enough(files: &[NamedFile], problems: &mut Vec<Problem>) {
    if files.len() > MAX_FILES {
        let message = format!("it names {} files, and at most {MAX_FILES} can be watched", files.len());
        let help = "put what belongs together into one file: lists have many lines, and one of PEM any number of authorities";
        problems.push(Problem::new(Place::File, "", message).help(help));
    }
}

fn read(path: &Path) -> Result<Content, Unreadable> {
    let failed = |error: std::io::Error| {
        let (what, help) = unreadable(&error);
        Unreadable { what, help }
    };
    // Looked at first: to open a pipe would wait for whoever writes to it.
    let meta = fs::metadata(path).map_err(failed)?;
    if meta.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    if !meta.is_file() {
        let help = "name a regular file, which can be read again when it changes";
        return Err(Unreadable { what: "this is no regular file".into(), help });
    }
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        let what = "the file is larger than 1 MiB, and no certificate is".to_owned();
        return Err(Unreadable { what, help: "is this the right file?" });
    }
    Ok(Content { bytes, mode: meta.mode() & 0o777 })
}
