//! Text that strangers wrote, made safe to show: names, first bytes, command lines, errors of libraries.

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

/// Control characters, and Unicode's invisible format characters, which reorder or hide text.
pub(super) fn is_hostile(character: char) -> bool {
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
}
