//! What is known of one configuration key, and of a table of them: the form of a declaration.
//!
//! The declarations themselves stand in `keys`. Everything else that knows keys asks them: the reader, the JSON Schema,
//! the check of config.example.toml and the reference page.

use std::fmt;

use crate::address::Protocol;

/// One key: everything that is said of it, once.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What may be written.
    pub(super) form: Form,
    /// The bounds of what may be written.
    pub(super) range: Range,
    /// What holds where it is not written.
    pub(super) default: Given,
    /// A value to show where the default is none, as TOML.
    pub(super) example: &'static str,
    /// What it is for, in one or more parts of a sentence; names of keys stand in backticks.
    pub(super) doc: &'static str,
    /// What the text of its value is, where it is a text: "address", "path".
    pub(super) takes: &'static str,
    /// The heading it stands under in the reference; empty where its table or protocol says enough.
    pub(super) topic: &'static str,
    /// What other programs call it.
    pub(super) aliases: &'static [&'static str],
    /// The protocol of the routes it is for; `None` where it is for both.
    pub(crate) only: Option<Protocol>,
    /// Whether a reload can change it.
    pub(super) reload: Reload,
}

impl Key {
    /// What a declaration need not say.
    pub(super) const fn of(form: Form, range: Range) -> Key {
        Key {
            name: "",
            form,
            range,
            default: Given::Nothing,
            example: "",
            doc: "",
            takes: "text",
            topic: "",
            aliases: &[],
            only: None,
            reload: Reload::Live,
        }
    }

    /// Its whole text, without markup: what it is for, its bounds, what holds without it where a value beside it does not
    /// show that, and whether a reload changes it.
    pub(super) fn text(&self, shows_default: bool) -> String {
        let range = self.range.to_string();
        let default = match self.default {
            Given::InWords(words) => format!("default: {words}"),
            Given::Value(value) if !shows_default => format!("default: {}", self.form.quote(value)),
            _ => String::new(),
        };
        let words = self.words();
        let parts = [self.doc, &words, &range, &default].into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("; ").replace('`', "")
    }

    /// The words that may be written, where what it is for does not name each.
    fn words(&self) -> String {
        let words = match self.form {
            Form::Word(words) => words().iter().map(|word| format!("\"{word}\"")).collect(),
            _ if self.takes.contains('"') => vec![self.takes.to_owned()],
            _ => Vec::new(),
        };
        let is_named = words.iter().all(|word| self.doc.contains(word));
        if is_named { String::new() } else { words.join(", ") }
    }
}

/// What the value of a key looks like.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// A string with something in it: an address, a name, a path.
    Text,
    /// Any string.
    AnyText,
    TextOrOff,
    /// One string, or a list of them.
    Texts,
    TextsOrOff,
    /// One of the words of a type, which it lists.
    Word(fn() -> &'static [&'static str]),
    Time,
    TimeOrOff,
    Count,
    CountOrOff,
    /// Of a target, with its largest.
    Weight(u32),
    Truth,
    RateOrOff,
    FrequencyOrOff,
    FileMode,
    /// A table with keys of its own.
    Table(&'static Section),
    /// Any number of tables, each under a name of the user's.
    Named(&'static Section),
    /// A target, or a list of them: an address or a table.
    Targets(&'static Section),
    /// The same, of tables that are shown elsewhere.
    LikeTargets(&'static Section),
    /// Targets by words of the user's.
    TargetsByWord(&'static Section),
}

impl Form {
    /// A value of this form as TOML.
    pub(super) fn quote(self, value: &str) -> String {
        match self {
            Form::Count | Form::CountOrOff | Form::Weight(_) if value.parse::<u64>().is_ok() => {
                value.to_owned()
            }
            Form::Truth => value.to_owned(),
            _ => format!("\"{value}\""),
        }
    }

    /// The table under it, if it has one of its own.
    pub(super) fn table(self) -> Option<&'static Section> {
        match self {
            Form::Table(section) => Some(section),
            _ => None,
        }
    }
}

/// The bounds of a value, as they are written; a value outside is answered with them.
#[derive(Clone, Copy)]
pub(crate) enum Range {
    /// None, or those of its type.
    Any,
    /// A count.
    OneOrMore,
    /// Nothing is a value of its own.
    UpTo(&'static str),
    /// Nothing would never work.
    MoreThanZero(&'static str),
    /// Both are allowed.
    Between(&'static str, &'static str),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::Any => Ok(()),
            Range::OneOrMore => f.write_str("1 or more"),
            Range::UpTo(most) => write!(f, "at most {most}"),
            Range::MoreThanZero(most) => write!(f, "more than 0, at most {most}"),
            Range::Between(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

/// What holds where a key is not written. That it is so is held by a test: config.example.toml shows these values, and it
/// plans the same as a file without them.
#[derive(Clone, Copy)]
pub(crate) enum Given {
    /// Nothing.
    Nothing,
    /// Nothing goes without it, or not without one of others.
    Required(&'static str),
    /// This value, without the quotes of TOML.
    Value(&'static str),
    /// What no value says.
    InWords(&'static str),
}

/// Whether a reload can change a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reload {
    Live,
    /// A restart alone can.
    Restart,
}

/// A table and the keys it takes.
pub(crate) struct Section {
    /// What the table is, for people.
    pub(super) doc: &'static str,
    /// Its keys, in the order in which they are shown; several lists make one table.
    pub(super) keys: &'static [&'static [Key]],
    /// Of each of these lists, one key must be there.
    pub(super) needs: &'static [&'static [&'static str]],
}

impl Section {
    /// Every key, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().copied().flatten()
    }

    /// Every name, in order.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.keys().map(|key| key.name).collect()
    }

    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }

    /// The tables under this one and under those, the shallow ones first, each with its path, as `routes.NAME.health`.
    pub(super) fn tables(&self) -> Vec<(String, &'static Section)> {
        let mut found: Vec<(String, &'static Section)> = Vec::new();
        let under = |path: &str, section: &Section| {
            let path = if path.is_empty() { String::new() } else { format!("{path}.") };
            let table = |key: &'static Key| match key.form {
                Form::Named(section) => Some((format!("{path}{}.NAME", key.name), section)),
                Form::Table(section) | Form::Targets(section) => {
                    Some((format!("{path}{}", key.name), section))
                }
                _ => None,
            };
            section.keys().filter_map(table).collect::<Vec<_>>()
        };
        found.extend(under("", self));
        let mut next = 0;
        while let Some((path, section)) = found.get(next) {
            let more = under(path, section);
            found.extend(more);
            next += 1;
        }
        found
    }
}
