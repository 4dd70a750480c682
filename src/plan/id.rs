//! What identifies a route among those of all sources: the source that declares it, and its name there.

use std::fmt;
use std::sync::Arc;

use crate::address::TunnelName;

/// The most bytes of the name of a source.
const MAX_SOURCE_NAME: usize = 64;

/// The name of a route, unique in its file by TOML's own syntax.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteName(pub Arc<str>);

impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The origin of a set of routes. Each source declares its own routes only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    File,
    CommandLine,
    Named(Arc<str>),
}

impl Source {
    /// The configuration file, together with the routes on the command line: both make one plan.
    pub fn file() -> Source {
        Source(Kind::File)
    }

    /// The command line, if there is no file.
    pub fn command_line() -> Source {
        Source(Kind::CommandLine)
    }

    /// Any other source. All of them share one namespace: providers, tunnels and the interfaces that add routes while
    /// the program runs.
    ///
    /// # Errors
    /// [`BadSourceName`] unless the name is 1 to 64 bytes of letters, digits, `-`, `_` and `.`: records print it
    /// unquoted, after the last `@` of a route.
    pub fn named(name: &str) -> Result<Source, BadSourceName> {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_SOURCE_NAME || !name.chars().all(is_plain) {
            return Err(BadSourceName(name.into()));
        }
        Ok(Source(Kind::Named(name.into())))
    }

    /// A tunnel, whose name is that of a source by its grammar: the routes that its other end asks for. It shares the
    /// namespace of [`Source::named`].
    pub fn tunnel(name: &TunnelName) -> Source {
        Source(Kind::Named(name.as_str().into()))
    }

    /// Its name; `None` for the file and the command line, whose routes are printed without one.
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Kind::File | Kind::CommandLine => None,
            Kind::Named(name) => Some(name),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::File => "the configuration file",
            Kind::CommandLine => "the command line",
            Kind::Named(name) => name,
        })
    }
}

/// A text that cannot name a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSourceName(pub String);

impl fmt::Display for BadSourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} cannot name a source: write 1 to {MAX_SOURCE_NAME} letters, digits, '-', '_' or '.'",
            self.0
        )
    }
}

impl std::error::Error for BadSourceName {}

/// A route among those of all sources. It is printed as `web` if it comes from the file or the command line, and as
/// `web@edge` if it comes from the source `edge`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId {
    /// The source that declares it.
    pub source: Source,
    /// Its name there.
    pub name: RouteName,
}

impl RouteId {
    /// The text that records show. A route of the file shares the allocation of its name.
    pub fn shown(&self) -> Arc<str> {
        match self.source.name() {
            None => self.name.0.clone(),
            Some(_) => self.to_string().into(),
        }
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source.name() {
            None => self.name.fmt(f),
            Some(source) => write!(f, "{}@{source}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_printed_with_its_source_unless_it_is_the_files() {
        let shown = |source: Source| {
            let id = RouteId { source, name: RouteName("web".into()) };
            assert_eq!(id.to_string(), *id.shown());
            id.to_string()
        };

        assert_eq!(shown(Source::file()), "web");
        assert_eq!(shown(Source::command_line()), "web");
        assert_eq!(shown(Source::named("edge").unwrap()), "web@edge");
    }

    #[test]
    fn the_name_of_a_source_is_one_plain_word() {
        for name in ["edge", "edge-1.example", "caf\u{e9}", &"a".repeat(64)] {
            assert_eq!(Source::named(name).unwrap().name(), Some(name));
        }
        for name in ["", "a@b", "a b", "a\n", "\u{1b}[2J", "a=b", "\"", "a/b", "a\u{202e}b", &"a".repeat(65)]
        {
            let refused = Source::named(name).unwrap_err().to_string();
            assert!(!refused.contains(char::is_control), "{refused:?}");
        }
    }

    #[test]
    fn a_source_that_is_called_like_the_file_is_another() {
        assert_ne!(Source::named("file"), Ok(Source::file()));
        assert_ne!(Source::file(), Source::command_line());
    }
}
