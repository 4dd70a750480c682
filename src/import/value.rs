//! TOML or JSON → a tree in which every value has its line number.

use serde_json::value::RawValue;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::draft::Draft;
use super::message::{At, plain};

/// The deepest nesting of a file; the imported programs need four levels.
const MAX_DEPTH: usize = 16;

/// A value and its line number.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Truth(bool),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
    /// A date, a fraction or null: no key of these programs takes one.
    Other(String),
}

impl Node {
    /// The value roughly as the file spells it.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("{text:?}"),
            Value::Number(number) => number.to_string(),
            Value::Truth(truth) => truth.to_string(),
            Value::List(items) => {
                format!("[{}]", items.iter().map(Node::shown).collect::<Vec<_>>().join(", "))
            }
            Value::Table(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{key} = {}", value.shown_as(key))).collect();
                format!("{{ {} }}", entries.join(", "))
            }
            Value::Other(text) => text.clone(),
        }
    }

    /// As [`Node::shown`], but not what stands under a key of secrets.
    fn shown_as(&self, key: &str) -> String {
        if is_secret(key) { "***".to_owned() } else { self.shown() }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A table of these entries.
    pub(super) fn table(line: usize, entries: Vec<(String, Node)>) -> Node {
        Node { line, value: Value::Table(entries) }
    }
}

/// Whether what stands under a key is a secret, or the user beside one: nothing repeats it.
fn is_secret(key: &str) -> bool {
    const WORDS: [&str; 8] = ["token", "passw", "pwd", "secret", "groupkey", "private", "user", "sk"];
    let key: String = key.chars().filter(|c| *c != '_' && *c != '-').collect::<String>().to_ascii_lowercase();
    WORDS.iter().any(|word| match *word {
        "sk" => key == "sk",
        word => key.contains(word),
    })
}

/// Parses a text as TOML, or as JSON if it begins with a brace.
///
/// # Errors
/// If it is not valid; the message says why.
pub(super) fn read(text: &str) -> Result<Node, String> {
    if text.trim_start().starts_with('{') {
        let raw: &RawValue =
            serde_json::from_str(text.trim()).map_err(|error| format!("this is not JSON: {error}"))?;
        return Ok(of_json(raw, &Lines::of(text), 0));
    }
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    match errors.first() {
        None => Ok(of_table(table.get_ref(), &lines, 1, 0)),
        Some(error) => {
            let line = error.span().map_or(1, |span| lines.line(span.start));
            Err(format!("line {line} is not TOML: {}", plain(error.message(), 200)))
        }
    }
}

/// Where the lines of a text begin: each value asks for its own, and counting from the top would take the square of the
/// text's length.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Lines<'t> {
        Lines { text, starts: text.match_indices('\n').map(|(at, _)| at + 1).collect() }
    }

    /// The number, from 1, of the line that a position is in.
    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at) + 1
    }
}

fn of_table(table: &DeTable<'_>, lines: &Lines<'_>, line_of: usize, depth: usize) -> Node {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let one = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let mut node = of_toml(value, lines, depth + 1);
        if !matches!(node.value, Value::Table(_) | Value::List(_)) {
            node.line = lines.line(key.span().start);
        }
        (key.get_ref().to_string(), node)
    };
    Node { line: line_of, value: Value::Table(entries.into_iter().map(one).collect()) }
}

fn of_toml(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>, depth: usize) -> Node {
    let at = lines.line(value.span().start);
    if depth > MAX_DEPTH {
        return Node { line: at, value: Value::Other("…".to_owned()) };
    }
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Number(number),
            Err(_) => Value::Other(number.as_str().to_owned()),
        },
        DeValue::Boolean(truth) => Value::Truth(*truth),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| of_toml(item, lines, depth + 1)).collect())
        }
        DeValue::Table(table) => return of_table(table, lines, at, depth),
        DeValue::Float(number) => Value::Other(number.as_str().to_owned()),
        DeValue::Datetime(date) => Value::Other(date.to_string()),
    };
    Node { line: at, value }
}

/// A raw value borrows from the text, so the offset of its slice gives the line.
fn of_json(raw: &RawValue, lines: &Lines<'_>, depth: usize) -> Node {
    let here = raw.get();
    let line = lines.line((here.as_ptr() as usize).saturating_sub(lines.text.as_ptr() as usize));
    if depth > MAX_DEPTH {
        return Node { line, value: Value::Other("…".to_owned()) };
    }
    let value = match here.as_bytes().first() {
        Some(b'{') => match serde_json::from_str::<Pairs<'_>>(here) {
            Ok(Pairs(pairs)) => Value::Table(
                pairs.into_iter().map(|(key, raw)| (key, of_json(raw, lines, depth + 1))).collect(),
            ),
            Err(_) => Value::Other(here.to_owned()),
        },
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(here) {
            Ok(items) => Value::List(items.into_iter().map(|item| of_json(item, lines, depth + 1)).collect()),
            Err(_) => Value::Other(here.to_owned()),
        },
        _ => match serde_json::from_str(here) {
            Ok(serde_json::Value::String(text)) => Value::Text(text),
            Ok(serde_json::Value::Bool(truth)) => Value::Truth(truth),
            Ok(serde_json::Value::Number(number)) if number.is_i64() => {
                Value::Number(number.as_i64().unwrap_or_default())
            }
            _ => Value::Other(here.to_owned()),
        },
    };
    Node { line, value }
}

/// The pairs of an object in their order, with repeated keys: no key is dropped silently.
struct Pairs<'r>(Vec<(String, &'r RawValue)>);

impl<'de> serde::Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> serde::de::Visitor<'de> for Object {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A table whose keys a reader takes one by one; the reader notes the remaining ones at the end.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub(super) line: usize,
    entries: Vec<(String, Node)>,
}

/// A value that a reader took, with its words.
#[derive(Clone, Debug)]
pub(super) struct Taken<T> {
    pub(super) value: T,
    pub(super) at: At,
}

impl Fields {
    /// The keys of a table; anything but a table is noted as not carried.
    pub(super) fn of(node: Node, key: &str, draft: &mut Draft) -> Option<Fields> {
        let shown = node.shown_as(key);
        match node.value {
            Value::Table(entries) => Some(Fields { line: node.line, entries }),
            _ => {
                draft.lost(None, &At::new(node.line, format!("{key} = {shown}")), "this must be a table");
                None
            }
        }
    }

    /// A table of this one key.
    pub(super) fn lone(key: &str, node: Node) -> Fields {
        Fields { line: node.line, entries: vec![(key.to_owned(), node)] }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    pub(super) fn node(&mut self, key: &str) -> Option<Node> {
        let found = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(found).1)
    }

    /// Takes the value of a key, converted by `read`; a value that `read` rejects is noted as not carried.
    fn take<T>(
        &mut self,
        key: &str,
        kind: &str,
        draft: &mut Draft,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<Taken<T>> {
        let node = self.node(key)?;
        let at = At::new(node.line, format!("{key} = {}", node.shown_as(key)));
        match read(&node.value) {
            Some(value) => Some(Taken { value, at }),
            None => {
                draft.lost(None, &at, format!("this must be {kind}"));
                None
            }
        }
    }

    pub(super) fn text(&mut self, key: &str, draft: &mut Draft) -> Option<Taken<String>> {
        self.take(key, "a string", draft, |value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    pub(super) fn number(&mut self, key: &str, draft: &mut Draft) -> Option<Taken<u64>> {
        self.take(key, "a whole number", draft, |value| match value {
            Value::Number(number) => u64::try_from(*number).ok(),
            _ => None,
        })
    }

    pub(super) fn truth(&mut self, key: &str, draft: &mut Draft) -> Option<Taken<bool>> {
        self.take(key, "true or false", draft, |value| match value {
            Value::Truth(truth) => Some(*truth),
            _ => None,
        })
    }

    pub(super) fn texts(&mut self, key: &str, draft: &mut Draft) -> Option<Taken<Vec<String>>> {
        self.take(key, "a list of strings", draft, |value| match value {
            Value::List(items) => items
                .iter()
                .map(|item| match &item.value {
                    Value::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// The tables of a list of tables, `[[rule]]`.
    pub(super) fn tables(&mut self, key: &str, draft: &mut Draft) -> Vec<Fields> {
        let Some(node) = self.node(key) else { return Vec::new() };
        match node.value {
            Value::List(items) => items.into_iter().filter_map(|item| Fields::of(item, key, draft)).collect(),
            _ => {
                let at = At::new(node.line, format!("{key} = {}", node.shown_as(key)));
                draft.lost(None, &at, "this must be a list of tables");
                Vec::new()
            }
        }
    }

    /// Each entry that was not taken, in the order of the file.
    pub(super) fn entries(self) -> Vec<(String, Node)> {
        self.entries
    }

    /// The entries that were not taken. The words of each are its key alone: what no reader knows may be a secret.
    pub(super) fn rest(self) -> Vec<(String, At)> {
        let one = |(key, node): (String, Node)| (key.clone(), At::new(node.line, key));
        self.entries.into_iter().map(one).collect()
    }
}
