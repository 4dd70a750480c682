//! Unix sockets: connect, bind, and the file of a path.
//!
//! The file is created without permissions, given to its owner, and only then gets its mode: its permissions are never
//! wider than the final ones. (fchmod(2) on a socket that is not yet bound sets the mode of its file, less the umask:
//! net/unix/af_unix.c, unix_bind_bsd. Rejected: setting the umask, which belongs to the whole process; and binding in a
//! private directory to rename the file later, because the kernel would then show the private path to every process.)
//!
//! Who owns the directory may put another file in its place at any time, and this process may be root. So nothing is done
//! to what stands at the path: a file is changed through a descriptor that is proven to be our socket's, and removed from a
//! directory that is held, where it was just seen.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, chmod, chownat, fchmod, fstat, lstat, open, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_oobinline;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::geteuid;
use tokio::net::UnixStream;

use super::file::{Owner, SocketFile};
use super::hops;
use crate::address::UnixName;
use crate::probe::sockets::unix::listener;
use crate::probe::sockets::unix_table;
use crate::sys;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// Connects to a Unix socket, without ever waiting.
///
/// # Errors
/// The errno of connect(2). EAGAIN means that the listener's accept queue is full: the kernel does not report when it
/// has room again (unix(7)).
pub(super) fn dial(name: &UnixName, hops: Option<u8>) -> io::Result<UnixStream> {
    let socket = socket()?;
    if let Some(hops) = hops {
        hops::mark_unix(&socket, hops);
    }
    // Urgent data stays in the stream: out of line, its byte would be lost.
    set_socket_oobinline(&socket, true)?;
    connect(&socket, &sockaddr(name)?)?;
    UnixStream::from_std(socket.into())
}

/// Binds a Unix socket without listening yet. A left-over socket file is replaced, and nothing else is. The caller holds
/// the lock of its folder ([`super::FolderLocks`]), if it could be had.
///
/// # Errors
/// EADDRINUSE if a socket is bound there, EEXIST if the path is not a socket, otherwise the errno of bind(2), chown(2)
/// or chmod(2); `InvalidInput` for an owner or a group that does not exist.
pub(super) fn bind(name: &UnixName, wanted: &SocketFile) -> io::Result<(Option<OwnFile>, OwnedFd)> {
    let (socket, address) = (socket()?, sockaddr(name)?);
    let UnixName::Path(path) = name else {
        rustix::net::bind(&socket, &address)?;
        return Ok((None, socket));
    };
    let owner = Owner::find(wanted)?;
    fchmod(&socket, Mode::empty())?;
    match rustix::net::bind(&socket, &address) {
        Err(Errno::ADDRINUSE) => {
            remove_left_over(path)?;
            rustix::net::bind(&socket, &address)?;
        }
        answer => answer?,
    }
    let (file, held) = OwnFile::of(&socket, path)?;
    give(&held, &owner, wanted)?;
    Ok((Some(file), socket))
}

fn socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?)
}

fn sockaddr(name: &UnixName) -> io::Result<SocketAddrUnix> {
    Ok(match name {
        UnixName::Path(path) => SocketAddrUnix::new(&**path)?,
        UnixName::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
    })
}

/// The file of a listener of this process. Dropping it removes the file, if it is still the same one.
///
/// Its socket must outlive it: as long as the socket is open, no other file can have the same inode.
#[derive(Debug)]
pub struct OwnFile {
    path: Arc<str>,
    identity: (u64, u64),
}

impl OwnFile {
    /// The file of a socket that was just bound to `path`, and a descriptor of it.
    fn of(socket: &OwnedFd, path: &Arc<str>) -> io::Result<(OwnFile, OwnedFd)> {
        let held = match sys::bound_file(socket) {
            Ok(held) => held,
            // Without the right to ask the kernel, the file is known by what only a socket that is being made has.
            Err(_) => Some(hold(path)?).filter(|it| fstat(it).is_ok_and(|stat| is_new(&stat))).ok_or_else(|| {
                let what = "another file was put in the place of the new socket's; look who may write to the directory";
                io::Error::other(what)
            })?,
        };
        Ok((OwnFile { path: path.clone(), identity: identity(&fstat(&held)?) }, held))
    }

    /// Asks whether it still stands at its path; to be asked where a file system that hangs holds nobody up.
    pub fn watch(&self) -> impl Fn() -> bool + Send + use<> {
        let (path, identity_then) = (self.path.clone(), self.identity);
        move || lstat(&*path).is_ok_and(|stat| identity(&stat) == identity_then)
    }

    /// Gives the file of `socket` another mode and owner. In between it has no permissions at all.
    ///
    /// # Errors
    /// ENOENT if the file was removed or replaced; the errno of chown(2) or chmod(2); `InvalidInput` for an account
    /// that does not exist.
    pub fn change(&self, socket: impl AsFd, wanted: &SocketFile) -> io::Result<()> {
        let owner = Owner::find(wanted)?;
        let held = sys::bound_file(socket).or_else(|_| hold(&self.path))?;
        if identity(&fstat(&held)?) != self.identity {
            return Err(Errno::NOENT.into());
        }
        give(&held, &owner, wanted)
    }
}

/// A descriptor of what stands at a path, which is not opened and not followed.
fn hold(path: &str) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

/// Whether it is as bind(2) leaves a file here: a socket of ours that nobody may use and that has no second name.
fn is_new(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Socket
        && Mode::from_raw_mode(stat.st_mode).is_empty()
        && stat.st_nlink == 1
        && stat.st_uid == geteuid().as_raw()
}

fn give(held: &OwnedFd, owner: &Owner, wanted: &SocketFile) -> io::Result<()> {
    if owner.user.is_some() || owner.group.is_some() {
        set_mode(held, 0)?;
        chownat(held, "", owner.user, owner.group, AtFlags::EMPTY_PATH)?;
    }
    set_mode(held, wanted.mode.0)
}

/// Sets the mode of a held file: through /proc, or, where that is not mounted, by the call that newer kernels have.
fn set_mode(file: &OwnedFd, mode: u32) -> io::Result<()> {
    match chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), Mode::from_raw_mode(mode)) {
        Err(Errno::NOENT | Errno::NOTDIR) => sys::chmod_held(file, mode).map_err(|error| {
            let what =
                format!("{error}: the file's mode is set through /proc, which is not mounted here; mount it");
            io::Error::new(error.kind(), what)
        }),
        answer => Ok(answer?),
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        // A file that this process may no longer remove stays, and the next start treats it as left over.
        let _ = remove(&self.path, self.identity);
    }
}

/// Removes the file at a path if it is this one. The directory is held meanwhile: another one put in its place keeps its
/// file of the same name.
fn remove(path: &str, file: (u64, u64)) -> io::Result<()> {
    let (folder, name) = split(path);
    let folder = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if identity(&statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?) != file {
        return Err(Errno::NOENT.into());
    }
    Ok(unlinkat(&folder, name, AtFlags::empty())?)
}

/// The directory of a path, and the name in it.
fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some(both) => both,
        None => (".", path),
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Absent,
    /// Not a socket: a file, a directory, a link.
    NoSocket,
    /// A file to which a socket is bound.
    Held,
    /// The file of a socket that is gone.
    LeftOver,
}

/// Examines a path. The kernel's socket tables are read first; only if they have no entry for it is a connection tried,
/// which shows sockets of other network namespaces too.
///
/// # Errors
/// The errno of open(2), or of a connect(2) that proves neither state.
pub fn look(path: &Arc<str>) -> io::Result<Look> {
    look_closely(path).map(|(look, _)| look)
}

/// The same, and which file it was.
fn look_closely(path: &Arc<str>) -> io::Result<(Look, (u64, u64))> {
    let held = match hold(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Look::Absent, (0, 0))),
        held => held?,
    };
    let stat = fstat(&held)?;
    let is_socket = FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
    let look = if is_socket { look_at_socket(path, &held)? } else { Look::NoSocket };
    Ok((look, identity(&stat)))
}

fn look_at_socket(path: &Arc<str>, held: &OwnedFd) -> io::Result<Look> {
    let name = UnixName::Path(path.clone());
    // A table that cannot be read proves nothing; a connection attempt may. Nor does a listener of that name prove
    // anything alone: its file may have been removed, as that of our own listener, and this one put there since.
    let is_bound = matches!(unix_table::known(&name), Ok(unix_table::Known::Bound { .. }));
    if is_bound || matches!(listener(Path::new(&**path)), Ok(Some(_))) {
        return Ok(Look::Held);
    }
    match knock(path, held) {
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(Look::Held),
        Err(Errno::CONNREFUSED) => Ok(Look::LeftOver),
        Err(errno) => Err(errno.into()),
    }
}

/// Connects to the file that is held, whatever stands at its path by now; to the path where /proc is not mounted.
fn knock(path: &str, held: &OwnedFd) -> Result<(), Errno> {
    let client = || socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None);
    match connect(&client()?, &SocketAddrUnix::new(format!("/proc/self/fd/{}", held.as_raw_fd()))?) {
        Err(Errno::NOENT | Errno::NOTDIR) => connect(&client()?, &SocketAddrUnix::new(path)?),
        answer => answer,
    }
}

/// Removes a file that is proven to be left over.
fn remove_left_over(path: &Arc<str>) -> io::Result<()> {
    match look_closely(path)? {
        (Look::Absent, _) => Ok(()),
        (Look::NoSocket, _) => Err(Errno::EXIST.into()),
        (Look::Held, _) => Err(Errno::ADDRINUSE.into()),
        // Another file that stands there by now is not the one that was looked at.
        (Look::LeftOver, file) => match remove(path, file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Errno::ADDRINUSE.into()),
            answer => answer,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_file_put_in_the_place_of_the_new_one_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bait) = (folder.path().join("s"), folder.path().join("bait"));
        fs::write(&bait, "").unwrap();
        fs::set_permissions(&bait, fs::Permissions::from_mode(0o600)).unwrap();
        let (socket, name): (_, Arc<str>) = (socket().unwrap(), path.to_str().unwrap().into());
        fchmod(&socket, Mode::empty()).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        assert!(is_new(&fstat(hold(&name).unwrap()).unwrap()), "what bind(2) has made");
        fs::rename(&bait, &path).unwrap();
        let wanted = SocketFile { mode: "0666".parse().unwrap(), ..SocketFile::default() };
        // Only who has the right to ask for its own file gets one.
        if let Ok((_file, held)) = OwnFile::of(&socket, &name) {
            give(&held, &Owner::find(&wanted).unwrap(), &wanted).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(!is_new(&fstat(hold(&name).unwrap()).unwrap()));
    }

    #[test]
    fn a_dead_socket_file_is_left_over_though_a_removed_one_of_that_name_has_a_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (_live, name) = (UnixListener::bind(&path).unwrap(), path.to_str().unwrap().into());
        assert_eq!(look(&name).unwrap(), Look::Held);

        fs::remove_file(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());

        assert_eq!(look(&name).unwrap(), Look::LeftOver);
    }
}
