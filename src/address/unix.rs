//! The name of a Unix socket: a path, or a name in the abstract namespace (unix(7)).

use std::fmt;
use std::sync::Arc;

/// Where a Unix socket is found. It prints as users write it, and that is its identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnixName {
    /// An absolute path, at most [`UnixName::LONGEST`] bytes.
    Path(Arc<str>),
    /// A name that no file stands for, without the zero byte it begins with in the kernel and the `@` it prints with; at
    /// most [`UnixName::LONGEST`] bytes.
    Abstract(Arc<str>),
}

impl UnixName {
    /// The most bytes: `sun_path` has 108, and one is for a zero, at the end or at the beginning.
    pub const LONGEST: usize = 107;
}

impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnixName::Path(path) => write!(f, "unix:{path}"),
            UnixName::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}
