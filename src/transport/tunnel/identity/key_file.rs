//! The file of a private key: for this user and root alone, and never overwritten.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::private_key::{NoKey, PrivateKey};
use crate::diagnosis::process_text::shell;
use crate::transport::secrecy::{self, Exposed};
use crate::units::shown_path;

/// The largest file that is read, in bytes; a key takes 119.
const MAX_FILE: u64 = 16 << 10;

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
        secrecy::judge(&file, &meta).map_err(|exposed| open_to_others(path, &meta, exposed))?;
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

fn open_to_others(path: &Path, meta: &fs::Metadata, exposed: Exposed) -> KeyFault {
    let (file, us) = (typed(path), geteuid().as_raw());
    let (owner, mode) = (meta.uid(), meta.mode() & 0o777);
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

/// The path as it is typed to a shell.
fn typed(path: &Path) -> String {
    shell(&[shown_path(path)])
}

fn unreadable(path: &Path, error: &io::Error) -> KeyFault {
    let file = typed(path);
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
            let help = format!(
                "read it as its owner, or give it to this user: chown {us} {file} && chmod 600 {file}"
            );
            fault(path, "this user may not read the file", help)
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

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use rustix::fs::{Mode, mkfifoat};

    use super::*;
    use crate::transport::secrecy::tests::give_list;

    /// A folder with a new key in `tunnel.key`.
    fn written() -> (tempfile::TempDir, PathBuf, PrivateKey) {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("tunnel.key"), PrivateKey::generate().unwrap());
        key.write_new(&path).unwrap();
        (folder, path, key)
    }

    fn told(path: &Path) -> (String, String) {
        let fault = PrivateKey::read(path).unwrap_err();
        let shown = shown_path(path);
        (fault.what, fault.help.replace(&shown, "FILE"))
    }

    #[test]
    fn a_new_key_is_for_its_user_alone_in_a_folder_that_is_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/loopgate/tunnel.key");
        let key = PrivateKey::generate().unwrap();

        key.write_new(&path).unwrap();

        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!((mode(path.parent().unwrap()), mode(&folder.path().join("state"))), (0o700, 0o700));
        assert_eq!(PrivateKey::read(&path).unwrap(), key);
    }

    #[test]
    fn what_exists_is_never_overwritten_nor_reached_through_a_link() {
        let (folder, path, key) = written();
        let link = folder.path().join("link");
        let nowhere = folder.path().join("nowhere");
        symlink(&nowhere, &link).unwrap();

        for taken in [&path, &link] {
            let fault = PrivateKey::generate().unwrap().write_new(taken).unwrap_err();
            assert!(fault.what.contains("never overwritten"), "{fault}");
        }
        assert_eq!(PrivateKey::read(&path).unwrap(), key);
        assert!(!nowhere.exists());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_command_that_closes_it() {
        let (_folder, path, key) = written();
        for mode in [0o640, 0o604, 0o660, 0o777] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let what = format!("others may read or change the key (mode {mode:04o})");
            assert_eq!(told(&path), (what, "chmod 600 FILE".into()));
        }
        let spaced = path.with_file_name("my key");
        fs::rename(&path, &spaced).unwrap();
        let help = PrivateKey::read(&spaced).unwrap_err().help;
        assert_eq!(help, format!("chmod 600 '{}'", spaced.display()));
        fs::rename(&spaced, &path).unwrap();
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(PrivateKey::read(&path).as_ref(), Ok(&key));
        }
    }

    #[test]
    fn the_file_behind_a_link_is_the_one_that_is_judged() {
        let (folder, path, key) = written();
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(PrivateKey::read(&link).unwrap(), key);

        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(told(&link).0.starts_with("others may read"));
    }

    #[test]
    fn a_list_that_names_this_user_alone_is_accepted_though_it_shows_as_the_groups_bits() {
        let (_folder, path, key) = written();
        if !give_list(&path, None) {
            return;
        }

        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o440);
        assert_eq!(PrivateKey::read(&path).unwrap(), key);

        give_list(&path, Some(geteuid().as_raw() + 1));
        assert!(told(&path).0.starts_with("others may read"));
    }

    #[test]
    #[ignore = "needs root"]
    fn a_key_of_another_user_is_refused_with_the_command_that_takes_it_over() {
        let (_folder, path, _) = written();
        chown(&path, Some(1000), None).unwrap();

        let (what, help) = told(&path);

        assert!(what.starts_with("it belongs to user 1000"), "{what}");
        assert_eq!(help, "chown 0 FILE && chmod 600 FILE");
    }

    #[test]
    fn what_is_no_key_file_is_told_apart_and_never_quoted() {
        let (folder, path, key) = written();
        let fifo = folder.path().join("fifo");
        mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();

        assert_eq!(told(&fifo).0, "this is not a regular file");
        assert_eq!(told(folder.path()).0, "this is a directory");
        assert_eq!(told(Path::new("/dev/zero")).0, "this is not a regular file");
        let missing = PrivateKey::read(&folder.path().join("x")).unwrap_err();
        assert!(
            missing.is_missing && missing.help.starts_with("make the key with `loopgate tunnel key --file")
        );
        fs::write(&path, key.to_pem().replace("END", "EMD")).unwrap();
        let damaged = PrivateKey::read(&path).unwrap_err();
        assert_eq!(damaged.what, "the key in it is damaged");
        assert!(!format!("{damaged:?}").contains("MC4C"));
        fs::write(&path, vec![b'x'; MAX_FILE as usize + 1]).unwrap();
        assert_eq!(told(&path).0, "the file is larger than any key");
    }
}
