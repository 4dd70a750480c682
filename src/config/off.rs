//! `"off"`: the word by which a route does without what the defaults say, and what people write instead of it.

use toml::de::DeValue;

use crate::units::quoted;

/// What a value says of being switched off.
pub(super) enum Said {
    /// In our words, which are these.
    Off(String),
    /// In another program's words.
    InOtherWords(String),
    /// Nothing: it is a value.
    Nothing,
}

/// What other programs have for it.
const WORDS: &[&str] = &["no", "none", "never", "false", "disable", "disabled", "null", "Off", "OFF"];

/// The same where a value sets a limit; in a list of addresses these are everybody.
const NO_LIMIT: &[&str] = &["unlimited", "infinite", "infinity", "any", "all", "auto", "default", "*", "0"];

/// What this value of a key says that takes one.
pub(super) fn said_by_value(value: &DeValue<'_>) -> Said {
    match value {
        DeValue::String(text) if NO_LIMIT.contains(&&**text) => Said::InOtherWords(quoted(text)),
        DeValue::Integer(number) if matches!(number.as_str(), "0" | "-1") => {
            Said::InOtherWords(number.as_str().to_owned())
        }
        value => said_by_list(value),
    }
}

/// The same of a key that takes a list.
pub(super) fn said_by_list(value: &DeValue<'_>) -> Said {
    match value {
        DeValue::String(text) if text == "off" => Said::Off(quoted(text)),
        DeValue::String(text) if WORDS.contains(&&**text) => Said::InOtherWords(quoted(text)),
        DeValue::Boolean(false) => Said::InOtherWords("false".to_owned()),
        DeValue::Array(list) if list.is_empty() => Said::InOtherWords("an empty list".to_owned()),
        _ => Said::Nothing,
    }
}
