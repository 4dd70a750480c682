//! The form of a declaration: everything known about one configuration key, and about a table of keys.
//!
//! The declarations themselves are in `keys`. The reader, the JSON Schema, the check of config.example.toml and the
//! reference page are all derived from them.

use std::fmt;

use crate::address::Protocol;

/// One key: everything that is known about it, in one place.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What may be written.
    pub(super) form: Form,
    /// The bounds of its value.
    pub(super) range: Range,
    /// The value that applies if the key is not written.
    pub(super) default: Given,
    /// A value to show if there is no default, as TOML.
    pub(super) example: &'static str,
    /// What it is for, in one or more clauses; names of keys are in backticks.
    pub(super) doc: &'static str,
    /// What a text value is, as "address" or "path".
    pub(super) takes: &'static str,
    /// Its heading in the reference; empty if its table or protocol is heading enough.
    pub(super) topic: &'static str,
    /// Its names in other programs.
    pub(super) aliases: &'static [&'static str],
    /// The protocol of the routes it is for; `None` if it is for both.
    pub(crate) only: Option<Protocol>,
    /// Whether a reload can change it.
    pub(super) reload: Reload,
    /// Whether a user writes it; otherwise a command does, and the example leaves it out.
    pub(super) by_hand: bool,
}

impl Key {
    /// A declaration with every field that it may leave out.
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
            by_hand: true,
        }
    }

    /// Its whole text, without markup: what it is for, its bounds, its default unless the value beside it shows it, and
    /// whether a reload can change it.
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

    /// The words that may be written, unless `doc` names each.
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
    /// A string that is not empty: an address, a name, a path.
    Text,
    /// Any string.
    AnyText,
    TextOrOff,
    /// One string, or a list of them.
    Texts,
    TextsOrOff,
    /// One of the words of a type; the function lists them.
    Word(fn() -> &'static [&'static str]),
    Time,
    TimeOrOff,
    Count,
    CountOrOff,
    /// A whole number, zero included.
    NumberOrOff,
    /// A whole number from 1 to this.
    CountTo(u32),
    Truth,
    RateOrOff,
    /// A rate, or a table with one for each direction.
    BandwidthOrOff(&'static Section),
    FrequencyOrOff,
    /// A count per time, or a table with its burst.
    AllowanceOrOff(&'static Section),
    FileMode,
    /// A table with its own keys.
    Table(&'static Section),
    /// Any number of tables, each under a name that the user chooses.
    Named(&'static Section),
    /// A target, or a list of them: an address or a table.
    Targets(&'static Section),
    /// The same, with tables that are shown elsewhere.
    LikeTargets(&'static Section),
    /// Targets by words that the user chooses.
    TargetsByWord(&'static Section),
}

impl Form {
    /// A value of this form as TOML.
    pub(super) fn quote(self, value: &str) -> String {
        match self {
            Form::Count | Form::CountOrOff | Form::NumberOrOff | Form::CountTo(_)
                if value.parse::<u64>().is_ok() =>
            {
                value.to_owned()
            }
            Form::Truth => value.to_owned(),
            _ => format!("\"{value}\""),
        }
    }

    /// The table under it, if it has its own.
    pub(super) fn table(self) -> Option<&'static Section> {
        match self {
            Form::Table(section) => Some(section),
            _ => None,
        }
    }
}

/// The bounds of a value, as a user writes them; a value outside is refused with them.
#[derive(Clone, Copy)]
pub(crate) enum Range {
    /// No bounds beyond those of its type.
    Any,
    /// For a count.
    OneOrMore,
    /// From zero, which is a meaningful value.
    UpTo(&'static str),
    /// More than zero, which would never work.
    MoreThanZero(&'static str),
    /// Both ends are allowed.
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

/// The value that applies if a key is not written. A test verifies it: config.example.toml shows these values, and
/// gives the same plan as a file without them.
#[derive(Clone, Copy)]
pub(crate) enum Given {
    /// Nothing.
    Nothing,
    /// The key must be written, or one of several must.
    Required(&'static str),
    /// This value, without the quotes of TOML.
    Value(&'static str),
    /// A default that no single value expresses.
    InWords(&'static str),
}

/// Whether a reload can change a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reload {
    Live,
    /// Only a restart can.
    Restart,
}

/// A table and its keys.
pub(crate) struct Section {
    /// What the table is for.
    pub(super) doc: &'static str,
    /// Its keys, in the order in which they are shown; a table may combine several lists.
    pub(super) keys: &'static [&'static [Key]],
    /// Of each of these lists, at least one key must be written.
    pub(super) needs: &'static [&'static [&'static str]],
}

impl Section {
    /// Every key, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().copied().flatten()
    }

    /// The name of every key, in order.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.keys().map(|key| key.name).collect()
    }

    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }

    /// The tables under this one, at any depth, the shallow ones first, each with its path, as `routes.NAME.health`.
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
