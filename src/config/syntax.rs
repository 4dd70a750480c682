//! What the TOML parser says → what a user has to do.
//!
//! The parser's own words are kept where nothing better is known.

use toml::de::Error;

use super::problem::{Place, Problem};
use crate::units::quoted;

/// The problem of one syntax error.
pub(super) fn problem(text: &str, error: &Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let (what, expected) = match error.message().split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected)),
        None => (error.message(), None),
    };
    let place = Place::Text(span.clone());
    if what == "duplicate key" {
        let name = quoted(text.get(span).unwrap_or_default());
        return Problem::new(place, "", format!("{name} is written twice"))
            .help("merge the two, or give one of them another name");
    }
    if let Some((key, value)) = bare_value(text, span.start) {
        return match value {
            "" => Problem::new(place, "", format!("{key} has no value")).help(format!("write {key} = \"…\"")),
            _ => Problem::new(place, "", "this value needs quotes")
                .help(format!("write {key} = {}", quoted(value))),
        };
    }
    let problem = Problem::new(place, "", format!("this is not TOML: {what}"));
    match expected.filter(|expected| *expected != "nothing") {
        Some(expected) => problem.help(format!("expected {expected}")),
        None => problem,
    }
}

/// The key and the value of the line at `position`, if the value is a text someone forgot to quote, or nothing at all.
fn bare_value(text: &str, position: usize) -> Option<(&str, &str)> {
    let start = text.get(..position)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let (key, value) = line.split_once('=')?;
    // An error before the value is about something else.
    if position < start + key.len() + 1 {
        return None;
    }
    let key = key.trim();
    let value = value.split('#').next().unwrap_or_default().trim();
    let is_key =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let is_bare = !value.contains(['"', '\'', '{', '}', '[', ']', ',', '=']) || value.starts_with("[:");
    (is_key && is_bare).then_some((key, value))
}
