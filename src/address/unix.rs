//! The name of a Unix socket: a path, or a name in the abstract namespace (unix(7)).

use std::fmt;
use std::sync::Arc;

use crate::units::{Misread, quoted};

/// The name of a Unix socket. Its printed form is its identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnixName {
    /// An absolute path, at most [`UnixName::LONGEST`] bytes.
    Path(Arc<str>),
    /// An abstract name, without the zero byte it begins with in the kernel and the `@` it prints with; at most
    /// [`UnixName::LONGEST`] bytes.
    Abstract(Arc<str>),
}

impl UnixName {
    /// The largest length in bytes: `sun_path` has 108, and one is for a zero, at the end or at the beginning.
    pub const LONGEST: usize = 107;
}

impl UnixName {
    /// Reads `"unix:/run/x.sock"` and `"unix:@name"`; `None` for a text that is no Unix socket at all.
    pub(super) fn read(text: &str) -> Option<Result<UnixName, Misread>> {
        let rest = text.strip_prefix("unix:")?;
        Some(UnixName::of(rest).map_err(|what| {
            let shown = quoted(text);
            match what {
                Wrong::Relative if rest.is_empty() => Misread::new(
                    format!("{shown} names no socket"),
                    r#"write its path, as "unix:/run/x.sock""#,
                ),
                Wrong::Relative => Misread::new(
                    format!("{shown} is not a whole path"),
                    r#"write it from the root, as "unix:/run/x.sock", or "unix:@name" for an abstract name"#,
                ),
                Wrong::Url => {
                    let path = format!("unix:/{}", rest.trim_start_matches('/'));
                    Misread::new(format!("{shown} is a URL"), format!("write {}", quoted(&path)))
                }
                Wrong::Folder => Misread::new(
                    format!("{shown} is a directory"),
                    "write the path of the socket in it, without a / at the end",
                ),
                Wrong::Long => Misread::new(
                    format!(
                        "{shown} is too long: a socket's path or name has at most {} bytes",
                        UnixName::LONGEST
                    ),
                    "write a shorter one; the kernel takes no longer",
                ),
                Wrong::Character(c) => Misread::new(
                    format!("{shown} has {c:?} in it"),
                    "write a path without spaces, quotes and control characters",
                ),
            }
        }))
    }

    fn of(text: &str) -> Result<UnixName, Wrong> {
        // These would make a record's `target=` ambiguous.
        let unfit = |c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '\\';
        let name = text.strip_prefix('@');
        let inside = name.unwrap_or(text);
        if name == Some("") || name.is_none() && !text.starts_with('/') {
            return Err(Wrong::Relative);
        }
        if text.starts_with("//") {
            return Err(Wrong::Url);
        }
        if name.is_none() && text.ends_with('/') {
            return Err(Wrong::Folder);
        }
        if inside.len() > UnixName::LONGEST {
            return Err(Wrong::Long);
        }
        match inside.chars().find(|c| unfit(*c)) {
            Some(c) => Err(Wrong::Character(c)),
            None if name.is_some() => Ok(UnixName::Abstract(inside.into())),
            None => Ok(UnixName::Path(inside.into())),
        }
    }
}

/// Why a text is not the name of a socket.
enum Wrong {
    Relative,
    Url,
    Folder,
    Long,
    Character(char),
}

impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnixName::Path(path) => write!(f, "unix:{path}"),
            UnixName::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> String {
        UnixName::read(text).unwrap().unwrap_err().to_string()
    }

    #[test]
    fn a_text_that_names_no_socket_is_refused_with_the_reason() {
        assert!(UnixName::read("/run/x.sock").is_none());
        assert_eq!(
            message("unix:///run/x.sock"),
            r#""unix:///run/x.sock" is a URL; write "unix:/run/x.sock""#
        );
        assert!(message("unix:x.sock").contains("is not a whole path"));
        assert!(message("unix:").contains("names no socket"));
        assert!(message("unix:@").contains("is not a whole path"));
        assert!(message("unix:/run/").contains("is a directory"));
        assert!(message("unix:/run/my sock").contains("has ' ' in it"));
        assert!(message("unix:/run/\u{1b}[2J").contains(r"has '\u{1b}' in it"));
        assert!(message(&format!("unix:/{}", "x".repeat(107))).contains("at most 107 bytes"));
        assert!(UnixName::read(&format!("unix:/{}", "x".repeat(106))).unwrap().is_ok());
    }

    proptest! {
        #[test]
        fn a_name_that_is_read_is_printed_the_same(text in "unix:[@/]?.{0,20}") {
            if let Some(Ok(name)) = UnixName::read(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
