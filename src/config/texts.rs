//! The texts of a configuration: that of its main file, and those of the files it includes.
//!
//! They share one range of positions, one text after another, so that a position alone identifies its file.

use std::ops::Range;
use std::path::Path;

use super::place::Place;

/// Every text that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    list: Vec<Text>,
}

/// The text of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The name of the file as it was given or found; empty if there is none.
    pub name: String,
    /// Its content; empty if it could not be read.
    pub text: String,
    /// Where its positions begin.
    start: usize,
}

impl Texts {
    /// The text of the main file alone.
    pub(crate) fn new(name: &str, text: &str) -> Texts {
        let mut texts = Texts::default();
        texts.add(name, text);
        texts
    }

    /// Adds a text. Returns where its positions begin.
    pub(super) fn add(&mut self, name: &str, text: &str) -> usize {
        // Each text has one position behind its last byte, for problems at its end.
        let start = self.list.last().map_or(0, |last| last.start + last.text.len() + 1);
        self.list.push(Text { name: name.to_owned(), text: text.to_owned(), start });
        start
    }

    /// The main file.
    pub fn main(&self) -> Option<&Text> {
        self.list.first()
    }

    /// The file that a place is in, and the position there; `None` if it is in no text.
    pub(super) fn at(&self, place: &Place) -> Option<(&Text, Range<usize>)> {
        let Place::Text(span) = place else { return None };
        let after = self.list.partition_point(|text| text.start <= span.start);
        let text = &self.list[after.checked_sub(1)?];
        Some((text, span.start - text.start..span.end - text.start))
    }

    /// The name of the file that a place is in; `None` if it is in no text.
    pub(crate) fn file(&self, place: &Place) -> Option<&Path> {
        self.at(place).map(|(text, _)| Path::new(&text.name))
    }

    /// The folder from which relative paths at a place start: that of its file.
    pub(crate) fn folder(&self, place: &Place) -> &Path {
        let text = self.at(place).map(|(text, _)| text).or(self.main());
        text.and_then(|text| Path::new(&text.name).parent()).unwrap_or(Path::new(""))
    }
}

impl Text {
    /// The line and the column of a position, both counted from 1, the column in characters.
    pub(super) fn line_and_column(&self, position: usize) -> Option<(usize, usize)> {
        let before = self.text.get(..position)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Some((line, before[line_start..].chars().count() + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_a_place_knows_its_file() {
        let mut texts = Texts::new("etc/f", "a = 1\nü = \"ö\" x\n");
        let second = texts.add("etc/conf.d/g", "b = 2\n");
        let at = |start: usize| {
            let (text, span) = texts.at(&Place::Text(start..start + 1)).unwrap();
            (text.name.as_str(), text.line_and_column(span.start))
        };

        assert_eq!(at(0), ("etc/f", Some((1, 1))));
        assert_eq!(at(16), ("etc/f", Some((2, 9))));
        assert_eq!(at(second - 1), ("etc/f", Some((3, 1))));
        assert_eq!(at(second), ("etc/conf.d/g", Some((1, 1))));
        assert_eq!(texts.at(&Place::File), None);
        assert_eq!(texts.folder(&Place::Text(second..second)), Path::new("etc/conf.d"));
        assert_eq!(texts.folder(&Place::File), Path::new("etc"));
    }
}
