//! The configuration as a JSON Schema, from which an editor completes keys, checks values and shows what they are for.
//!
//! The names of the keys are `keys`' own, the forms of their values stand in `form`, words are asked of the types that
//! read them, and the texts are those of `config.example.toml`. What two keys mean together is not in it.

mod example;
mod form;

use serde_json::{Map, Value, json};

use super::keys::Section;
use example::Shown;

/// The schema of a configuration file, in the draft that editors of TOML read (draft 7).
pub fn schema() -> Value {
    let shown = example::read();
    let mut tables = Map::new();
    for section in [Section::Defaults, Section::Limits, Section::Log] {
        tables.insert(section.path(), table(section, &shown));
    }
    tables.insert(
        "routes".to_owned(),
        json!({
            "description": "The routes, each with a name of its own: where it listens, what it dials, and how.",
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z0-9_-]{1,64}$"},
            "additionalProperties": table(Section::Route, &shown),
        }),
    );
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Loopgate configuration",
        "description": "Routes, what they have in common, and the limits of the whole process.",
        "type": "object",
        "properties": tables,
        "additionalProperties": false,
    })
}

/// One table: its keys, and no other.
fn table(section: Section, shown: &Shown) -> Value {
    let mut properties = Map::new();
    for key in section.keys() {
        let value = match section.under(key) {
            Some(Section::Target) => {
                let target = form::target(table(Section::Target, shown));
                Some(shown.described(&section.path(), key, target))
            }
            Some(Section::Words) => {
                let target = form::target(table(Section::Target, shown));
                Some(shown.described(&section.path(), key, form::by_word(target)))
            }
            Some(under) => Some(table(under, shown)),
            None => form::of(key).map(|form| shown.described(&section.path(), key, form)),
        };
        let Some(value) = value else { continue };
        properties.insert((*key).to_owned(), value);
    }
    let mut table = json!({"type": "object", "properties": properties, "additionalProperties": false});
    match section {
        Section::Route => {
            table["required"] = json!(["listen"]);
            // By names alone, whom no name is for has no target.
            table["anyOf"] = ["target", "names", "alpn"].map(|key| json!({"required": [key]})).into();
        }
        Section::Target => table["required"] = json!(["address"]),
        _ => {}
    }
    if let Some(text) = shown.table(&section.path()) {
        table["description"] = json!(text);
    }
    table
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
            let key = path.rsplit('.').next().unwrap();
            match of(&path, &schema) {
                None => lacking.push(format!(
                    "{path}: add \"{key}\" to one of the lines of `of` in src/config/schema/form.rs (or a line of its \
                     own), then run UPDATE=1 cargo test --test schema"
                )),
                Some(value) if value["description"].as_str().is_none_or(str::is_empty) => lacking
                    .push(format!("{path}: say what it is for behind its line of config.example.toml, after a #")),
                Some(_) => {}
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
