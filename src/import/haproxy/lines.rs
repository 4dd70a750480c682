//! Splits the text into sections, lines and words (configuration.txt, section 2.2: quoting and escaping).

use std::time::Duration;

use crate::import::draft::Draft;
use crate::import::message::At;
use crate::import::shell::joined_lines;

/// One line of a section.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) at: At,
    pub(super) words: Vec<String>,
}

/// A section with its lines.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) kind: String,
    pub(super) name: String,
    /// The `defaults` section it names with `from`.
    pub(super) from: Option<String>,
    /// The words after the name: an address to listen on, in the old notation.
    pub(super) rest: Vec<String>,
    pub(super) at: At,
    pub(super) lines: Vec<Line>,
}

const SECTIONS: [&str; 20] = [
    "global",
    "defaults",
    "listen",
    "frontend",
    "backend",
    "peers",
    "resolvers",
    "mailers",
    "userlist",
    "cache",
    "program",
    "ring",
    "http-errors",
    "fcgi-app",
    "log-forward",
    "crt-store",
    "traces",
    "ruleset",
    "log-profile",
    "acme",
];

/// Every section. Lines before the first, and lines that cannot be split, are noted.
pub(super) fn sections(text: &str, draft: &mut Draft) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (number, line) in joined_lines(text) {
        let at = At::new(number, line.trim());
        let words = match split(&line) {
            Ok(words) if words.is_empty() => continue,
            Ok(words) => words,
            Err(why) => {
                let told = if sections.is_empty() { at.unknown() } else { at.clone() };
                draft.lost(None, &told, why);
                unread(at, &mut sections);
                continue;
            }
        };
        let at = at.with(shown(&words));
        if words[0].starts_with('.') {
            draft.lost(None, &at, "conditions are not evaluated; the lines of every branch are read");
            continue;
        }
        if SECTIONS.contains(&words[0].as_str()) {
            sections.push(begun(at, words));
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(Line { at, words });
        } else {
            draft.lost(None, &at.unknown(), "it is outside any section");
        }
    }
    sections
}

/// The words of a line as notes show it, without the passwords it holds.
fn shown(words: &[String]) -> String {
    let shown = match words.first().map(String::as_str) {
        Some("setenv" | "presetenv") => 2,
        Some("stats") if words.get(1).is_some_and(|word| word == "auth") => 2,
        _ => words.len(),
    };
    words[..shown.min(words.len())].join(" ")
}

/// Keeps a rule that cannot be split as one that no reader understands, so that its route is left out, rather than
/// imported without the rule.
fn unread(at: At, sections: &mut [Section]) {
    let is_rule = at.words.split_whitespace().next() == Some("tcp-request");
    if let Some(section) = sections.last_mut().filter(|_| is_rule) {
        let words = ["tcp-request", "connection", "unread"].map(str::to_owned).to_vec();
        section.lines.push(Line { at, words });
    }
}

fn begun(at: At, words: Vec<String>) -> Section {
    let mut words = words.into_iter();
    let kind = words.next().unwrap_or_default();
    let mut rest: Vec<String> = words.collect();
    let from = rest.iter().position(|word| word == "from");
    let named = from.and_then(|at| rest.get(at + 1).cloned());
    if let Some(from) = from {
        rest.drain(from..rest.len().min(from + 2));
    }
    let name = if rest.is_empty() { String::new() } else { rest.remove(0) };
    Section { kind, name, from: named, rest, at, lines: Vec::new() }
}

/// Splits a line into words, with HAProxy's quotes, backslashes and comments. The value of an environment variable is
/// not known here, so a line that contains one is an error.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '#' => break,
            '\\' => word.get_or_insert_default().extend(escaped(&mut characters)),
            '\'' => {
                let into = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        None => return Err("a quote is not closed"),
                        Some('\'') => break,
                        Some(inside) => into.push(inside),
                    }
                }
            }
            '"' => {
                let into = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        None => return Err("a quote is not closed"),
                        Some('"') => break,
                        Some('$') => {
                            return Err("it contains an environment variable; write its value");
                        }
                        Some('\\') => into.extend(escaped(&mut characters)),
                        Some(inside) => into.push(inside),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The character that an escape sequence means, such as `\r` or `\x0d`.
fn escaped(characters: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match characters.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'x' => {
            let digits: String = characters.by_ref().take(2).collect();
            char::from(u8::from_str_radix(&digits, 16).unwrap_or(b'?'))
        }
        other => other,
    })
}

/// A time in HAProxy's notation: milliseconds, or a number with a unit (configuration.txt, section 2.5).
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let micros = match &text[digits..] {
        "us" => 1,
        "" | "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    Some(Duration::from_micros(number.checked_mul(micros)?))
}
