//! A duration: `"250ms"`, `"2s"`, `"1m"`.
//!
//! One whole number and one unit: no fractions, no sums, no days. The message about another spelling gives the right
//! one, so that all files look alike.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::misread::{Misread, from_text, quoted};
use super::quantity::scaled;

/// A duration as a configuration writes it: a whole number and one of `us`, `ms`, `s`, `m`, `h`. A plain `0` is zero;
/// any other number without a unit is refused.
///
/// It prints with the largest unit that divides it, and reads what it prints; fractions of a microsecond are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan(pub Duration);

/// Every unit with its length in microseconds, the longest first.
const UNITS: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// Other common spellings, in lower case, with their length in microseconds.
const SPELT_OTHERWISE: [(&[&str], u64); 6] = [
    (&["d", "day", "days"], 86_400_000_000),
    (&["hr", "hrs", "hour", "hours"], 3_600_000_000),
    (&["min", "mins", "minute", "minutes"], 60_000_000),
    (&["sec", "secs", "second", "seconds"], 1_000_000),
    (&["msec", "msecs", "milli", "millis", "millisecond", "milliseconds"], 1_000),
    (&["µs", "μs", "usec", "usecs", "micros", "microsecond", "microseconds"], 1),
];

/// Units of sizes and rates, in lower case: valid elsewhere, wrong for a time.
const OTHER_QUANTITIES: [(&[&str], &str); 2] = [
    (&["b", "k", "g", "kb", "mb", "gb", "kib", "mib", "gib", "byte", "bytes"], "size"),
    (
        &[
            "bit", "kbit", "mbit", "gbit", "kbps", "mbps", "gbps", "/s", "b/s", "kb/s", "mb/s", "kib/s",
            "mib/s",
        ],
        "rate",
    ),
];

impl FromStr for TimeSpan {
    type Err = Misread;

    /// Reads `"250ms"`.
    ///
    /// # Errors
    /// What is wrong with the text and what to write instead.
    fn from_str(text: &str) -> Result<Self, Misread> {
        if text == "0" {
            return Ok(TimeSpan(Duration::ZERO));
        }
        let (number, unit) = split_number(text);
        let Some((_, micros)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
            return Err(misread(text));
        };
        let Ok(number) = number.parse::<u64>() else { return Err(misread(text)) };
        match number.checked_mul(micros) {
            Some(micros) => Ok(TimeSpan(Duration::from_micros(micros))),
            None => {
                Err(Misread::new(format!("{} is too long", quoted(text)), r#"write a shorter time, as "1h""#))
            }
        }
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        if micros == 0 {
            return f.write_str("0s");
        }
        let fits = UNITS.into_iter().find(|(_, unit)| micros.is_multiple_of(u128::from(*unit)));
        let (name, unit) = fits.unwrap_or(("us", 1));
        write!(f, "{}{name}", micros / u128::from(unit))
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a time, as \"2s\"", |number| match number {
            "0" => Misread::new("0 is not in quotes", r#"write "0s""#),
            _ => TimeSpan::without_unit(number),
        })
    }
}

impl TimeSpan {
    /// The message about a bare number.
    fn without_unit(number: &str) -> Misread {
        let instead = match number.parse::<u64>() {
            Ok(_) => format!(r#"write a unit: "{number}ms" or "{number}s""#),
            Err(_) => r#"write a unit: "250ms" or "2s""#.into(),
        };
        Misread::new(format!("{number} has no unit"), instead)
    }
}

/// `"250ms"` → (`"250"`, `"ms"`); either may be empty.
fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Works out what was meant by a text that cannot be read as it stands.
fn misread(text: &str) -> Misread {
    let (shown, trimmed) = (quoted(text), text.trim());
    let (number, unit) = split_number(trimmed);
    let unit = unit.trim_start();
    if trimmed.is_empty() {
        return Misread::new("the time is empty", r#"write a number and a unit, as "250ms" or "2s""#);
    }
    if trimmed.starts_with('-') {
        return Misread::new(format!("{shown} is negative"), r#"write a time of 0 or more, as "2s""#);
    }
    if !number.is_empty() && unit.is_empty() {
        return if number == text { TimeSpan::without_unit(number) } else { TimeSpan::without_unit(trimmed) };
    }
    if unit == "M" && !number.is_empty() {
        let what = format!("{shown} could be minutes, months or a size");
        return Misread::new(what, format!(r#"write "{number}m" for minutes"#));
    }
    if let Some(micros) = meant(trimmed) {
        let span = TimeSpan(Duration::from_micros(micros));
        return Misread::new(
            format!("{shown} is not how a time is written"),
            format!(r#"did you mean "{span}"?"#),
        );
    }
    let lower = unit.to_lowercase();
    if let Some((_, kind)) = OTHER_QUANTITIES.iter().find(|(names, _)| names.contains(&lower.as_str())) {
        return Misread::new(
            format!("{shown} is a {kind}, and a time is needed"),
            r#"write a number and us, ms, s, m or h, as "250ms" or "2s""#,
        );
    }
    Misread::new(
        format!("{shown} is not a time"),
        r#"write a whole number and us, ms, s, m or h, as "250ms" or "2s""#,
    )
}

/// The microseconds in `"2 sec"`, `"1.5s"`, `"1m30s"` or `"1 hour 5 min"`, if they are a whole number.
fn meant(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let tail = tail.trim_start();
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        sum = sum.checked_add(scaled(number, unit_micros(unit)?)?)?;
        rest = tail.trim_start();
    }
    Some(sum)
}

fn unit_micros(unit: &str) -> Option<u64> {
    let unit = unit.to_lowercase();
    let read = UNITS.into_iter().find(|(name, _)| *name == unit).map(|(_, micros)| micros);
    let otherwise = || SPELT_OTHERWISE.into_iter().find(|(names, _)| names.contains(&unit.as_str()));
    read.or_else(|| otherwise().map(|(_, micros)| micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> String {
        text.parse::<TimeSpan>().unwrap_err().to_string()
    }

    #[test]
    fn every_unit_is_read() {
        let micros = |text: &str| text.parse::<TimeSpan>().unwrap().0.as_micros();

        assert_eq!(micros("500us"), 500);
        assert_eq!(micros("250ms"), 250_000);
        assert_eq!(micros("2s"), 2_000_000);
        assert_eq!(micros("1m"), 60_000_000);
        assert_eq!(micros("1h"), 3_600_000_000);
        assert_eq!(micros("0"), 0);
        assert_eq!(micros("0s"), 0);
    }

    #[test]
    fn another_spelling_is_answered_with_the_one_that_is_read() {
        assert_eq!(message("2 sec"), r#""2 sec" is not how a time is written; did you mean "2s"?"#);
        assert_eq!(message("1.5s"), r#""1.5s" is not how a time is written; did you mean "1500ms"?"#);
        assert_eq!(message("1m30s"), r#""1m30s" is not how a time is written; did you mean "90s"?"#);
        assert_eq!(message(" 2S "), r#"" 2S " is not how a time is written; did you mean "2s"?"#);
        assert_eq!(message("1d"), r#""1d" is not how a time is written; did you mean "24h"?"#);
    }

    #[test]
    fn a_wrong_unit_is_named() {
        assert_eq!(message("1M"), r#""1M" could be minutes, months or a size; write "1m" for minutes"#);
        assert!(message("10MiB").starts_with(r#""10MiB" is a size, and a time is needed"#));
        assert!(message("10mbit").starts_with(r#""10mbit" is a rate, and a time is needed"#));
        assert_eq!(message("2"), r#"2 has no unit; write a unit: "2ms" or "2s""#);
        assert_eq!(
            message("1.5"),
            r#""1.5" is not a time; write a whole number and us, ms, s, m or h, as "250ms" or "2s""#
        );
    }

    #[test]
    fn a_time_that_no_clock_holds_is_refused() {
        assert!(message("99999999999999999h").contains("too long"));
        assert!(message("99999999999999999999999s").contains("is not a time"));
        assert!(message("-2s").contains("negative"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(micros: u64) {
            let span = TimeSpan(Duration::from_micros(micros));

            prop_assert_eq!(span.to_string().parse::<TimeSpan>(), Ok(span));
        }

        #[test]
        fn what_is_proposed_is_read(text in r"[0-9]{1,4}(\.[0-9]{1,3})? ?(sec|Min|ms|HOURS|d|µs|s)") {
            if let Err(misread) = text.parse::<TimeSpan>()
                && let Some(proposal) = misread.instead.strip_prefix("did you mean \"")
            {
                prop_assert!(proposal.trim_end_matches("\"?").parse::<TimeSpan>().is_ok());
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<TimeSpan>();
        }

        #[test]
        fn nothing_that_looks_like_a_time_panics(text in r"[ -]?[0-9.]{0,25} ?[a-zA-Zµ/]{0,5}[0-9]{0,3}[a-z]{0,2}") {
            let _ = text.parse::<TimeSpan>();
        }
    }
}
