//! Whether a Unix socket exists and is listened on, determined without connecting.
//!
//! The kernel lists the listeners of this network namespace only, and a path may belong to another one: that no listed
//! socket has a path proves nothing. That the file is missing does.

use std::fs;
use std::io;
use std::path::Path as FilePath;
use std::time::Duration;

use crate::address::UnixName;
use crate::probe::sockets::unix;

/// The age up to which a file's creator may still be between bind(2) and listen(2).
const FRESH: Duration = Duration::from_secs(1);

/// The state of a socket's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// A process listens on it.
    Listening,
    /// There is no such socket.
    Missing,
    /// The file was created just now, and no process listens yet.
    Fresh,
    /// The file exists, and no process of this network namespace listens.
    Quiet,
}

pub(crate) fn query(name: &UnixName) -> io::Result<Path> {
    let path = match name {
        UnixName::Path(path) => path.to_string(),
        UnixName::Abstract(name) => format!("@{name}"),
    };
    match unix::listener(FilePath::new(&path)) {
        Ok(Some(_)) => Ok(Path::Listening),
        // Abstract names belong to the network namespace, so its listing is complete.
        Ok(None) if matches!(name, UnixName::Abstract(_)) => Ok(Path::Missing),
        Ok(None) => {
            let age = fs::metadata(&path)?.modified()?.elapsed();
            Ok(if age.is_ok_and(|age| age < FRESH) { Path::Fresh } else { Path::Quiet })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Path::Missing),
        Err(error) => Err(error),
    }
}
