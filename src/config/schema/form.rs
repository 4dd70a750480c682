//! The form of each key's value, as JSON Schema.
//!
//! The schema may allow more than the key does, as a range of ports where only one port works, but never less: an
//! editor that marks valid values is worse than one that misses a mistake.

use serde_json::{Value, json};

use crate::config::key::Form;

/// The form of a value that is not a table; `None` for a table.
pub(super) fn of(form: Form) -> Option<Value> {
    Some(match form {
        Form::Text | Form::TextOrOff => text(),
        Form::AnyText => json!({"type": "string"}),
        Form::Texts | Form::TextsOrOff => one_or_more(text()),
        Form::Word(words) => json!({"enum": words()}),
        Form::Time => matching("^([0-9]+(us|ms|s|m|h)|0)$"),
        Form::TimeOrOff => matching("^([0-9]+(us|ms|s|m|h)|0|off)$"),
        Form::Count => count(),
        Form::CountOrOff => json!({"anyOf": [count(), {"const": "off"}]}),
        Form::NumberOrOff => json!({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "off"}]}),
        Form::CountTo(most) => json!({"type": "integer", "minimum": 1, "maximum": most}),
        Form::Truth => json!({"type": "boolean"}),
        Form::RateOrOff => rate(),
        Form::FrequencyOrOff => frequency(),
        Form::FileMode => matching("^0?[0-7]{3}$"),
        Form::Table(_) | Form::Named(_) | Form::BandwidthOrOff(_) | Form::AllowanceOrOff(_) => return None,
        Form::Targets(_) | Form::LikeTargets(_) | Form::TargetsByWord(_) => return None,
    })
}

/// A value of a form, as JSON.
pub(super) fn value(form: Form, value: &str) -> Value {
    serde_json::from_str(&form.quote(value)).unwrap_or_default()
}

/// `target`: an address or a table, or a list of them.
pub(super) fn target(table: Value) -> Value {
    one_or_more(json!({"anyOf": [text(), table]}))
}

/// `names` and `alpn`: words that the user chooses, each with its target.
pub(super) fn by_word(target: Value) -> Value {
    json!({"type": "object", "propertyNames": {"minLength": 1}, "additionalProperties": target})
}

/// `bandwidth`: a rate, or a table.
pub(super) fn bandwidth(table: Value) -> Value {
    json!({"anyOf": [rate(), table]})
}

fn rate() -> Value {
    matching("^([0-9]+[kmg]?bit|off)$")
}

/// `connection_rate`: a count per time, or a table.
pub(super) fn allowance(table: Value) -> Value {
    json!({"anyOf": [frequency(), table]})
}

fn frequency() -> Value {
    matching("^([1-9][0-9]{0,6}/[smh]|off)$")
}

/// Any string: an address, a name, a path.
fn text() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn matching(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

/// A whole number of 1 or more.
fn count() -> Value {
    json!({"type": "integer", "minimum": 1})
}

/// One value, or a list of them that is not empty.
fn one_or_more(one: Value) -> Value {
    json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
}
