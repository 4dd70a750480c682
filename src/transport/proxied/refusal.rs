//! Why a proxy carries nothing, worded to follow its name.

use std::fmt;
use std::io::ErrorKind;

/// What a proxy answered instead of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of error that it stands for.
    pub kind: ErrorKind,
    /// What it said, or did not say.
    pub words: String,
}

impl Refusal {
    /// A refusal of this kind.
    pub(super) fn new(kind: ErrorKind, words: impl Into<String>) -> Refusal {
        Refusal { kind, words: words.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
