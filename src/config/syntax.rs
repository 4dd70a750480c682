//! Errors of the TOML parser → what the user has to do.
//!
//! The parser's own message is kept if there is no better one. One mistake is reported once, although the parser may
//! report it several times.

use std::ops::Range;

use toml::de::Error;

use super::problem::{Place, Problem};
use crate::units::quoted;

const DUPLICATE: &str = "duplicate key";

/// The most errors that are examined; the wrong kind of file has one on every line.
const MAX_ERRORS: usize = 200;

/// A line of the file and where it starts.
#[derive(Clone, Copy)]
struct Line<'t> {
    start: usize,
    text: &'t str,
}

/// The problems of a text that is not TOML, at most one for each line.
pub(super) fn problems(text: &str, errors: &[Error]) -> Vec<Problem> {
    let mut errors: Vec<_> =
        errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    // The parser reports them in the order it found them, which is not the order of the file.
    errors.sort_by_key(|(span, _)| span.start);
    errors.truncate(MAX_ERRORS);

    if let Some(start) = text.find(|c: char| !c.is_whitespace()).filter(|at| text[*at..].starts_with('{')) {
        let problem =
            Problem::new(Place::Text(start..start + 1), "", "this is JSON, and a configuration is TOML");
        let help = "write [routes.NAME], and below it listen = \"…\" and target = \"…\"";
        return vec![problem.help(help)];
    }
    let mut problems = Vec::new();
    let mut reported_line = None;
    let mut repeated_table = None;
    for (span, message) in errors {
        let line = line_at(text, span.start);
        let table = table_of(text, line);
        // All keys of a repeated table are reported as "duplicate key": the mistake is the table.
        let echo = message == DUPLICATE && repeated_table.is_some() && table == repeated_table;
        if echo || reported_line == Some(line.start) {
            continue;
        }
        if message == DUPLICATE && is_header(line) {
            repeated_table = table;
        }
        reported_line = Some(line.start);
        problems.push(problem(text, line, span, message));
    }
    problems
}

fn problem(text: &str, line: Line<'_>, span: Range<usize>, message: &str) -> Problem {
    if message == DUPLICATE {
        return duplicate(text, line, span);
    }
    let place = Place::Text(span.clone());
    if let Some((key, value)) = unquoted(line, span.start) {
        return bare_value(line, place, key, value);
    }
    if let Some(problem) = other_language(line, span.start) {
        return problem;
    }
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected).filter(|expected| *expected != "nothing")),
        None => (message, None),
    };
    let mut problem = match (what, expected) {
        ("invalid basic string", Some("`\"`")) => Problem::new(place, "", "this string is not closed"),
        _ => Problem::new(place, "", format!("this is not TOML: {what}")),
    };
    problem.help = expected.map(|expected| format!("expected {expected}"));
    problem
}

/// A value without quotes, or a missing value.
fn bare_value(line: Line<'_>, place: Place, key: &str, value: &str) -> Problem {
    if value.is_empty() {
        return Problem::new(place, "", format!("{key} has no value")).help(format!("write {key} = \"…\""));
    }
    let at = line.start + line.text.find(value).unwrap_or(0);
    let place = Place::Text(at..at + value.len());
    let straight = value.trim_matches(CURLY);
    let (what, instead) = match value {
        "True" | "TRUE" | "yes" | "on" => ("TOML writes this as true", "true".to_owned()),
        "False" | "FALSE" | "no" => ("TOML writes this as false", "false".to_owned()),
        _ if straight != value => ("these quotes are not straight", quoted(straight)),
        _ => ("this value needs quotes", quoted(value)),
    };
    Problem::new(place, "", what).help(format!("write {key} = {instead}"))
}

/// Typographic quotes, as word processors and web pages use them.
const CURLY: [char; 7] = ['“', '”', '„', '‘', '’', '«', '»'];

/// A line in the syntax of YAML, nginx, HAProxy or C.
fn other_language(line: Line<'_>, position: usize) -> Option<Problem> {
    let text = line.text.trim();
    let at = |start: usize, length: usize| {
        let start = line.start + start;
        Place::Text(start..start + length)
    };
    let indent = line.text.len() - line.text.trim_start().len();
    if text.starts_with("//") || text.starts_with("/*") || text.starts_with("--") {
        return Some(Problem::new(at(indent, 2), "", "a comment begins with #").help("write # before it"));
    }
    let behind = position.checked_sub(line.start)?;
    if line.text.get(behind..)?.starts_with(';') {
        return Some(Problem::new(at(behind, 1), "", "a line ends without a ;").help("leave it out"));
    }
    if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        && name.contains(' ')
    {
        let joined = name.split_whitespace().collect::<Vec<_>>().join("-");
        let place = at(indent, text.len());
        return Some(Problem::new(place, "", "a name has no spaces").help(format!("write [{joined}]")));
    }
    if let Some((key, list)) = text.split_once('=')
        && let Some(inner) = list.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        && !inner.contains(['"', '\'', '[', '{'])
        && is_key(key.trim())
    {
        let each: Vec<String> = inner.split(',').map(|one| quoted(one.trim())).collect();
        let place = at(line.text.find('[').unwrap_or(0), inner.len() + 2);
        let help = format!("write {} = [{}]", key.trim(), each.join(", "));
        return Some(Problem::new(place, "", "the values of this list need quotes").help(help));
    }
    let between = || "a key and its value have = between them";
    if let Some((key, _)) = line.text.split_once(':').filter(|(key, _)| is_key(key.trim())) {
        return Some(Problem::new(at(key.len(), 1), "", between()).help(format!("write {} = …", key.trim())));
    }
    let (key, value) = text.split_once(' ').filter(|(key, value)| is_word(key) && !value.contains('='))?;
    let place = at(indent, text.len());
    if value.contains('{') {
        let problem =
            Problem::new(place, "", "the name of a table is in brackets, and its keys are not in braces");
        return Some(problem.help("write [routes.NAME] above the keys of a route"));
    }
    let value = value.trim().trim_matches(['"', '\'', ';']);
    let one = !value.is_empty() && !value.contains(char::is_whitespace);
    one.then(|| Problem::new(place, "", between()).help(format!("write {key} = {}", quoted(value))))
}

fn is_word(text: &str) -> bool {
    is_key(text) && text.starts_with(|first: char| first.is_ascii_alphabetic())
}

fn duplicate(text: &str, line: Line<'_>, span: Range<usize>) -> Problem {
    let name = if is_header(line) { line.text.trim() } else { text.get(span.clone()).unwrap_or_default() };
    let help =
        if is_header(line) { "merge the two, or give one another name" } else { "leave one of the two out" };
    let problem = Problem::new(Place::Text(span), "", format!("{} is written twice", quoted(name)))
        .help(help)
        .label("again here");
    match first_written(text, line) {
        Some(first) => problem.also(Place::Text(first), "first here"),
        None => problem,
    }
}

/// Where the key or the header of `line` was first written, if in the same spelling.
fn first_written(text: &str, line: Line<'_>) -> Option<Range<usize>> {
    let key = |line: Line<'_>| line.text.split('=').next().unwrap_or_default().trim().to_owned();
    let wanted = key(line);
    let before = lines(text).take_while(|earlier| earlier.start < line.start);
    let found = if is_header(line) {
        before.into_iter().find(|earlier| key(*earlier) == wanted)
    } else {
        let table = table_of(text, line);
        before.into_iter().find(|earlier| key(*earlier) == wanted && table_of(text, *earlier) == table)
    }?;
    let start = found.start + found.text.find(wanted.as_str())?;
    Some(start..start + wanted.len())
}

/// The key and the value of a line whose error lies in a value without quotes, or in a missing value.
fn unquoted(line: Line<'_>, position: usize) -> Option<(&str, &str)> {
    let (key, value) = line.text.split_once('=')?;
    // An error before the value has another cause.
    if position <= line.start + key.len() {
        return None;
    }
    let value = value.split('#').next().unwrap_or_default().trim();
    let is_bare = !value.contains(['"', '\'', '{', '}', '[', ']', ',', '=']);
    (is_key(key.trim()) && is_bare).then_some((key.trim(), value))
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn is_header(line: Line<'_>) -> bool {
    line.text.trim_start().starts_with('[')
}

/// Where the nearest header starts, at or above `line`.
fn table_of(text: &str, line: Line<'_>) -> Option<usize> {
    let above = lines(text).take_while(|above| above.start <= line.start);
    above.filter(|above| is_header(*above)).last().map(|header| header.start)
}

fn line_at(text: &str, position: usize) -> Line<'_> {
    let start = text.get(..position).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    Line { start, text: text[start..].lines().next().unwrap_or_default() }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut next = 0;
    text.split_inclusive('\n').map(move |text| {
        let start = next;
        next += text.len();
        Line { start, text }
    })
}
