//! As much of JSON Schema as the files of `schema/` use; an unknown keyword is a panic.
//!
//! The crates for it bring some forty others; these are a hundred lines.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// Every violation of `schema` in `told`, with its place; empty if there is none.
pub(crate) fn problems(told: &Value, schema: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    compare(told, schema, schema, "$", &mut problems);
    problems
}

fn compare(told: &Value, rule: &Value, root: &Value, place: &str, problems: &mut Vec<String>) {
    for (keyword, wanted) in rule.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" | "default" | "$defs" => {}
            "$ref" => {
                let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                compare(told, root.pointer(pointer).unwrap(), root, place, problems);
            }
            "type" => {
                let known = wanted.as_array().map_or(vec![wanted], |kinds| kinds.iter().collect());
                if !known.iter().any(|kind| is(told, kind.as_str().unwrap())) {
                    problems.push(format!("{place} is {told}, not {wanted}"));
                }
            }
            "const" if told != wanted => problems.push(format!("{place} is {told}, not {wanted}")),
            "enum" if !wanted.as_array().unwrap().contains(told) => {
                problems.push(format!("{place} is {told}, none of the list"));
            }
            "const" | "enum" => {}
            "required" => {
                for name in wanted.as_array().unwrap() {
                    if told.is_object() && told.get(name.as_str().unwrap()).is_none() {
                        problems.push(format!("{place} has no {name}"));
                    }
                }
            }
            "properties" => properties(told, wanted.as_object().unwrap(), rule, root, place, problems),
            "additionalProperties" => further(told, wanted, rule, root, place, problems),
            "propertyNames" => {
                for name in told.as_object().into_iter().flat_map(Map::keys) {
                    compare(&Value::from(name.as_str()), wanted, root, place, problems);
                }
            }
            "pattern" => {
                if let Some(text) = told.as_str()
                    && !Regex::new(wanted.as_str().unwrap()).unwrap().is_match(text)
                {
                    problems.push(format!("{place} is {told}, which {wanted} does not match"));
                }
            }
            "minimum" | "maximum" | "minLength" | "minItems" => {
                let size = match keyword.as_str() {
                    "minLength" => told.as_str().map(|text| text.chars().count() as f64),
                    "minItems" => told.as_array().map(|list| list.len() as f64),
                    _ => told.as_f64(),
                };
                let bound = wanted.as_f64().unwrap();
                let outside = |size: f64| if keyword == "maximum" { size > bound } else { size < bound };
                if size.is_some_and(outside) {
                    problems.push(format!("{place} is {told}, beyond its {keyword} of {wanted}"));
                }
            }
            "items" => {
                for (at, item) in told.as_array().into_iter().flatten().enumerate() {
                    compare(item, wanted, root, &format!("{place}[{at}]"), problems);
                }
            }
            "anyOf" => {
                let fits = |rule: &Value| {
                    let mut wrong = Vec::new();
                    compare(told, rule, root, place, &mut wrong);
                    wrong.is_empty()
                };
                if !wanted.as_array().unwrap().iter().any(fits) {
                    problems.push(format!("{place} is {told}, none of the forms"));
                }
            }
            other => panic!("the schema uses {other}, which is not known here"),
        }
    }
}

fn properties(
    told: &Value,
    known: &Map<String, Value>,
    rule: &Value,
    root: &Value,
    place: &str,
    problems: &mut Vec<String>,
) {
    for (name, value) in told.as_object().into_iter().flatten() {
        match known.get(name) {
            Some(rule) => compare(value, rule, root, &format!("{place}.{name}"), problems),
            None if rule.get("additionalProperties") == Some(&Value::Bool(false)) => {
                problems.push(format!("{place} has {name}"))
            }
            None => {}
        }
    }
}

/// The properties that `properties` does not name: a schema for them, or `false`, which `properties` handles.
fn further(
    told: &Value,
    wanted: &Value,
    rule: &Value,
    root: &Value,
    place: &str,
    problems: &mut Vec<String>,
) {
    if wanted.is_boolean() {
        return;
    }
    let known = rule.get("properties").and_then(Value::as_object);
    for (name, value) in told.as_object().into_iter().flatten() {
        if known.is_none_or(|known| !known.contains_key(name)) {
            compare(value, wanted, root, &format!("{place}.{name}"), problems);
        }
    }
}

fn is(told: &Value, kind: &str) -> bool {
    match kind {
        "null" => told.is_null(),
        "boolean" => told.is_boolean(),
        "integer" => told.is_u64() || told.is_i64(),
        "number" => told.is_number(),
        "string" => told.is_string(),
        "array" => told.is_array(),
        "object" => told.is_object(),
        other => panic!("the schema names a type {other}"),
    }
}
