//! Text that strangers wrote, made safe to show: names, first bytes, command lines, errors of libraries.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// Escapes `text` and cuts it to `limit` characters, so that none moves the cursor, changes a colour or reverses the
/// direction of a line.
pub(crate) fn shown(text: &str, limit: usize) -> String {
    let mut safe = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == limit {
            safe.push('…');
            break;
        }
        if is_hostile(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// A path, escaped, and cut to the length of a usual one.
pub(crate) fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy(), MAX_PATH)
}

/// The most characters that are shown of a path.
const MAX_PATH: usize = 200;

/// Whole lines of a log or an answer, with everything escaped but their line ends. What strangers wrote is escaped where
/// it is put into them; this holds for what was forgotten there.
pub(crate) fn shown_lines(text: &str) -> Cow<'_, str> {
    replaced(text, |character, safe| safe.extend(character.escape_default()))
}

/// JSON in which such characters are escaped too, in JSON's own way: it is shown on terminals as well. They stand only
/// within strings there.
pub(crate) fn shown_json(json: &str) -> Cow<'_, str> {
    replaced(json, |character, safe| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to memory does not fail.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    })
}

/// `text` with each hostile character but the line end replaced by what `put` writes for it.
fn replaced(text: &str, put: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let is_replaced = |character| character != '\n' && is_hostile(character);
    if !text.contains(is_replaced) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_replaced(character) { put(character, &mut safe) } else { safe.push(character) }
    }
    Cow::Owned(safe)
}

/// Control characters, and Unicode's invisible format characters, which reorder or hide text.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_reach_the_terminal() {
        assert_eq!(shown("a\x1b[2Jb\nc\u{202e}d", 99), "a\\u{1b}[2Jb\\nc\\u{202e}d");
        assert_eq!(shown("abcdef", 3), "abc…");
    }

    #[test]
    fn json_stays_json_and_means_the_same() {
        let text = "a\u{9b}31m\u{7f}\u{202e}\u{e0001}\n\"\\";
        let json = serde_json::to_string_pretty(&[text]).unwrap();

        let safe = shown_json(&json);

        assert!(!safe.contains(|character| character != '\n' && is_hostile(character)), "{safe}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap(), [text]);
        assert!(matches!(shown_json(r#"{"a": "b\u001b"}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(shown_lines("a:\n\x1b[2J\r\nb"), "a:\n\\u{1b}[2J\\r\nb");
    }
}
