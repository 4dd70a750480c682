//! The last net before a terminal: whole lines and JSON, with what was forgotten in them escaped.

use std::borrow::Cow;
use std::fmt::Write;

use super::shown::is_hostile;

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

#[cfg(test)]
mod tests {
    use super::*;

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
