//! How often something may happen: `"100/s"`, `"10/m"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::misread::{Misread, from_text, quoted};

/// A count per time as a configuration writes it: a whole number from 1 to a million, a slash and one of `s`, `m`, `h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frequency {
    /// The number of events, at least 1.
    pub count: u32,
    /// The time they are counted in.
    pub per: Unit,
}

/// The time unit of a [`Frequency`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

const MOST: u32 = 1_000_000;

impl Unit {
    const ALL: [(Unit, &str, &[&str]); 3] = [
        (Unit::Second, "s", &["sec", "second", "seconds", "secs"]),
        (Unit::Minute, "m", &["min", "minute", "minutes", "mins"]),
        (Unit::Hour, "h", &["hr", "hour", "hours", "hrs"]),
    ];

    fn of(word: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|(_, name, _)| *name == word).map(|(unit, ..)| unit)
    }

    fn name(self) -> &'static str {
        match self {
            Unit::Second => "s",
            Unit::Minute => "m",
            Unit::Hour => "h",
        }
    }

    /// Its length.
    pub fn span(self) -> Duration {
        Duration::from_secs(match self {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3600,
        })
    }
}

impl FromStr for Frequency {
    type Err = Misread;

    /// Reads `"100/s"`.
    ///
    /// # Errors
    /// What is wrong with the text and what to write instead.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let Some((count, unit)) = text.split_once('/') else { return Err(misread(text)) };
        let (Ok(count), Some(per)) = (count.parse::<u32>(), Unit::of(unit)) else {
            return Err(misread(text));
        };
        match count {
            0 => Err(Misread::new(
                format!("{} admits no client", quoted(text)),
                r#"write 1 or more, as "100/s""#,
            )),
            1..=MOST => Ok(Frequency { count, per }),
            _ => Err(Misread::new(
                format!("{} is more than any machine does", quoted(text)),
                "leave the key out",
            )),
        }
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.name())
    }
}

impl<'de> Deserialize<'de> for Frequency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a count per time, as \"100/s\"", no_time)
    }
}

fn no_time(number: &str) -> Misread {
    let instead = match number.parse::<u32>() {
        Ok(number @ 1..=MOST) => format!(r#"write the time as well: "{number}/s""#),
        _ => r#"write a whole number and a time, as "100/s""#.into(),
    };
    Misread::new(format!("{number} has no unit of time"), instead)
}

/// Works out what was meant by a text that cannot be read as it stands.
fn misread(text: &str) -> Misread {
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
        return no_time(trimmed);
    }
    // "10r/s" is how nginx writes it.
    let spelt = trimmed.to_lowercase().replace(" per ", "/").replace(' ', "").replace("r/", "/");
    if let Some((count, unit)) = spelt.split_once('/')
        && let Ok(count @ 1..=MOST) = count.parse::<u32>()
        && let Some((per, ..)) =
            Unit::ALL.into_iter().find(|(_, name, others)| *name == unit || others.contains(&unit))
    {
        let meant = Frequency { count, per };
        return Misread::new(
            format!("{} is not how a count per time is written", quoted(text)),
            format!(r#"did you mean "{meant}"?"#),
        );
    }
    Misread::new(
        format!("{} is not a count per time", quoted(text)),
        r#"write a whole number and /s, /m or /h, as "100/s""#,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> String {
        text.parse::<Frequency>().unwrap_err().to_string()
    }

    #[test]
    fn every_time_is_read() {
        assert_eq!("100/s".parse(), Ok(Frequency { count: 100, per: Unit::Second }));
        assert_eq!("1/m".parse(), Ok(Frequency { count: 1, per: Unit::Minute }));
        assert_eq!("1000000/h".parse(), Ok(Frequency { count: 1_000_000, per: Unit::Hour }));
    }

    #[test]
    fn another_spelling_is_answered_with_the_one_that_is_read() {
        assert_eq!(
            message("10/min"),
            r#""10/min" is not how a count per time is written; did you mean "10/m"?"#
        );
        assert!(message("100 per second").ends_with(r#"did you mean "100/s"?"#));
        assert!(message("10r/s").ends_with(r#"did you mean "10/s"?"#));
        assert!(message("5 / S").ends_with(r#"did you mean "5/s"?"#));
        assert_eq!(message("100"), r#"100 has no unit of time; write the time as well: "100/s""#);
        assert!(message("0/s").contains("no client"));
        assert!(message("9999999/s").contains("leave the key out"));
        assert!(message("1.5/s").contains("is not a count per time"));
        assert!(message("10mbit").contains("is not a count per time"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(count in 1..=MOST, unit in 0_usize..3) {
            let frequency = Frequency { count, per: Unit::ALL[unit].0 };

            prop_assert_eq!(frequency.to_string().parse::<Frequency>(), Ok(frequency));
        }

        #[test]
        fn no_text_panics(text in ".*", looks in r"[ -]?[0-9.]{0,12} ?(/| per )?[a-z]{0,4}") {
            let _ = text.parse::<Frequency>();
            let _ = looks.parse::<Frequency>();
        }
    }
}
