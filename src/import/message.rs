//! What an import has to say of a line: what it could not carry over, what became of it otherwise.

/// How much of a line is shown back, in characters.
const MAX_SHOWN: usize = 80;

/// Words of the file, and where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// The line, from 1; 0 for a command line, which has none.
    pub(super) line: usize,
    pub(super) words: String,
}

impl At {
    pub(super) fn new(line: usize, words: impl Into<String>) -> At {
        At { line, words: words.into() }
    }

    /// Other words of the same line.
    pub(super) fn with(&self, words: impl Into<String>) -> At {
        At::new(self.line, words)
    }
}

/// What became of words that are not simply carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They ask for something that what is printed does not do.
    NotCarried,
    /// They are carried over, and mean something a little different here.
    Differs,
    /// They need no counterpart: what they ask for is so anyway, or does not concern a forwarder of this kind.
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

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line it is about, from 1; 0 for a command line.
    pub line: usize,
    /// The words it is about, fit for a terminal.
    pub words: String,
    /// What became of them.
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

    /// The note as one line; `file` is what the file is called.
    pub fn told(&self, file: &str) -> String {
        let place = match self.line {
            0 => file.to_owned(),
            line => format!("{file}:{line}"),
        };
        let words = if self.words.is_empty() { String::new() } else { format!(" {}:", self.words) };
        format!("{place}:{words} {}: {}", self.fate.words(), self.why)
    }
}

/// A text for one line of a terminal or of a comment: control and invisible characters escaped, a long one cut.
pub(super) fn plain(text: &str, limit: usize) -> String {
    let escaped = |c: char| match c {
        '\t' => vec![' '],
        '"' | '\'' | '\\' => vec![c],
        c => c.escape_debug().collect(),
    };
    let mut shown: String = text.trim().chars().take(limit).flat_map(escaped).collect();
    if text.trim().chars().nth(limit).is_some() {
        shown.push('…');
    }
    shown
}
