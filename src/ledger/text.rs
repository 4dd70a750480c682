//! The text form of a record: `key=value` pairs.

use std::fmt;
use std::time::Duration;

use super::record::Record;
use crate::outcome::{Datagrams, End};
use crate::units::digits::write_number;
use crate::units::shown;

/// `key=value` pairs, one line, no line end.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

impl Record {
    /// Writes the same. To a `String` it costs a sixth of what `Display` would with the formatting machinery, which no
    /// field of a usual record needs.
    ///
    /// # Errors
    /// As of the writer.
    pub fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let o = &self.outcome;
        pair(out, "route=", &self.route)?;
        self.write_client(out)?;
        out.write_str(" target=")?;
        match &o.target {
            Some(address) => address.write_to(out)?,
            None => out.write_str(&self.target)?,
        }
        pair(out, " end=", o.end.code())?;
        if let End::NoTarget(cause) = o.end {
            pair(out, " cause=", cause.code())?;
            if self.far {
                out.write_str(" far=true")?;
            }
        }
        let (up, down) = (o.traffic.up, o.traffic.down);
        pair(out, " phase=", o.phase.code())?;
        count(out, " up=", up.delivered)?;
        count(out, " down=", down.delivered)?;
        pair(out, " way=", o.way.code())?;
        millis(out, " connect=", o.timing.connect)?;
        millis(out, " first_byte=", o.timing.first_byte)?;
        millis(out, " total=", Some(o.timing.total))?;
        if let Some(side) = o.closed_by {
            pair(out, " closed_by=", side.code())?;
        }
        if let Some(sides) = self.no_close_notify {
            pair(out, " no_close_notify=", sides.code())?;
        }
        if let Some(limit) = self.dry_run {
            pair(out, " dry_run=", limit.key())?;
        }
        if up.lost() > 0 {
            count(out, " up_lost=", up.lost())?;
        }
        if down.lost() > 0 {
            count(out, " down_lost=", down.lost())?;
        }
        if let Some(datagrams) = &o.datagrams {
            write_datagrams(out, datagrams)?;
        }
        if self.count > 1 {
            count(out, " count=", self.count)?;
        }
        out.write_str(" id=")?;
        self.id.write_to(out)?;
        match self.hint() {
            // A process may have any name; a quote in it must not end the hint.
            Some(hint) => write!(out, " hint=\"{}\"", shown(&hint.replace('"', "'"), usize::MAX)),
            None => Ok(()),
        }
    }

    /// Who connected, and by what.
    fn write_client(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str(" client=")?;
        self.client.write_to(out)?;
        if let Some(via) = self.via {
            out.write_str(" via=")?;
            via.write_to(out)?;
        }
        if let Some(tunnel) = &self.tunnel {
            pair(out, " tunnel=", tunnel.as_str())?;
        }
        match &self.name {
            Some(name) => write!(out, " name={}", Word(name)),
            None => Ok(()),
        }
    }
}

fn write_datagrams(out: &mut impl fmt::Write, datagrams: &Datagrams) -> fmt::Result {
    count(out, " up_datagrams=", datagrams.up)?;
    count(out, " down_datagrams=", datagrams.down)?;
    for (key, drops) in [(" up_dropped=", &datagrams.up_dropped), (" down_dropped=", &datagrams.down_dropped)]
    {
        for (n, (why, dropped)) in drops.each().enumerate() {
            out.write_str(if n == 0 { key } else { "," })?;
            out.write_str(why.code())?;
            count(out, ":", dropped)?;
        }
    }
    if datagrams.target_dropped > 0 {
        count(out, " target_dropped=", datagrams.target_dropped)?;
    }
    Ok(())
}

fn pair(out: &mut impl fmt::Write, key: &str, value: &str) -> fmt::Result {
    out.write_str(key)?;
    out.write_str(value)
}

fn count(out: &mut impl fmt::Write, key: &str, count: u64) -> fmt::Result {
    out.write_str(key)?;
    write_number(out, count)
}

/// A duration in milliseconds with two or three significant figures; nothing if there is none.
fn millis(out: &mut impl fmt::Write, key: &str, duration: Option<Duration>) -> fmt::Result {
    let Some(duration) = duration else { return Ok(()) };
    out.write_str(key)?;
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let (decimals, unit) = match nanos {
        ..1_000_000 => (2, 10_000),
        1_000_000..10_000_000 => (1, 100_000),
        _ => (0, 1_000_000),
    };
    let (units, whole) = (nanos.saturating_add(unit / 2) / unit, 1_000_000 / unit);
    write_number(out, units / whole)?;
    if decimals > 0 {
        let part = units % whole;
        out.write_str(if decimals == 2 && part < 10 { ".0" } else { "." })?;
        write_number(out, part)?;
    }
    out.write_str("ms")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_two_or_three_significant_figures() {
        for (nanos, text) in [
            (0, "0.00ms"),
            (4_999, "0.00ms"),
            (42_000, "0.04ms"),
            (996_000, "1.00ms"),
            (1_000_000, "1.0ms"),
            (9_940_000, "9.9ms"),
            (9_960_000, "10.0ms"),
            (10_400_000, "10ms"),
            (1_234_600_000, "1235ms"),
            (u64::MAX, "18446744073709ms"),
        ] {
            let mut line = String::new();
            millis(&mut line, "", Some(Duration::from_nanos(nanos))).unwrap();
            assert_eq!(line, text, "{nanos}");
        }
    }

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
