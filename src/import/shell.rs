//! Parsing of command lines, port names and times.

use std::time::Duration;

use super::draft::{Draft, Toml};
use super::message::At;
use crate::probe::system::services;
use crate::units::TimeSpan;

/// The most words in one command line.
const MAX_WORDS: usize = 10_000;

/// The name of the program a line starts: skips programs that only start another one (`sudo`), assignments, and the
/// program's directory.
pub(super) fn first_word(line: &str) -> Option<&str> {
    let is_setting =
        |word: &&str| word.split_once('=').is_some_and(|(name, _)| !name.is_empty() && !name.contains('/'));
    let starts_others = ["sudo", "nohup", "exec", "setsid", "daemonize", "$", "ExecStart="];
    let line = line.strip_prefix("ExecStart=").unwrap_or(line);
    let mut words = line.split_whitespace();
    let word = words.find(|word| !starts_others.contains(word) && !is_setting(word))?;
    word.rsplit('/').next()
}

/// Splits a line into words as a shell does, with quotes, backslashes and a trailing comment.
///
/// # Errors
/// If a quote is not closed, or there are too many words.
pub(super) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '#' if word.is_none() => break,
            ';' => {
                words.extend(word.take());
                words.push(c.to_string());
            }
            '\\' => word.get_or_insert_default().extend(characters.next()),
            '\'' | '"' => {
                let into = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        None => return Err("a quote is not closed"),
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => into.extend(characters.next()),
                        Some(inside) => into.push(inside),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
        if words.len() > MAX_WORDS {
            return Err("the line has too many words");
        }
    }
    words.extend(word);
    Ok(words)
}

/// The lines of a script, each with its number; a line that ends in a backslash is joined with the next.
pub(super) fn joined_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let (number, mut whole) = open.take().unwrap_or((at + 1, String::new()));
        match line.strip_suffix('\\') {
            Some(part) => {
                whole.push_str(part);
                open = Some((number, whole));
            }
            None => {
                whole.push_str(line);
                lines.push((number, whole));
            }
        }
    }
    lines.extend(open);
    lines
}

/// The commands of a line, which `&`, `;` and `|` separate.
pub(super) fn commands(words: &[String]) -> impl Iterator<Item = &[String]> {
    words.split(|word| is_between(word)).filter(|command| !command.is_empty())
}

fn is_between(word: &str) -> bool {
    matches!(word, "&" | "&&" | ";" | "|" | "||")
}

/// Splits a line into the command and the part for the shell: redirections, and everything after `&`, `;` or `|`.
pub(super) fn of_command(words: &[String]) -> (&[String], &[String]) {
    let is_redirection = |word: &str| {
        let behind = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&');
        behind.starts_with('>') || word.starts_with('<')
    };
    let is_shell = |word: &String| is_between(word) || is_redirection(word);
    words.split_at(words.iter().position(is_shell).unwrap_or(words.len()))
}

/// Notes the part of a line that is for the shell.
pub(super) fn note_shell(words: &[String], at: &At, draft: &mut Draft) {
    match words {
        [] => {}
        [only] if only == "&" => {}
        words => draft.idle(&at.with(words.join(" ")), "it is for the shell"),
    }
}

/// Whether the text is a number above the highest port.
pub(super) fn is_beyond_ports(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_err()
}

/// Why [`port`] rejects a text.
pub(super) fn why_no_port(text: &str) -> &'static str {
    match is_beyond_ports(text) {
        true => "the highest port is 65535",
        false => "this machine knows no service of that name; write the port number",
    }
}

/// A port, written as a number or as the name of a service.
pub(super) fn port(text: &str, protocol: &str) -> Option<u16> {
    match text.parse() {
        Ok(port) if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(port),
        _ => services::port(text, protocol),
    }
}

/// A host as our addresses spell it: IPv6 in brackets.
pub(super) fn bracketed(host: &str) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() }
}

/// A time in seconds, such as `2` or `0.5`.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A time as our configuration spells it.
pub(super) fn time(duration: Duration) -> Toml {
    Toml::text(TimeSpan(duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_a_shell_splits_it() {
        assert_eq!(
            split("a 'b c' \"d\\\"e\" f\\ g # h"),
            Ok(vec!["a".into(), "b c".into(), "d\"e".into(), "f g".into()])
        );
        assert_eq!(split("a 'b"), Err("a quote is not closed"));
        assert_eq!(split("a '' #"), Ok(vec!["a".into(), String::new()]));
        assert_eq!(joined_lines("a \\\n b\nc\n"), [(1, "a  b".to_owned()), (3, "c".to_owned())]);
    }

    #[test]
    fn the_program_stands_behind_what_starts_it() {
        assert_eq!(first_word("sudo FOO=1 /usr/bin/socat TCP:a"), Some("socat"));
        assert_eq!(first_word("ExecStart=/usr/bin/ssh -N"), Some("ssh"));
    }
}
