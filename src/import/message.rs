//! Notes of an import: which words of a line were not carried over exactly, and why.

use crate::units::shown;

/// The most characters of a line that a note quotes.
const MAX_SHOWN: usize = 80;

/// Why a congestion control is not carried over.
pub(super) const ON_LOOPBACK: &str =
    "the key congestion sets it on loopback alone; other sockets have the host's";

/// Words of the file, with their line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// The line number, from 1; 0 for a command line.
    pub(super) line: usize,
    pub(super) words: String,
}

impl At {
    pub(super) fn new(line: usize, words: impl Into<String>) -> At {
        At { line, words: words.into() }
    }

    /// The line of words that nothing marks as the program's. The file may be another one, with secrets in it, so they
    /// are not repeated.
    pub(super) fn unknown(&self) -> At {
        self.with("")
    }

    /// The same line with other words.
    pub(super) fn with(&self, words: impl Into<String>) -> At {
        At::new(self.line, words)
    }
}

/// What happened to words that were not carried over exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They ask for something that the printed configuration does not do.
    NotCarried,
    /// They are carried over, with a slightly different meaning.
    Differs,
    /// They need no counterpart: Loopgate always behaves so, or they do not concern forwarding.
    NoEffect,
}

impl Fate {
    pub(super) fn words(self) -> &'static str {
        match self {
            Fate::NotCarried => "not carried",
            Fate::Differs => "carried with a difference",
            Fate::NoEffect => "without effect",
        }
    }
}

/// One note, which becomes one line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line number, from 1; 0 for a command line.
    pub line: usize,
    /// The words the note is about, escaped for a terminal.
    pub words: String,
    /// What happened to them.
    pub fate: Fate,
    /// Why, and what to write instead.
    pub why: String,
}

impl Note {
    pub(super) fn new(at: &At, fate: Fate, why: impl AsRef<str>) -> Note {
        Note {
            line: at.line,
            words: plain(&at.words, MAX_SHOWN),
            fate,
            why: plain(why.as_ref(), 4 * MAX_SHOWN),
        }
    }

    /// The note as one line, which begins with the name `file`.
    pub fn render(&self, file: &str) -> String {
        let place = match self.line {
            0 => file.to_owned(),
            line => format!("{file}:{line}"),
        };
        let words = if self.words.is_empty() { String::new() } else { format!(" {}:", self.words) };
        format!("{place}:{words} {}: {}", self.fate.words(), self.why)
    }
}

/// The text in a form that is safe in one line of a terminal or a comment: control and invisible characters are
/// escaped, and anything beyond `limit` characters is cut.
pub(super) fn plain(text: &str, limit: usize) -> String {
    shown(&text.trim().replace('\t', " "), limit)
}
