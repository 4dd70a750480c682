//! `"off"`: the word with which a route switches off a value of the defaults, and the words people write instead.

use toml::de::DeValue;

use crate::units::quoted;

/// Whether a value switches its key off.
pub(super) enum OffWord {
    /// It does, in our word, as written.
    Ours(String),
    /// It means to, in another program's words.
    Foreign(String),
    /// It does not: it is a value.
    None,
}

/// The words of other programs for it.
const WORDS: &[&str] = &["no", "none", "never", "false", "disable", "disabled", "null", "Off", "OFF"];

/// The same for a value that sets a limit; in a list of addresses these mean every address.
const NO_LIMIT: &[&str] = &["unlimited", "infinite", "infinity", "any", "all", "auto", "default", "*", "0"];

/// Whether the value of a key with a single value switches it off.
pub(super) fn off_word(value: &DeValue<'_>) -> OffWord {
    match value {
        DeValue::String(text) if NO_LIMIT.contains(&&**text) => OffWord::Foreign(quoted(text)),
        DeValue::Integer(number) if matches!(number.as_str(), "0" | "-1") => {
            OffWord::Foreign(number.as_str().to_owned())
        }
        value => off_word_in_list(value),
    }
}

/// The same for a key with a list.
pub(super) fn off_word_in_list(value: &DeValue<'_>) -> OffWord {
    match value {
        DeValue::String(text) if text == "off" => OffWord::Ours(quoted(text)),
        DeValue::String(text) if WORDS.contains(&&**text) => OffWord::Foreign(quoted(text)),
        DeValue::Boolean(false) => OffWord::Foreign("false".to_owned()),
        DeValue::Array(list) if list.is_empty() => OffWord::Foreign("an empty list".to_owned()),
        _ => OffWord::None,
    }
}
