//! How wide a screen is, what it can show, and how text is fitted to it.

use std::fmt::Write as _;

/// How wide a screen is, and whether it has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Its columns.
    pub(crate) columns: usize,
    /// Whether escape codes may be written.
    pub(crate) colour: bool,
}

/// The narrowest and the widest screen that is filled: on a wider one, bars would be all there is to see.
const COLUMNS: (usize, usize) = (36, 120);
impl Look {
    pub(super) fn width(self) -> usize {
        self.columns.clamp(COLUMNS.0, COLUMNS.1)
    }

    pub(super) fn bold(self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Text after a label, its lines broken between words and indented as the first begins.
pub(super) fn wrapped(label: &str, words: &str, width: usize) -> String {
    let indent = label.chars().count();
    let (mut text, mut column) = (label.to_owned(), indent);
    for word in words.split(' ') {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            let _ = write!(text, "\n{:indent$}", "");
            column = indent;
        }
        if column > indent {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
    text
}
