//! Rust source ⇄ tokens: enough of the language to find paths, modules and functions, and to ignore comments and
//! strings.
//!
//! It stays apart from `syn` so that a path inside a macro's arguments counts as any other does.

use std::collections::BTreeSet;

/// One token: a word, `::`, or a single sign; literals are left out but for a `"` in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// All tokens of a source.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let (chars, mut found) = (source.chars().collect::<Vec<_>>(), Vec::new());
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let end = token_end(&chars, at);
        let text: String = chars[at..end].iter().collect();
        let first = chars[at];
        if first.is_alphanumeric() || first == '_' {
            match text.contains(['"', '\'']) {
                true => found.push(Token { text: "\"".to_owned(), line }),
                false => found.push(Token { text: text.trim_start_matches("r#").to_owned(), line }),
            }
        } else if text.ends_with(['"', '\'']) {
            found.push(Token { text: "\"".to_owned(), line });
        } else if !first.is_whitespace() && !is_comment(&text) && first != '\'' {
            found.push(Token { text: text.clone(), line });
        }
        line += text.matches('\n').count();
        at = end;
    }
    found
}

fn is_comment(text: &str) -> bool {
    text.starts_with("//") || text.starts_with("/*")
}

/// Where the token (or comment, or space) that begins at `at` ends.
fn token_end(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let first = chars[at];
    if starts("//") {
        return (at..chars.len()).find(|&i| chars[i] == '\n').unwrap_or(chars.len());
    }
    if starts("/*") {
        return block_comment_end(chars, at);
    }
    if starts("::") {
        return at + 2;
    }
    if first == '"' {
        return quoted_end(chars, at + 1, '"');
    }
    if first == '\'' {
        return quote_end(chars, at);
    }
    if first.is_alphanumeric() || first == '_' {
        return word_end(chars, at);
    }
    at + 1
}

/// `r"…"`, `br#"…"#`, `b'…'`, `c"…"`, or a word.
fn word_end(chars: &[char], at: usize) -> usize {
    let word = |from: usize| {
        (from..chars.len()).find(|&i| !chars[i].is_alphanumeric() && chars[i] != '_').unwrap_or(chars.len())
    };
    let end = word(at);
    let prefix: String = chars[at..end].iter().collect();
    let hashes = chars[end..].iter().take_while(|&&c| c == '#').count();
    match (prefix.as_str(), chars.get(end + hashes)) {
        ("r" | "br" | "cr", Some('"')) => raw_end(chars, end + hashes + 1, hashes),
        ("b" | "c", Some('"')) if hashes == 0 => quoted_end(chars, end + 1, '"'),
        ("b", Some('\'')) if hashes == 0 => quoted_end(chars, end + 1, '\''),
        ("r", Some(_)) if hashes == 1 => word(end + 1),
        _ => end,
    }
}

fn raw_end(chars: &[char], from: usize, hashes: usize) -> usize {
    let closes = |&i: &usize| {
        chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    (from..chars.len()).find(closes).map_or(chars.len(), |i| i + 1 + hashes)
}

fn quoted_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut i = from;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn quote_end(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'') {
        return quoted_end(chars, at + 1, '\'');
    }
    word_end(chars, at + 1).max(at + 1)
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

/// The token that closes the bracket at `at`.
pub(crate) fn close(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    tokens.len().saturating_sub(1)
}

/// What is compiled without tests, and the modules (`mod tests;`) that are only compiled with them.
pub(crate) fn without_tests(tokens: &[Token]) -> (Vec<Token>, BTreeSet<String>) {
    let (mut kept, mut test_modules) = (Vec::new(), BTreeSet::new());
    let mut at = 0;
    while at < tokens.len() {
        let is_test = ["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate();
        if !is_test.clone().all(|(i, text)| tokens.get(at + i).is_some_and(|token| token.is(text))) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let end = item_end(tokens, at + is_test.len());
        let item = &tokens[at..end];
        test_modules
            .extend(item.windows(3).filter(|w| w[0].is("mod") && w[2].is(";")).map(|w| w[1].text.clone()));
        at = end;
    }
    (kept, test_modules)
}

/// Behind the item that begins at `at`, with its further attributes.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while tokens.get(at).is_some_and(|token| token.is("#")) {
        at = close(tokens, at + 1) + 1;
    }
    let head = tokens[at..].iter().take(6).find(|token| {
        !matches!(
            token.text.as_str(),
            "pub" | "(" | ")" | "crate" | "super" | "async" | "unsafe" | "in" | "::"
        )
    });
    let to_semicolon = head
        .is_some_and(|token| matches!(token.text.as_str(), "use" | "const" | "static" | "type"))
        && !tokens[at..].iter().take(6).any(|token| token.is("fn"));
    let is_item = head.is_some_and(|token| {
        matches!(
            token.text.as_str(),
            "mod" | "fn" | "struct" | "enum" | "impl" | "trait" | "use" | "const" | "static" | "type"
        )
    });
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            ";" => return at + 1,
            "," if !is_item => return at + 1,
            "}" if !is_item => return at,
            "{" if !to_semicolon => return close(tokens, at) + 1,
            "(" | "[" | "{" => at = close(tokens, at) + 1,
            _ => at += 1,
        }
    }
    at
}

#[test]
fn comments_strings_and_lifetimes_are_no_words() {
    let source =
        "a::b /* c /* d */ e */ \"f\\\"g\" r#\"h\"i\"# 'j' '\\'' fn k<'l>(b\"m\") // n\nr#o b'p' c\"q\"";

    let words: Vec<String> =
        tokens(source).into_iter().filter(Token::is_word).map(|token| token.text).collect();

    assert_eq!(words, ["a", "b", "fn", "k", "o"]);
    assert_eq!(tokens(source).last().map(|token| token.line), Some(2));
}

#[test]
fn what_only_tests_compile_is_left_out() {
    let source = "#[cfg(test)] mod tests;\n#[cfg(test)]\nuse a::{b, c};\nfn d() {}\n#[cfg(test)]\n#[allow(x)]\nmod e { fn f() {} }\n\
                  struct G { #[cfg(test)] h: u8, i: u8 }\n#[cfg(test)] pub(crate) const fn j() -> u8 { 1 }\n#[cfg(test)] const K: L = L { m: 1 };\nfn n() {}";

    let (kept, test_modules) = without_tests(&tokens(source));
    let words: Vec<&str> =
        kept.iter().filter(|token| token.is_word()).map(|token| token.text.as_str()).collect();

    assert_eq!(words, ["fn", "d", "struct", "G", "i", "u8", "fn", "n"]);
    assert_eq!(test_modules, BTreeSet::from(["tests".to_owned()]));
}
