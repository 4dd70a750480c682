//! Whether a Unix socket is there, asked without connecting.
//!
//! The kernel's table has the listeners of this network namespace alone, and a path may lead into another one: that
//! nobody in the table listens on a file proves nothing. That there is no file does.

use std::fs;
use std::io;
use std::path::Path as FilePath;
use std::time::Duration;

use crate::address::UnixName;
use crate::probe::sockets::unix;

/// How young a file may be for its maker to be still on the way from bind(2) to listen(2).
const FRESH: Duration = Duration::from_secs(1);

/// How a socket's name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// Somebody listens on it.
    Listening,
    /// There is no such socket.
    Missing,
    /// There is a file that was made just now, and nobody listens yet.
    Fresh,
    /// There is a file, and nobody of this network namespace listens.
    Quiet,
}

pub(crate) fn look(name: &UnixName) -> io::Result<Path> {
    let path = match name {
        UnixName::Path(path) => path.to_string(),
        UnixName::Abstract(name) => format!("@{name}"),
    };
    match unix::listener(FilePath::new(&path)) {
        Ok(Some(_)) => Ok(Path::Listening),
        // The namespace of abstract names is the network's own.
        Ok(None) if matches!(name, UnixName::Abstract(_)) => Ok(Path::Missing),
        Ok(None) => {
            let age = fs::metadata(&path)?.modified()?.elapsed();
            Ok(if age.is_ok_and(|age| age < FRESH) { Path::Fresh } else { Path::Quiet })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Path::Missing),
        Err(error) => Err(error),
    }
}
