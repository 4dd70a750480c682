//! What `config.example.toml` says of each key: what it is for, and its default.
//!
//! A line shows a key and its default; behind `# ` one that is left out, whose value is an example and no default.

use std::collections::BTreeMap;

use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// The texts of the example by the path of table or key, `routes.NAME.listen`.
#[derive(Default)]
pub(super) struct Shown {
    texts: BTreeMap<String, String>,
    defaults: BTreeMap<String, Value>,
    tables: BTreeMap<String, String>,
}

/// Reads the example.
pub(super) fn read() -> Shown {
    let mut shown = Shown::default();
    let mut table = String::new();
    let mut key: Option<String> = None;
    let mut above = String::new();
    for line in EXAMPLE.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if let Some(header) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            // `[[table]]` is one of several.
            table = path(header.trim_matches(['[', ']']));
            shown.tables.entry(table.clone()).or_insert_with(|| std::mem::take(&mut above));
            key = None;
        } else if let Some((name, rest)) = assignment(bare) {
            let path = format!("{table}.{name}");
            let (value, text) = rest.split_once(" # ").unwrap_or((rest, ""));
            shown.say(&path, text);
            if !line.starts_with('#') && !table.starts_with("routes.") {
                shown.defaults.extend(parsed(value).map(|value| (path.clone(), value)));
            }
            key = Some(path);
        } else if let (Some(path), Some(more)) = (&key, line.trim_start().strip_prefix("# "))
            && line.starts_with(' ')
        {
            shown.say(path, more);
        } else {
            key = None;
            match line.strip_prefix("# ") {
                Some(more) => join(&mut above, " ", more),
                None => above.clear(),
            }
        }
    }
    shown
}

impl Shown {
    /// The form of a key with what the example says of it. A route's key is told where `[defaults]` has the same.
    pub(super) fn described(&self, table: &str, key: &str, mut form: Value) -> Value {
        let own = format!("{table}.{key}");
        let shared = own.replacen("routes.NAME", "defaults", 1);
        let told = |path: &String| self.texts.get(path).filter(|text| !text.is_empty());
        if let Some(text) = told(&shared).or_else(|| told(&own)) {
            form["description"] = json!(text);
        }
        if let Some(default) = self.defaults.get(&own) {
            form["default"] = default.clone();
        }
        form
    }

    /// What stands above a table.
    pub(super) fn table(&self, table: &str) -> Option<&str> {
        self.tables.get(table).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn say(&mut self, path: &str, text: &str) {
        join(self.texts.entry(path.to_owned()).or_default(), "; ", text);
    }
}

fn join(text: &mut String, between: &str, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str(between);
    }
    text.push_str(more.trim());
}

/// `routes.web.tls` → `routes.NAME.tls`
fn path(header: &str) -> String {
    let mut parts: Vec<&str> = header.split('.').collect();
    if let ["routes", name, ..] = &mut parts[..] {
        *name = "NAME";
    }
    parts.join(".")
}

/// `key = value`, and nothing that is prose.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(" = ")?;
    key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_').then_some((key, value))
}

/// A TOML value as JSON.
fn parsed(value: &str) -> Option<Value> {
    let table: BTreeMap<String, Value> = toml::from_str(&format!("it = {value}")).ok()?;
    table.into_values().next()
}
