//! Where something was written.

use std::ops::Range;

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In one of the files, as byte positions; those of included files come after those of the main file.
    Text(Range<usize>),
    /// The file as a whole: it cannot be read, or it lacks something.
    File,
    /// An argument of the command line, as given.
    Argument(String),
}

impl Place {
    /// The same place in a text that begins at `start`.
    pub(super) fn moved(self, start: usize) -> Place {
        match self {
            Place::Text(span) => Place::Text(span.start + start..span.end + start),
            other => other,
        }
    }
}
