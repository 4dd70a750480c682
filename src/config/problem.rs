//! A fault in what the user wrote, with its place: a [`Problem`], and the [`Problems`] of one reading.
//!
//! A problem stops nothing by itself: problems are collected, and the caller decides at the end.

use std::fmt;

use super::file_id::NamedFile;
pub use super::place::Place;
use super::texts::Texts;
use crate::units::{quoted, shown};

/// One thing to correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The key it is about, as `routes.web.listen`; empty if it is about no key.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// A few words beside the caret.
    pub label: Option<String>,
    /// Further places that belong to it, each with a short label.
    pub also: Vec<(Place, String)>,
}

impl Problem {
    pub(crate) fn new(place: Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        Problem { place, key: key.into(), message: message.into(), help: None, label: None, also: Vec::new() }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same in a text that begins at `start`.
    pub(super) fn moved(mut self, start: usize) -> Self {
        self.place = self.place.moved(start);
        self.also = self.also.into_iter().map(|(place, label)| (place.moved(start), label)).collect();
        self
    }

    pub(crate) fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also.push((place, label.into()));
        self
    }

    /// Key and message in one line, without the place.
    pub fn line(&self) -> String {
        match self.key.as_str() {
            "" => self.message.clone(),
            key => format!("{key}: {}", self.message),
        }
    }
}

/// The most problems that are reported; the wrong kind of file has thousands.
const MAX_REPORTED: usize = 100;

/// The problems of one reading in the order of the file, then those of the command line. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The texts of the configuration, as far as they could be read.
    pub texts: Texts,
    /// The problems that are reported.
    pub list: Vec<Problem>,
    /// How many there are beyond those.
    pub more: usize,
    /// The files that the texts name, as far as the texts could be read: a change of one may correct a problem.
    pub files: Vec<NamedFile>,
}

impl Problems {
    pub(crate) fn new(file: &str, text: &str, list: Vec<Problem>) -> Self {
        Problems::of(Texts::new(file, text), list)
    }

    pub(crate) fn of(texts: Texts, mut list: Vec<Problem>) -> Self {
        // A stable sort: problems at one place stay in the order in which they were found.
        list.sort_by_key(|problem| match &problem.place {
            Place::File => (0, 0),
            Place::Text(span) => (1, span.start),
            Place::Argument(_) => (2, 0),
        });
        let more = list.len().saturating_sub(MAX_REPORTED);
        list.truncate(MAX_REPORTED);
        Problems { texts, list, more, files: Vec::new() }
    }

    pub(crate) fn naming(mut self, files: Vec<NamedFile>) -> Self {
        self.files = files;
        self
    }

    /// The line and the column of a place in its text, both counted from 1, the column in characters.
    pub fn line_and_column(&self, place: &Place) -> Option<(usize, usize)> {
        let (text, span) = self.texts.at(place)?;
        text.line_and_column(span.start)
    }

    /// The name of the file a place is in; empty where there is none.
    pub(super) fn file(&self, place: &Place) -> &str {
        let text = self.texts.at(place).map(|(text, _)| text).or(self.texts.main());
        text.map_or("", |text| &text.name)
    }

    /// The place in the form that editors open, `loopgate.toml:4:10`, or the argument.
    pub(super) fn place(&self, place: &Place) -> String {
        let file = escaped(self.file(place));
        match (place, self.line_and_column(place)) {
            (Place::Argument(argument), _) => format!("argument {}", quoted(argument)),
            (_, Some((line, column))) => format!("{file}:{line}:{column}"),
            (_, None) => file,
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// A text for one line of a terminal: control and invisible characters escaped, quotes left alone.
pub(super) fn escaped(text: &str) -> String {
    shown(text, usize::MAX)
}

/// A key as TOML writes it: bare where it can be, else quoted.
pub(crate) fn bare_or_quoted(key: &str) -> String {
    let bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if bare && key.len() <= 64 { key.to_owned() } else { quoted(key) }
}
