//! A number of bytes: `"64KiB"`, `"1500B"`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::misread::{Misread, from_text, quoted};
use super::quantity::scaled;

/// A size as a configuration writes it: a whole number and one of `B`, `KiB`, `MiB`, `GiB`, in steps of 1024.
///
/// It prints with the largest unit that divides it, and reads what it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// Every unit with its bytes, the largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What other programs write for each of them, in lower case.
const OTHERS: [(&[&str], u64); 4] = [
    (&["g", "gb", "gib"], 1 << 30),
    (&["m", "mb", "mib"], 1 << 20),
    (&["k", "kb", "kib"], 1 << 10),
    (&["b", "byte", "bytes"], 1),
];

impl FromStr for Size {
    type Err = Misread;

    /// Reads `"64KiB"`.
    ///
    /// # Errors
    /// What is wrong with the text and what to write instead.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
        let unit = UNITS.into_iter().find(|(name, _)| *name == unit);
        let (Some((_, bytes)), Ok(number)) = (unit, number.parse::<u64>()) else { return Err(misread(text)) };
        let too_large =
            || Misread::new(format!("{} is too large", quoted(text)), r#"write a smaller size, as "1MiB""#);
        number.checked_mul(bytes).map(Size).ok_or_else(too_large)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = UNITS.into_iter().find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit));
        let (name, unit) = fits.unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a size, as \"64KiB\"", without_unit)
    }
}

/// The message about a bare number.
fn without_unit(number: &str) -> Misread {
    let instead = match number.parse::<u64>() {
        Ok(_) => format!(r#"write a unit: "{number}B" or "{number}KiB""#),
        Err(_) => r#"write a whole number and a unit, as "64KiB""#.into(),
    };
    Misread::new(format!("{number} has no unit"), instead)
}

/// Works out what was meant by a text that cannot be read as it stands.
fn misread(text: &str) -> Misread {
    let (shown, trimmed) = (quoted(text), text.trim());
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let unit = unit.trim_start().to_lowercase();
    if !number.is_empty() && unit.is_empty() {
        return without_unit(number);
    }
    let meant = OTHERS.into_iter().find(|(names, _)| names.contains(&unit.as_str()));
    if let Some(meant) = meant.and_then(|(_, bytes)| scaled(number, bytes)) {
        let instead = format!(r#"did you mean "{}"?"#, Size(meant));
        return Misread::new(format!("{shown} is not how a size is written"), instead);
    }
    let what = if unit.contains("bit") || unit.contains('/') || unit.ends_with("ps") {
        format!("{shown} is a rate, and a size is needed")
    } else {
        format!("{shown} is not a size")
    };
    Misread::new(what, r#"write a whole number and B, KiB, MiB or GiB, as "64KiB""#)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> String {
        text.parse::<Size>().unwrap_err().to_string()
    }

    #[test]
    fn every_unit_is_read() {
        let bytes = |text: &str| text.parse::<Size>().unwrap().0;

        assert_eq!(
            (bytes("1500B"), bytes("64KiB"), bytes("2MiB"), bytes("1GiB")),
            (1500, 65_536, 2 << 20, 1 << 30)
        );
    }

    #[test]
    fn another_spelling_is_answered_with_the_one_that_is_read() {
        for text in ["64KB", "64k", "64 KiB", "64kb", "65536 bytes", " 64KiB", "0.0625mb"] {
            let wanted = format!(r#"{text:?} is not how a size is written; did you mean "64KiB"?"#);
            assert_eq!(message(text), wanted);
        }
        assert_eq!(message("64"), r#"64 has no unit; write a unit: "64B" or "64KiB""#);
        assert!(message("10mbit").starts_with(r#""10mbit" is a rate, and a size is needed"#));
        assert!(message("10MB/s").contains("is a rate"));
        assert!(message("2s").contains("is not a size"));
        assert!(message("99999999999GiB").contains("too large"));
        assert!(message("").contains("is not a size"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(bytes: u64) {
            prop_assert_eq!(Size(bytes).to_string().parse::<Size>(), Ok(Size(bytes)));
        }

        #[test]
        fn no_text_panics(text in ".*", looks in r"[ -]?[0-9.]{0,25} ?[kKmMgG]?i?[bB]?") {
            let _ = (text.parse::<Size>(), looks.parse::<Size>());
        }
    }
}
