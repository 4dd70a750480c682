//! The text form of a record: `key=value` pairs.

use std::fmt;
use std::time::Duration;

use super::record::Record;
use crate::outcome::{Datagrams, End, Limit, Sides};
use crate::units::shown;

/// `key=value` pairs, one line, no line end.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = &self.outcome;
        write!(f, "route={} client={}", self.route, self.client)?;
        pair(f, "via", self.via)?;
        pair(f, "name", self.name.as_deref().map(Word))?;
        f.write_str(" target=")?;
        match &o.target {
            Some(address) => write!(f, "{address}")?,
            None => f.write_str(&self.target)?,
        }
        write!(f, " end={}", o.end.code())?;
        if let End::NoTarget(cause) = o.end {
            write!(f, " cause={cause}")?;
        }
        let (up, down) = (o.traffic.up, o.traffic.down);
        write!(
            f,
            " phase={} up={} down={} way={}",
            o.phase.code(),
            up.delivered,
            down.delivered,
            o.way.code()
        )?;
        pair(f, "connect", o.timing.connect.map(Millis))?;
        pair(f, "first_byte", o.timing.first_byte.map(Millis))?;
        pair(f, "total", Some(Millis(o.timing.total)))?;
        pair(f, "closed_by", o.closed_by.map(|side| side.code()))?;
        pair(f, "no_close_notify", self.no_close_notify.map(Sides::code))?;
        pair(f, "dry_run", self.dry_run.map(Limit::key))?;
        pair(f, "up_lost", Some(up.lost()).filter(|&bytes| bytes > 0))?;
        pair(f, "down_lost", Some(down.lost()).filter(|&bytes| bytes > 0))?;
        if let Some(datagrams) = &o.datagrams {
            write_datagrams(f, datagrams)?;
        }
        pair(f, "count", Some(self.count).filter(|&count| count > 1))?;
        match self.hint() {
            // A process may have any name; a quote in it must not end the hint.
            Some(hint) => write!(f, " hint=\"{}\"", shown(&hint.replace('"', "'"), usize::MAX)),
            None => Ok(()),
        }
    }
}

fn write_datagrams(f: &mut fmt::Formatter<'_>, datagrams: &Datagrams) -> fmt::Result {
    write!(f, " up_datagrams={} down_datagrams={}", datagrams.up, datagrams.down)?;
    for (side, drops) in [("up", &datagrams.up_dropped), ("down", &datagrams.down_dropped)] {
        for (n, (why, count)) in drops.each().enumerate() {
            let before = if n == 0 { format_args!(" {side}_dropped=") } else { format_args!(",") };
            write!(f, "{before}{}:{count}", why.code())?;
        }
    }
    pair(f, "target_dropped", Some(datagrams.target_dropped).filter(|&count| count > 0))
}

fn pair(f: &mut fmt::Formatter<'_>, key: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {key}={value}"),
        None => Ok(()),
    }
}

/// Text from outside: in quotes if it could be mistaken for another field.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\')) {
            true if !self.0.is_empty() => f.write_str(self.0),
            // A backslash of the text's own is doubled, so that what is escaped can be told from it.
            _ => write!(f, "\"{}\"", shown(&self.0.replace('\\', r"\\").replace('"', "'"), usize::MAX)),
        }
    }
}

/// A duration in milliseconds with two or three significant figures.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_secs_f64() * 1e3;
        match ms {
            _ if ms < 1.0 => write!(f, "{ms:.2}ms"),
            _ if ms < 10.0 => write!(f, "{ms:.1}ms"),
            _ => write!(f, "{ms:.0}ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_word_cannot_pass_for_another_field() {
        for (word, text) in [
            ("a.example", "a.example"),
            ("a end=done", "\"a end=done\""),
            ("x=\"y", "\"x='y\""),
            ("a\\nb", r#""a\\nb""#),
            ("a\nb", r#""a\nb""#),
            ("\x1b[31m\u{202e}", r#""\u{1b}[31m\u{202e}""#),
        ] {
            assert_eq!(Word(word).to_string(), text);
        }
    }
}
