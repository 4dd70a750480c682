//! What every quantity of a configuration has in common, and the word that switches one off.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::misread::{Misread, from_text};

/// A number with a unit.
pub(crate) trait Quantity: FromStr<Err = Misread> {
    /// What it is, as "a time".
    const EXPECTED: &'static str;
    /// The same where "off" will do as well.
    const EXPECTED_OR_OFF: &'static str;

    /// The answer to a number alone.
    fn without_unit(number: &str) -> Misread;
}

/// A quantity, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrOff<T>(pub Option<T>);

impl<T: Quantity> FromStr for OrOff<T> {
    type Err = Misread;

    fn from_str(text: &str) -> Result<Self, Misread> {
        match text {
            "off" => Ok(OrOff(None)),
            "no" | "none" | "never" | "false" | "disabled" | "Off" | "OFF" | "unlimited" => {
                Err(Misread::new(format!("{text:?} is not how it is switched off"), r#"write "off""#))
            }
            _ => text.parse().map(|quantity| OrOff(Some(quantity))),
        }
    }
}

impl<'de, T: Quantity> Deserialize<'de> for OrOff<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, T::EXPECTED_OR_OFF, |number| match number {
            "0" => Misread::new("0 is not how it is switched off", r#"write "off""#),
            _ => T::without_unit(number),
        })
    }
}

/// `"1.5"` × 1,000,000 = 1,500,000, in whole numbers so that nothing is rounded.
pub(super) fn scaled(number: &str, by: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let parts = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = fraction.parse::<u64>().ok()?.checked_mul(by)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(by)?;
    fraction.is_multiple_of(parts).then(|| whole.checked_add(fraction / parts))?
}
