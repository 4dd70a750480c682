//! The configuration as a JSON Schema, with which an editor completes keys, checks values and shows what they are for.
//!
//! It is derived from the declarations of the keys, and the words of a type from the type that reads them. Rules that
//! concern several keys are not in it.

mod form;

use serde_json::{Map, Value, json};

use super::key::{Form, Given, Key, Section};
use super::keys::TOP;

/// The schema of a configuration file, in the draft that editors of TOML read (draft 7).
pub fn schema() -> Value {
    let mut schema = table(&TOP, true);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Loopgate configuration");
    schema
}

/// One table: its keys, and no others. A route shows no defaults, because `[defaults]` may change them.
fn table(section: &Section, shows_defaults: bool) -> Value {
    let value = |key: &Key| (key.name.to_owned(), value(key, shows_defaults));
    let properties: Map<String, Value> = section.keys().map(value).collect();
    let mut table = json!({
        "description": section.doc,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    for any in section.needs {
        match any {
            [only] => table["required"] = json!([only]),
            any => table["anyOf"] = any.iter().map(|key| json!({"required": [key]})).collect(),
        }
    }
    table
}

/// The names that the tables under a key may have.
fn names(key: &Key) -> Value {
    match key.name {
        // Letters of every script, and dots.
        "tunnels" => json!({"minLength": 1}),
        _ => json!({"pattern": "^[A-Za-z0-9_-]{1,64}$"}),
    }
}

/// The schema of a key's value.
fn value(key: &Key, shows_default: bool) -> Value {
    let mut value = match key.form {
        Form::Table(section) => return table(section, shows_default),
        Form::Named(section) => json!({
            "type": "object",
            "propertyNames": names(key),
            "additionalProperties": table(section, false),
        }),
        Form::Targets(section) | Form::LikeTargets(section) => form::target(table(section, false)),
        Form::TargetsByWord(section) => form::by_word(form::target(table(section, false))),
        Form::AllowanceOrOff(section) => form::allowance(table(section, false)),
        Form::BandwidthOrOff(section) => form::bandwidth(table(section, false)),
        form => form::of(form).unwrap_or_default(),
    };
    value["description"] = json!(key.text(shows_default));
    if let (Given::Value(default), true) = (key.default, shows_default) {
        value["default"] = form::value(key.form, default);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    /// The schema of one key, `routes.NAME.listen`.
    fn of(path: &str, schema: &Value) -> Option<Value> {
        let pointer: String = path.split('.').fold(String::new(), |pointer, part| match part {
            "NAME" => pointer + "/additionalProperties",
            // As one of a list, a target is a table.
            "target" if path.contains(".target.") => pointer + "/properties/target/anyOf/0/anyOf/1",
            part => pointer + "/properties/" + part,
        });
        schema.pointer(&pointer).cloned()
    }

    #[test]
    fn every_key_has_its_form_and_its_text() {
        let schema = schema();
        let mut lacking = Vec::new();

        for path in keys() {
            let text = of(&path, &schema).map(|value| value["description"].clone());
            if text.as_ref().and_then(Value::as_str).is_none_or(str::is_empty) {
                lacking.push(format!("{path}: say what it is for, as `doc`, in its declaration"));
            }
        }

        assert!(lacking.is_empty(), "the schema lacks:\n{}", lacking.join("\n"));
    }

    #[test]
    fn words_and_defaults_are_what_the_types_and_the_example_say() {
        let schema = schema();
        let protocol = of("routes.NAME.protocol", &schema).unwrap();
        let timeout = of("defaults.connect_timeout", &schema).unwrap();

        assert_eq!(protocol["enum"], json!(["tcp", "udp"]));
        assert_eq!(timeout["default"], "2s");
        assert!(timeout["description"].as_str().unwrap().contains("at most 1h"));
    }
}
