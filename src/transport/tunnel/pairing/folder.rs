//! The folder of files with tunnels, in which files are put whole or not at all.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, fstat, fsync, linkat, open, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{Ticket, written};
use crate::diagnosis::process_text::shell;
use crate::units::shown_path;

/// The name of the folder, beside the configuration.
pub const NAME: &str = "tunnels.d";

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// What is wrong with a folder or a file in it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The folder or file.
    pub path: PathBuf,
    /// What is wrong, to follow its name.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// An open folder that belongs to this user or root, and that nobody else may write.
#[derive(Debug)]
pub struct Folder {
    folder: OwnedFd,
    path: PathBuf,
}

/// A file that is written under a hidden name. Dropped, it is removed.
#[derive(Debug)]
pub struct Unfinished<'f> {
    folder: &'f Folder,
    temporary: String,
    name: String,
}

impl Folder {
    /// Opens it. A link is followed: what counts is the folder that was opened.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn open(path: &Path) -> Result<Folder, Unusable> {
        let failed = |error: Errno| unusable(path, error.into());
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty()).map_err(failed)?;
        let meta = fstat(&folder).map_err(failed)?;
        let (mode, us) = (meta.st_mode & 0o7777, geteuid().as_raw());
        if ![0, us].contains(&meta.st_uid) {
            let what = format!("it belongs to user {}, who could put anything there", meta.st_uid);
            return Err(Unusable { help: format!("chown {us} {}", typed(path)), ..fault(path, what) });
        }
        if mode & 0o022 != 0 {
            let what = format!("others may put files there (mode {mode:04o})");
            return Err(Unusable { help: format!("chmod go-w {}", typed(path)), ..fault(path, what) });
        }
        Ok(Folder { folder, path: path.to_owned() })
    }

    /// The same; made if there is none, for this user alone (mode 0700), with the folders above it.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn make(path: &Path) -> Result<Folder, Unusable> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| unusable(path, error))?;
        Folder::open(path)
    }

    /// The text of a file in it, which is no link; `None` if there is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, name: &str) -> Result<Option<String>, Unusable> {
        let path = self.path.join(name);
        let failed = |error: io::Error| unusable(&path, error);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(fault(&path, "this is not a regular file".to_owned()));
        }
        let mut text = String::new();
        file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_FILE {
            return Err(fault(&path, "it is too large to be a tunnel".to_owned()));
        }
        Ok(Some(text))
    }

    /// Writes a file that is to have this name, for this user alone (mode 0600), and has the disk take it. It gets its name
    /// with [`Unfinished::put`].
    ///
    /// # Errors
    /// What is wrong. Nothing is left behind then.
    pub fn write(&self, name: &str, text: &str) -> Result<Unfinished<'_>, Unusable> {
        let path = self.path.join(name);
        let failed = |error: io::Error| unusable(&path, error);
        let Some(ticket) = Ticket::random() else {
            return Err(fault(&path, "the system gives no random numbers".to_owned()));
        };
        let temporary = written::unfinished(name, ticket.id);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.folder, &temporary, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        let unfinished = Unfinished { folder: self, temporary, name: name.to_owned() };
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(unfinished)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// What is wrong.
    pub fn remove(&self, name: &str) -> Result<(), Unusable> {
        let removed = unlinkat(&self.folder, name, AtFlags::empty());
        removed.map_err(|error| unusable(&self.path(name), error.into()))
    }

    /// Where a file of this name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Unfinished<'_> {
    /// Gives it its name, in place of any file that has it, and has the disk take that. Then nothing undoes it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn put(self) -> Result<(), Unusable> {
        let folder = &self.folder.folder;
        let put = renameat(folder, &self.temporary, folder, &self.name).and_then(|()| fsync(folder));
        put.map_err(|error| unusable(&self.folder.path(&self.name), error.into()))
    }

    /// The same, where no file has the name yet.
    ///
    /// # Errors
    /// What is wrong; that there is one.
    pub fn put_new(self) -> Result<(), Unusable> {
        let folder = &self.folder.folder;
        let put = linkat(folder, &self.temporary, folder, &self.name, AtFlags::empty());
        put.and_then(|()| fsync(folder))
            .map_err(|error| unusable(&self.folder.path(&self.name), error.into()))
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // After `put` there is none; one that stays is hidden, and in nobody's way.
        let _ = unlinkat(&self.folder.folder, &self.temporary, AtFlags::empty());
    }
}

fn fault(path: &Path, what: String) -> Unusable {
    Unusable { path: path.to_owned(), what, help: "check the path".to_owned() }
}

fn unusable(path: &Path, error: io::Error) -> Unusable {
    let (what, help) = match error.kind() {
        io::ErrorKind::NotFound => ("there is no such folder".to_owned(), "check the path"),
        io::ErrorKind::NotADirectory => ("this is not a folder".to_owned(), "check the path"),
        io::ErrorKind::AlreadyExists => ("it exists already".to_owned(), "remove it, or name another tunnel"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            format!("it cannot be written: {error}"),
            "run the command as the user who runs Loopgate, and let that user write the folder",
        ),
        _ => (format!("it cannot be used: {error}"), "check the path"),
    };
    Unusable { help: help.to_owned(), ..fault(path, what) }
}

fn typed(path: &Path) -> String {
    shell(&[shown_path(path)])
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown_path(&self.path), self.what)
    }
}

impl std::error::Error for Unusable {}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn made() -> (tempfile::TempDir, Folder) {
        let folder = tempfile::tempdir().unwrap();
        let made = Folder::make(&folder.path().join("a/tunnels.d")).unwrap();
        (folder, made)
    }

    fn names(folder: &Folder) -> Vec<String> {
        let entries = fs::read_dir(&folder.path).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_there_whole_for_this_user_alone_or_not_at_all() {
        let (_folder, folder) = made();
        assert_eq!(fs::metadata(&folder.path).unwrap().mode() & 0o777, 0o700);

        let unfinished = folder.write("home.toml", "text").unwrap();
        assert_eq!(folder.read("home.toml"), Ok(None));
        assert!(names(&folder).iter().all(|name| name.starts_with('.')), "an include takes no such name");
        unfinished.put().unwrap();

        assert_eq!(folder.read("home.toml"), Ok(Some("text".to_owned())));
        assert_eq!(fs::metadata(folder.path("home.toml")).unwrap().mode() & 0o777, 0o600);
        drop(folder.write("home.toml", "given up").unwrap());
        assert_eq!(names(&folder), ["home.toml"]);
        folder.write("home.toml", "other").unwrap().put().unwrap();
        assert_eq!(folder.read("home.toml"), Ok(Some("other".to_owned())));
    }

    #[test]
    fn what_exists_stays_where_a_new_file_is_wanted() {
        let (_folder, folder) = made();
        folder.write("vps.toml", "first").unwrap().put_new().unwrap();

        let told = folder.write("vps.toml", "second").unwrap().put_new().unwrap_err();

        assert_eq!(told.what, "it exists already");
        assert_eq!(folder.read("vps.toml"), Ok(Some("first".to_owned())));
        assert_eq!(names(&folder), ["vps.toml"]);
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused_with_the_command_that_closes_it() {
        let (_folder, folder) = made();
        for mode in [0o720, 0o702, 0o777, 0o1777] {
            fs::set_permissions(&folder.path, Permissions::from_mode(mode)).unwrap();
            let told = Folder::open(&folder.path).unwrap_err();
            assert_eq!(told.what, format!("others may put files there (mode {mode:04o})"));
            assert_eq!(told.help, format!("chmod go-w {}", folder.path.display()));
        }
        fs::set_permissions(&folder.path, Permissions::from_mode(0o755)).unwrap();
        assert!(Folder::open(&folder.path).is_ok());
    }

    #[test]
    fn a_link_in_place_of_a_file_is_not_followed_and_is_replaced_as_itself() {
        let (_folder, folder) = made();
        let secret = folder.path.join("../secret");
        fs::write(&secret, "SECRET").unwrap();
        symlink(&secret, folder.path("home.toml")).unwrap();

        assert!(folder.read("home.toml").is_err());
        folder.write("home.toml", "text").unwrap().put().unwrap();

        assert_eq!(fs::read_to_string(&secret).unwrap(), "SECRET");
        assert_eq!(folder.read("home.toml"), Ok(Some("text".to_owned())));
    }
}
