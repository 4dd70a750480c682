//! The file of a private key: for this user and root alone, and never overwritten.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fgetxattr};
use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::access::{Exposed, Facts, judge};
use super::private_key::{NoKey, PrivateKey};
use crate::units::shown_path;

/// The largest file that is read, in bytes; a key takes 119.
const MAX_FILE: u64 = 16 << 10;

/// Room for an access control list of 127 entries; a longer one counts as one that names others.
const MAX_LIST: usize = 1024;

/// Why there is no key in a file. Nothing of what is in the file is quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, to follow its name.
    pub what: String,
    /// What to do; a command to type where there is one.
    pub help: String,
    /// Whether the file does not exist.
    pub is_missing: bool,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown_path(&self.path), self.what)
    }
}

impl std::error::Error for KeyFault {}

impl PrivateKey {
    /// The key in this file, which must be for this user and root alone. A link is followed: what counts is the file that
    /// was opened.
    ///
    /// It waits for the disk.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn read(path: &Path) -> Result<PrivateKey, KeyFault> {
        let failed = |error: io::Error| unreadable(path, &error);
        // Asked before the open, which is not without effect on every device.
        regular(path, &fs::metadata(path).map_err(failed)?)?;
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
        // Of the opened file: another may have been put there meanwhile.
        let meta = file.metadata().map_err(failed)?;
        regular(path, &meta)?;
        let facts = Facts { owner: meta.uid(), mode: meta.mode() & 0o777, acl: list(&file) };
        let us = geteuid().as_raw();
        judge(&facts, us).map_err(|exposed| open_to_others(path, &facts, us, exposed))?;
        // One allocation: a text that grows leaves copies of itself behind.
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
        file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_FILE {
            return Err(fault(path, "the file is larger than any key", "is this the right file?"));
        }
        PrivateKey::of_pem(&text).map_err(|NoKey { what, help }| fault(path, what, help))
    }

    /// Writes it to a new file, readable by this user alone, in a folder that is made if there is none (mode 0700). What
    /// exists is not touched, a link neither.
    ///
    /// # Errors
    /// What is wrong, and what to do. Nothing is left behind then, but for folders.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyFault> {
        let failed = |error: io::Error| unwritable(path, &error);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        // O_EXCL: neither a file nor a link, wherever it points, is opened (open(2)).
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(flags)
            .open(path)
            .map_err(failed)?;
        let written = file.write_all(self.to_pem().as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| {
            // A part of a key is of no use, and would be in the way of the next try.
            let _ = fs::remove_file(path);
            failed(error)
        })
    }
}

fn fault(path: &Path, what: impl Into<String>, help: impl Into<String>) -> KeyFault {
    KeyFault { path: path.to_owned(), what: what.into(), help: help.into(), is_missing: false }
}

fn regular(path: &Path, meta: &fs::Metadata) -> Result<(), KeyFault> {
    match meta.file_type() {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_dir() => Err(fault(path, "this is a directory", "name the file in it")),
        _ => Err(fault(path, "this is not a regular file", "name a regular file")),
    }
}

/// The access control list of the file, if it has one. An unreadable one is one that names others: its bytes are none.
fn list(file: &File) -> Option<Vec<u8>> {
    let mut bytes = vec![0; MAX_LIST];
    match fgetxattr(file, "system.posix_acl_access", &mut bytes) {
        Ok(length) => {
            bytes.truncate(length);
            Some(bytes)
        }
        // None, or a file system without such lists (fgetxattr(2)); and then one too long.
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => None,
        Err(_) => Some(Vec::new()),
    }
}

fn open_to_others(path: &Path, facts: &Facts, us: u32, exposed: Exposed) -> KeyFault {
    let file = shown_path(path);
    let (owner, mode) = (facts.owner, facts.mode);
    let what = match exposed {
        Exposed::OtherOwner => {
            format!("it belongs to user {owner}, who may change it, and not to this user ({us})")
        }
        Exposed::Others => format!("others may read or change the key (mode {mode:04o})"),
    };
    let help = if owner == us {
        format!("chmod 600 {file}")
    } else {
        format!("chown {us} {file} && chmod 600 {file}")
    };
    fault(path, what, help)
}

fn unreadable(path: &Path, error: &io::Error) -> KeyFault {
    let file = shown_path(path);
    match error.kind() {
        io::ErrorKind::NotFound => KeyFault {
            is_missing: true,
            ..fault(
                path,
                "there is no such file",
                format!("make the key with `loopgate tunnel key --file {file}`"),
            )
        },
        io::ErrorKind::PermissionDenied => {
            let us = geteuid().as_raw();
            fault(path, "this user may not read the file", format!("chown {us} {file} && chmod 600 {file}"))
        }
        _ => fault(path, format!("the file cannot be read: {error}"), "check the path"),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> KeyFault {
    match error.kind() {
        io::ErrorKind::AlreadyExists => fault(
            path,
            "it exists already, and a key is never overwritten",
            "move it away, or name another --file",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            let help = "name a place that this user may write to with --file FILE, or run as the user who runs Loopgate";
            fault(path, format!("it cannot be written: {error}"), help)
        }
        _ => fault(path, format!("it cannot be written: {error}"), "check the path"),
    }
}
