//! A data rate: `"10mbit"`, `"500kbit"`, `"1gbit"`; always bits per second.
//!
//! One whole number and one unit, as for times. Bytes per second are refused with a message that gives the same rate in
//! bits: an unnoticed factor of eight is worse than a spelling that has to be corrected once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::misread::{Misread, from_text, quoted};
use super::quantity::scaled;

/// A rate as a configuration writes it, in bits per second: a whole number and one of `bit`, `kbit`, `mbit`, `gbit`, in
/// steps of a thousand as in tc(8).
///
/// It prints with the largest unit that divides it, and reads what it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u64);

impl Rate {
    /// Whole bytes per second, at least one.
    pub fn bytes(self) -> u64 {
        (self.0 / 8).max(1)
    }
}

/// Every unit with its bits per second, the largest first.
const UNITS: [(&str, u64); 4] = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

/// Units of time, in lower case: valid elsewhere, wrong for a rate.
const TIMES: [&str; 7] = ["us", "µs", "ms", "s", "sec", "m", "h"];

impl FromStr for Rate {
    type Err = Misread;

    /// Reads `"10mbit"`.
    ///
    /// # Errors
    /// What is wrong with the text and what to write instead.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let (number, unit) = split_number(text);
        let unit = UNITS.into_iter().find(|(name, _)| *name == unit);
        let (Some((_, bits)), Ok(number)) = (unit, number.parse::<u64>()) else { return Err(misread(text)) };
        number.checked_mul(bits).map(Rate).ok_or_else(|| too_high(text))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = UNITS.into_iter().find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit));
        let (name, unit) = fits.unwrap_or(("bit", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a rate, as \"10mbit\"", Rate::without_unit)
    }
}

impl Rate {
    /// The message about a bare number.
    fn without_unit(number: &str) -> Misread {
        let instead = match number.parse::<u64>() {
            Ok(_) => format!(r#"write a unit: "{number}kbit" or "{number}mbit""#),
            Err(_) => r#"write a unit: "500kbit" or "10mbit""#.into(),
        };
        Misread::new(format!("{number} has no unit"), instead)
    }
}

/// The meaning of another spelling.
enum Meaning {
    Bits(u64),
    Bytes(u64),
    Either(u64),
    Size(u64),
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

fn too_high(text: &str) -> Misread {
    Misread::new(format!("{} is too high", quoted(text)), r#"write a lower rate, as "10gbit""#)
}

/// Works out what was meant by a text that cannot be read as it stands.
fn misread(text: &str) -> Misread {
    let (shown, trimmed) = (quoted(text), text.trim());
    if trimmed.is_empty() {
        return Misread::new("the rate is empty", r#"write a number and a unit, as "10mbit""#);
    }
    if trimmed.starts_with('-') {
        return Misread::new(format!("{shown} is negative"), r#"write a rate, as "10mbit""#);
    }
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let unit = unit.trim_start();
    if !number.is_empty() && unit.is_empty() {
        return Rate::without_unit(number);
    }
    meaning(unit).and_then(|meaning| answer(text, number, meaning)).unwrap_or_else(|| {
        let what = if !number.is_empty() && TIMES.contains(&unit.to_lowercase().as_str()) {
            format!("{shown} is a time, and a rate is needed")
        } else {
            format!("{shown} is not a rate")
        };
        Misread::new(what, r#"write a whole number and bit, kbit, mbit or gbit, as "10mbit""#)
    })
}

fn answer(text: &str, number: &str, meaning: Meaning) -> Option<Misread> {
    let shown = quoted(text);
    let rate = |unit: u64| scaled(number, unit).map(Rate);
    Some(match meaning {
        Meaning::Bits(unit) => Misread::new(
            format!("{shown} is not how a rate is written"),
            format!(r#"did you mean "{}"?"#, rate(unit)?),
        ),
        Meaning::Bytes(unit) => Misread::new(
            format!("{shown} is in bytes, and a rate is written in bits"),
            format!(r#"did you mean "{}"?"#, rate(unit.checked_mul(8)?)?),
        ),
        Meaning::Either(unit) => Misread::new(
            format!("{shown} could be bits or bytes"),
            format!(r#"write "{}" for bits, "{}" for bytes"#, rate(unit)?, rate(unit.checked_mul(8)?)?),
        ),
        Meaning::Size(unit) => Misread::new(
            format!("{shown} is a size, and a rate is needed"),
            format!(r#"write "{}" for as much a second"#, rate(unit.checked_mul(8)?)?),
        ),
    })
}

/// `"MB/s"`, `"KiB"`, `"Mbit/s"`, `"mbps"`: a prefix and a kind.
fn meaning(unit: &str) -> Option<Meaning> {
    let (prefix, kind) = match unit.chars().next() {
        Some(c) if "kKmMgGtT".contains(c) => unit.split_at(1),
        _ => ("", unit),
    };
    let power = match prefix.to_ascii_lowercase().as_str() {
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => 0,
    };
    let (step, kind) = match kind.strip_prefix('i') {
        Some(kind) if power > 0 => (1024_u64, kind),
        _ => (1000, kind),
    };
    let unit = step.pow(power);
    let is_big = prefix.chars().all(|c| c.is_ascii_uppercase()) && power > 0;
    match kind {
        "B/s" | "Bps" => return Some(Meaning::Bytes(unit)),
        "b/s" if is_big => return Some(Meaning::Bits(unit)),
        "" if power > 0 => return Some(Meaning::Either(unit)),
        _ => {}
    }
    match kind.to_ascii_lowercase().as_str() {
        "bit" | "bits" | "bit/s" | "bits/s" | "bit/sec" | "bits/sec" => Some(Meaning::Bits(unit)),
        "byte/s" | "bytes/s" | "byte/sec" | "bytes/sec" => Some(Meaning::Bytes(unit)),
        "b/s" | "bps" => Some(Meaning::Either(unit)),
        "b" | "byte" | "bytes" => Some(Meaning::Size(unit)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> String {
        text.parse::<Rate>().unwrap_err().to_string()
    }

    #[test]
    fn every_unit_is_read() {
        let bits = |text: &str| text.parse::<Rate>().unwrap().0;

        assert_eq!(bits("64000bit"), 64_000);
        assert_eq!(bits("500kbit"), 500_000);
        assert_eq!(bits("10mbit"), 10_000_000);
        assert_eq!(bits("2gbit"), 2_000_000_000);
        assert_eq!("10mbit".parse::<Rate>().unwrap().bytes(), 1_250_000);
    }

    #[test]
    fn bytes_are_answered_with_the_bits_they_are() {
        assert_eq!(
            message("5MB/s"),
            r#""5MB/s" is in bytes, and a rate is written in bits; did you mean "40mbit"?"#
        );
        assert_eq!(
            message("1.5KiB/s"),
            r#""1.5KiB/s" is in bytes, and a rate is written in bits; did you mean "12288bit"?"#
        );
        assert_eq!(
            message("10mbps"),
            r#""10mbps" could be bits or bytes; write "10mbit" for bits, "80mbit" for bytes"#
        );
        assert_eq!(
            message("10M"),
            r#""10M" could be bits or bytes; write "10mbit" for bits, "80mbit" for bytes"#
        );
        assert_eq!(
            message("10MiB"),
            r#""10MiB" is a size, and a rate is needed; write "83886080bit" for as much a second"#
        );
    }

    #[test]
    fn another_spelling_is_answered_with_the_one_that_is_read() {
        for text in ["10 Mbit/s", "10Mb/s", "10MBit", "0.01gbit", " 10mbit", "10 mbit"] {
            let wanted = format!(r#"{text:?} is not how a rate is written; did you mean "10mbit"?"#);
            assert_eq!(message(text), wanted);
        }
    }

    #[test]
    fn what_is_no_rate_is_named() {
        assert!(message("2s").starts_with(r#""2s" is a time, and a rate is needed"#));
        assert!(message("fast").starts_with(r#""fast" is not a rate"#));
        assert!(message("100/s").starts_with(r#""100/s" is not a rate"#));
        assert_eq!(message("10"), r#"10 has no unit; write a unit: "10kbit" or "10mbit""#);
        assert!(message("-1mbit").contains("negative"));
        assert!(message("99999999999999999999gbit").contains("is not a rate"));
        assert!(message("9999999999999999gbit").contains("too high"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(bits: u64) {
            prop_assert_eq!(Rate(bits).to_string().parse::<Rate>(), Ok(Rate(bits)));
        }

        #[test]
        fn nothing_that_looks_like_a_rate_panics(text in r"[ -]?[0-9.]{0,25} ?[kKmMgGtT]?i?[bB]?[a-zA-Z/]{0,5}") {
            let _ = text.parse::<Rate>();
        }
    }
}
