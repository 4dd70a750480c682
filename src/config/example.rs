//! config.example.toml as the declarations of the keys require it.
//!
//! The tables, their order, the routes and the values of routes are written by hand. The text of each key, and the
//! values of `[defaults]` and of the whole process, come from the declarations.

use std::collections::HashSet;

use super::key::{Form, Given, Key, Section};
use super::keys::TOP;

/// The column in which the text of a key begins, and how long a line may be.
const TEXT: usize = 33;
const WIDTH: usize = 118;

/// The example with the declared text of each key, and with the keys that it lacks.
pub fn example(text: &str) -> String {
    // Under a tunnel, the settings of routes stand as in the defaults.
    let mut tables = TOP.tables();
    tables.retain(|(path, _)| !path.starts_with("tunnels.NAME.defaults"));
    let shown = shown(text);
    let mut writing = Writing { tables: &tables, out: Vec::new(), table: String::new(), is_out: false };
    let (mut written, mut closed) = (HashSet::new(), HashSet::new());
    let mut after_key = false;
    for line in text.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if let Some(header) = header(bare) {
            writing.close(&shown, &mut closed);
            (writing.table, writing.is_out) = (pattern(header), bare != line);
        }
        // A continuation of the text of the key above: already rewritten with that key.
        if after_key && line.starts_with(' ') && line.trim_start().starts_with('#') {
            continue;
        }
        let key = name(bare).and_then(|name| writing.key(name));
        let is_first = key.is_some_and(|key| written.insert((writing.table.clone(), key.name)));
        after_key = is_first;
        match key {
            Some(key) if is_first => writing.key_line(key, line),
            _ => writing.out.push(line.to_owned()),
        }
    }
    writing.close(&shown, &mut closed);
    writing.out.join("\n") + "\n"
}

/// Every key that is shown, with its table.
fn shown(text: &str) -> HashSet<(String, &str)> {
    let mut table = String::new();
    let mut shown = HashSet::new();
    for line in text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)) {
        if let Some(header) = header(line) {
            table = pattern(header);
        } else if let Some(name) = name(line) {
            shown.insert((table.clone(), name));
        }
    }
    shown
}

/// The example while it is written.
struct Writing<'t> {
    tables: &'t [(String, &'static Section)],
    out: Vec<String>,
    /// The current table, and whether it is commented out.
    table: String,
    is_out: bool,
}

impl Writing<'_> {
    fn section(&self, table: &str) -> Option<&'static Section> {
        if table.is_empty() {
            return Some(&TOP);
        }
        self.tables.iter().find(|(path, _)| path == table).map(|(_, section)| *section)
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        self.section(&self.table)?.key(name)
    }

    /// Whether `[defaults]` shows the key, so that a route need not.
    fn is_shown_in_defaults(&self, key: &Key) -> bool {
        let defaults = self.table.replacen("routes.NAME", "defaults", 1);
        defaults != self.table
            && self.section(&defaults).is_some_and(|section| section.key(key.name).is_some())
    }

    /// Writes the key that is in this line.
    fn key_line(&mut self, key: &Key, line: &str) {
        if self.is_shown_in_defaults(key) {
            self.out.push(line.to_owned());
        } else if self.table.starts_with("routes.") {
            let value = line.rsplit_once(" # ").map_or(line, |(value, _)| value).trim_end();
            self.out.extend(lines(value, &key.text(false)));
        } else {
            self.out.extend(self.declared(key));
        }
    }

    /// A key with its default. A key without a default is commented out, as is every key of a table that is commented
    /// out.
    fn declared(&self, key: &Key) -> Vec<String> {
        let (value, is_out) = match key.default {
            Given::Value(value) => (key.form.quote(value), self.is_out || self.table.starts_with("routes.")),
            _ => (key.example.to_owned(), true),
        };
        let line = format!("{}{} = {value}", if is_out { "# " } else { "" }, key.name);
        if self.is_shown_in_defaults(key) { vec![line] } else { lines(&line, &key.text(true)) }
    }

    /// Adds the keys of the current table that the example shows nowhere, below its last key.
    fn close(&mut self, shown: &HashSet<(String, &str)>, closed: &mut HashSet<String>) {
        let Some(section) = self.section(&self.table).filter(|_| closed.insert(self.table.clone())) else {
            return;
        };
        let is_shown = |key: &Key| shown.contains(&(self.table.clone(), key.name));
        let missing = section.keys().filter(|key| {
            !matches!(key.form, Form::Table(_) | Form::Named(_)) && key.by_hand && !is_shown(key)
        });
        let more: Vec<String> = missing.flat_map(|key| self.declared(key)).collect();
        let belongs = |line: &String| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            line.starts_with(' ') || name(bare).is_some() || header(bare).is_some()
        };
        let end = self.out.iter().rposition(belongs).map_or(self.out.len(), |last| last + 1);
        self.out.splice(end..end, more);
    }
}

/// A line followed by its text, wrapped over as many lines as needed.
fn lines(line: &str, text: &str) -> Vec<String> {
    let mut lines = vec![line.to_owned()];
    let fits_beside = line.len() < TEXT + 20;
    let mut begun = false;
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let is_room = lines[last].chars().count() + 1 + word.chars().count() <= WIDTH;
        if begun && is_room {
            lines[last] = format!("{} {word}", lines[last]);
        } else if !begun && fits_beside {
            lines[last] = format!("{line:<0$}# {word}", TEXT.max(line.len() + 1));
        } else {
            lines.push(format!("{:TEXT$}# {word}", ""));
        }
        begun = true;
    }
    lines
}

/// `[table]` or `[[table]]`
fn header(line: &str) -> Option<&str> {
    let inside = line.strip_prefix('[')?.strip_suffix(']')?;
    Some(inside.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(inside))
}

/// `routes.web.tls` → `routes.NAME.tls`, `tunnels.home` → `tunnels.NAME`
fn pattern(header: &str) -> String {
    let mut parts: Vec<&str> = header.split('.').collect();
    if let ["routes" | "tunnels", name, ..] = &mut parts[..] {
        *name = "NAME";
    }
    parts.join(".")
}

/// The key of a line `key = value`, even if commented out; `None` for prose.
fn name(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(" = ")?;
    key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_').then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_the_example_lacks_is_added_to_its_table_and_a_stale_text_is_rewritten() {
        let before = "[log]\nformat = \"yaml\"                 # old\n                                 # words\n\n[limits]\n";

        let after = example(before);

        assert!(
            after.contains(
                "[log]\nformat = \"text\"                  # \"text\" is for people, \"json\" for programs\nlevel = "
            ),
            "{after}"
        );
        assert!(
            !after.contains("words") && after.contains("\n\n[limits]\n# connections = 10000 "),
            "{after}"
        );
    }

    #[test]
    fn an_example_that_is_up_to_date_stays_as_it_is() {
        let once = example(include_str!("../../config.example.toml"));

        assert_eq!(example(&once), once);
    }
}
