//! Unix sockets: connect, bind, and the file of a path.
//!
//! The file is created without permissions, given to its owner, and only then gets its mode: its permissions are never
//! wider than the final ones. (fchmod(2) on a socket that is not yet bound sets the mode of its file, less the umask:
//! net/unix/af_unix.c, unix_bind_bsd. Rejected: setting the umask, which belongs to the whole process; and binding in a
//! private directory to rename the file later, because the kernel would then show the private path to every process.)

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, Stat, Uid, chmod, chownat, fchmod, flock, fstat,
    lstat, open, unlink,
};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_oobinline;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokio::net::UnixStream;

use super::file::{Account, SocketFile};
use super::hops;
use crate::address::UnixName;
use crate::probe::sockets::unix_table;
use crate::probe::system::users;
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

/// Binds a Unix socket without listening yet. A left-over socket file is replaced, and nothing else is.
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
    let alone = alone_in(path);
    match rustix::net::bind(&socket, &address) {
        Err(Errno::ADDRINUSE) => {
            remove_left_over(path)?;
            rustix::net::bind(&socket, &address)?;
        }
        answer => answer?,
    }
    let file = OwnFile::of(path)?;
    drop(alone);
    file.give(&owner, wanted)?;
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
    fn of(path: &Arc<str>) -> io::Result<OwnFile> {
        Ok(OwnFile { path: path.clone(), identity: identity(&lstat(&**path)?) })
    }

    /// Gives the file another mode and owner. In between it has no permissions at all.
    ///
    /// # Errors
    /// ENOENT if the file was removed or replaced; the errno of chown(2) or chmod(2); `InvalidInput` for an account
    /// that does not exist.
    pub fn change(&self, wanted: &SocketFile) -> io::Result<()> {
        self.give(&Owner::find(wanted)?, wanted)
    }

    fn give(&self, owner: &Owner, wanted: &SocketFile) -> io::Result<()> {
        // Changed through a descriptor, so that a file put in its place meanwhile never changes its owner.
        let file = open(&*self.path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        if identity(&fstat(&file)?) != self.identity {
            return Err(Errno::NOENT.into());
        }
        if owner.user.is_some() || owner.group.is_some() {
            set_mode(&file, 0)?;
            chownat(&file, "", owner.user, owner.group, AtFlags::EMPTY_PATH)?;
        }
        set_mode(&file, wanted.mode.0)
    }
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
        if lstat(&*self.path).is_ok_and(|stat| identity(&stat) == self.identity) {
            // A file that this process may no longer remove stays, and the next start treats it as left over.
            let _ = unlink(&*self.path);
        }
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// The owner of the file, by number.
struct Owner {
    user: Option<Uid>,
    group: Option<Gid>,
}

impl Owner {
    fn find(wanted: &SocketFile) -> io::Result<Owner> {
        let user = wanted.owner.as_ref().map(|it| number(it, "user", users::user)).transpose()?;
        let group = wanted.group.as_ref().map(|it| number(it, "group", users::group)).transpose()?;
        Ok(Owner { user: user.map(Uid::from_raw), group: group.map(Gid::from_raw) })
    }
}

fn number(account: &Account, kind: &str, find: fn(&str) -> Option<u32>) -> io::Result<u32> {
    match account {
        Account::Number(number) => Ok(*number),
        Account::Name(name) => find(name).ok_or_else(|| {
            let table = if kind == "user" { "passwd" } else { "group" };
            io::Error::new(io::ErrorKind::InvalidInput, format!("no {kind} {name} in /etc/{table}"))
        }),
    }
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

/// Examines a path. The kernel's socket table is read first; only if it has no entry is a connection tried, which shows
/// sockets of other network namespaces too.
///
/// # Errors
/// The errno of lstat(2), or of a connect(2) that proves neither state.
pub fn look(path: &Arc<str>) -> io::Result<Look> {
    match lstat(&**path) {
        Err(Errno::NOENT) => return Ok(Look::Absent),
        Err(errno) => return Err(errno.into()),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Socket => return Ok(Look::NoSocket),
        Ok(_) => {}
    }
    let name = UnixName::Path(path.clone());
    // A table that cannot be read proves nothing; a connection attempt may.
    if !matches!(unix_table::known(&name), Ok(unix_table::Known::Nothing) | Err(_)) {
        return Ok(Look::Held);
    }
    match connect(&socket()?, &sockaddr(&name)?) {
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(Look::Held),
        Err(Errno::CONNREFUSED) => Ok(Look::LeftOver),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes a file that is proven to be left over.
fn remove_left_over(path: &Arc<str>) -> io::Result<()> {
    let seen = lstat(&**path).map(|stat| identity(&stat));
    match look(path)? {
        Look::Absent => Ok(()),
        Look::NoSocket => Err(Errno::EXIST.into()),
        Look::Held => Err(Errno::ADDRINUSE.into()),
        Look::LeftOver if lstat(&**path).map(|stat| identity(&stat)) == seen => Ok(unlink(&**path)?),
        Look::LeftOver => Err(Errno::ADDRINUSE.into()),
    }
}

/// How often the directory's lock is tried, and the pause in between; another process holds it for the time of one
/// bind.
const TRIES: u32 = 50;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// Locks the directory of a path against other instances of this program: of two starts at the same time, the second
/// must not take the first one's new socket for a left-over file. Without permission to read the directory there is no
/// lock, and the risk is accepted.
fn alone_in(path: &str) -> Option<OwnedFd> {
    let (folder, _) = path.rsplit_once('/')?;
    let folder = if folder.is_empty() { "/" } else { folder };
    let folder = open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    for _ in 0..TRIES {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(folder),
            Err(Errno::WOULDBLOCK) => sleep(BETWEEN_TRIES),
            Err(_) => return None,
        }
    }
    None
}
