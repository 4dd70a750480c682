//! Unix sockets: which socket listens on a name, and which part of a path denies access.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::probe::process::user_name;
use crate::sys::sock_diag::unix::{self, UnixSocket};
use crate::units::shown;

/// A listening Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The inode behind `/proc/PID/fd/N -> socket:[inode]`.
    pub inode: u32,
    /// The name it was bound to, escaped for a terminal; an abstract name begins with `@`.
    pub name: String,
    /// Connections waiting to be accepted.
    pub waiting: u32,
    /// How many connections may wait.
    pub limit: u32,
    /// The user id of its creator.
    pub uid: Option<u32>,
    /// 1 stream, 2 datagram, 5 packets in sequence (include/linux/net.h).
    pub kind: u8,
}

/// The walk along the path of a socket file, as far as it leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The first part that does not exist; `None` if all exist.
    pub missing: Option<PathBuf>,
    /// The first directory that this user may not search, or the socket if this user may not write to it.
    pub closed: Option<Closed>,
    /// The target of the missing part, if it is a dangling symbolic link.
    pub leads_to: Option<PathBuf>,
    /// Whether the last part is a socket; `None` if it cannot be read.
    pub is_socket: Option<bool>,
}

/// A part of a path that denies this user access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The part.
    pub path: PathBuf,
    /// Its permission bits, such as 0o660.
    pub mode: u32,
    /// Its owner and group, as `root:docker`.
    pub owner: String,
    /// The name of its group.
    pub group: String,
}

const MAX_NAME: usize = 160;

/// The listener on a path or an abstract name (which begins with `@`); `None` if no socket of this network namespace
/// listens on it.
///
/// # Errors
/// The kernel's error, for example without unix_diag; the error of stat(2) if the file does not exist.
pub fn listener(path: &Path) -> io::Result<Option<Listening>> {
    let all = unix::listeners()?;
    if let Some(name) = path.as_os_str().as_bytes().strip_prefix(b"@") {
        let wanted = [&[0], name].concat();
        return Ok(all.iter().find(|socket| socket.name == wanted).map(listening));
    }
    let file = fs::metadata(path)?;
    let device = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
    let is_it = |socket: &&UnixSocket| {
        socket
            .file
            .is_some_and(|(inode, major, minor)| u64::from(inode) == file.ino() && (major, minor) == device)
    };
    // A file with a 64-bit inode is matched by its path, because unix_diag reports 32 bits.
    let by_name =
        |socket: &&UnixSocket| file.ino() > u64::from(u32::MAX) && socket.name == path.as_os_str().as_bytes();
    Ok(all.iter().find(is_it).or_else(|| all.iter().find(by_name)).map(listening))
}

/// Listeners whose name contains this number as a whole word, such as `.s.PGSQL.5432`.
///
/// # Errors
/// The kernel's error, for example without unix_diag.
pub fn listeners_named(number: u16) -> io::Result<Vec<Listening>> {
    let wanted = number.to_string();
    let named = |socket: &UnixSocket| {
        let text = String::from_utf8_lossy(&socket.name).into_owned();
        text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits == wanted)
    };
    Ok(unix::listeners()?.iter().filter(|socket| named(socket)).map(listening).collect())
}

fn listening(socket: &UnixSocket) -> Listening {
    let text = String::from_utf8_lossy(&socket.name).replace('\0', "@");
    let (waiting, limit) = socket.queue.unwrap_or((0, 0));
    Listening {
        inode: socket.inode,
        name: shown(&text, MAX_NAME),
        waiting,
        limit,
        uid: socket.uid,
        kind: socket.kind,
    }
}

/// Walks the path as connect(2) does, with this process's effective rights.
pub fn walk(path: &Path) -> Walk {
    let mut walk = Walk::default();
    let mut parts: Vec<&Path> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    parts.reverse();
    for part in parts {
        let Ok(file) = fs::metadata(part) else {
            // The check of the directory before already found one that cannot be searched; otherwise the part does not
            // exist.
            walk.missing = Some(part.to_owned());
            walk.leads_to = fs::read_link(part).ok();
            return walk;
        };
        let last = part == path;
        let needed = if last { Access::WRITE_OK } else { Access::EXEC_OK };
        if last {
            walk.is_socket = Some(file.file_type().is_socket());
        }
        if accessat(CWD, part, needed, AtFlags::EACCESS).is_err() {
            walk.closed = Some(closed(part, &file));
            return walk;
        }
    }
    walk
}

/// Checks whether this user could create a socket file at a path that does not exist. Nothing is created.
///
/// # Errors
/// The errno that bind(2) would return: EACCES, EROFS, ENAMETOOLONG.
pub fn may_make(path: &Path) -> io::Result<()> {
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}

/// `sun_path` has 108 bytes, one of which is the final zero (unix(7)).
const LONGEST_PATH: usize = 107;

/// Tries to bind a name of the abstract namespace and releases it at once. It never listens.
///
/// # Errors
/// The errno of socket(2) or bind(2).
pub fn try_abstract(name: &[u8]) -> io::Result<()> {
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    Ok(net::bind(&socket, &SocketAddrUnix::new_abstract_name(name)?)?)
}

fn closed(part: &Path, file: &fs::Metadata) -> Closed {
    let user = user_name(file.uid()).unwrap_or_else(|| file.uid().to_string());
    let group = crate::probe::process::group_name(file.gid()).unwrap_or_else(|| file.gid().to_string());
    Closed { path: part.to_owned(), mode: file.mode() & 0o7777, owner: format!("{user}:{group}"), group }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_listener_is_found_by_its_path_and_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".s.PGSQL.54329");
        let _listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();

        let found = listener(&path).unwrap().unwrap();

        assert_eq!(found.waiting, 1);
        assert!(listeners_named(54329).unwrap().iter().any(|other| other.inode == found.inode));
        assert!(listeners_named(5432).unwrap().iter().all(|other| other.inode != found.inode));
    }

    #[test]
    fn a_file_without_a_listener_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());

        assert_eq!(listener(&path).unwrap(), None);
        assert_eq!(walk(&path).is_socket, Some(true));
    }

    #[test]
    fn a_walk_stops_at_the_first_part_that_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a");

        let walk = walk(&missing.join("b/s"));

        assert_eq!(walk.missing, Some(missing));
        assert_eq!((walk.is_socket, walk.leads_to), (None, None));
    }

    #[test]
    fn a_link_to_nothing_is_missing_and_says_where_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("s");
        std::os::unix::fs::symlink("/gone/s", &link).unwrap();

        let walk = walk(&link);

        assert_eq!((walk.missing, walk.leads_to), (Some(link), Some(PathBuf::from("/gone/s"))));
    }
}
