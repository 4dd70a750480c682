//! One table of the file, read key by key; a bad value becomes a problem at its place.
//!
//! Unknown keys are reported when a table is opened, so that no reader can forget to.

use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::decode::{Count, Truth, Wrong, decode, decode_word, kind};
use super::key::{self, Key, Section};
use super::off::{OffWord, off_word, off_word_in_list};
use super::problem::{Place, Problem, bare_or_quoted};
use super::tunnel_slips as tunnel;
use super::unknown::{At, meant, shared_limit, unknown};
use super::written::Written;
use crate::units::{OrOff, Rate, TimeSpan};

/// One byte per second, and more than any machine of today reaches.
const LEAST_RATE: Rate = Rate(8);
const MAX_RATE: Rate = Rate(1_000_000_000_000);

/// Whether a value is a table with the keys of a route.
fn has_a_route(value: &DeValue<'_>) -> bool {
    value.as_table().is_some_and(|table| table.contains_key("listen") && table.contains_key("target"))
}

/// An open table: its unknown keys have been reported.
pub(crate) struct Table<'t, 'p> {
    /// The keys of the file as a whole.
    top: &'static Section,
    /// The keys of this table; `None` if the user chooses its keys.
    section: Option<&'static Section>,
    path: String,
    /// The path, with NAME for each name that the user has chosen.
    pattern: String,
    place: Place,
    /// Where the positions of its text begin.
    start: usize,
    entries: &'t DeTable<'t>,
    pub(super) problems: &'p mut Vec<Problem>,
}

impl<'t> Table<'t, '_> {
    /// The top of a file, whose positions begin at `start`.
    pub(super) fn top<'p>(
        entries: &'t DeTable<'t>,
        top: &'static Section,
        start: usize,
        problems: &'p mut Vec<Problem>,
    ) -> Table<'t, 'p> {
        let (path, pattern, place) = (String::new(), String::new(), Place::File);
        Table { top, section: Some(top), path, pattern, place, start, entries, problems }.open()
    }

    /// The table under `key`, if there is one; `section` is `None` if the user chooses its keys.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        section: Option<&'static Section>,
    ) -> Option<Table<'t, '_>> {
        let value = self.get(key)?;
        self.open_value(key, self.key(key), value, section)
    }

    /// The value as a table with the keys of `section`; adds a problem if it is not a table. `step` is its path from
    /// here, with NAME for each name that the user has chosen.
    pub(super) fn open_value<'s>(
        &'s mut self,
        step: &str,
        path: String,
        value: &'t Spanned<DeValue<'t>>,
        section: Option<&'static Section>,
    ) -> Option<Table<'t, 's>> {
        let place = self.at(value.span());
        let Some(entries) = value.get_ref().as_table() else {
            let problem =
                Problem::new(place, path.as_str(), format!("must be a table, not {}", kind(value.get_ref())));
            self.problems.push(problem.help(format!("write [{path}], and its keys on the lines below")));
            return None;
        };
        let pattern =
            if self.pattern.is_empty() { step.to_owned() } else { format!("{}.{step}", self.pattern) };
        Some(
            Table {
                top: self.top,
                section,
                path,
                pattern,
                place,
                start: self.start,
                entries,
                problems: self.problems,
            }
            .open(),
        )
    }

    fn open(self) -> Self {
        let Some(section) = self.section else { return self };
        let at = At { top: self.top, section, pattern: &self.pattern };
        for (key, value) in self.entries.iter() {
            let name: &str = key.get_ref();
            if section.key(name).is_some() {
                continue;
            }
            let mut problem = unknown(at, self.at(key.span()), self.key(name), name);
            if self.pattern.is_empty() && has_a_route(value.get_ref()) {
                problem.help =
                    Some(format!("a route belongs under routes: write [routes.{}]", bare_or_quoted(name)));
            }
            let is_table = value.get_ref().is_table();
            if let Some((message, help)) = tunnel::instead(&self.pattern, name, is_table) {
                (problem.message, problem.help) = (message, Some(help));
            }
            if let Some(help) = shared_limit(&self.pattern, name, is_table) {
                problem.help = Some(help.to_owned());
            }
            self.problems.push(problem);
        }
        self
    }

    /// The place of a span of its text.
    pub(super) fn at(&self, span: Range<usize>) -> Place {
        Place::Text(span).moved(self.start)
    }

    /// Every key and its value, in the order of the file.
    pub(super) fn entries(&self) -> Vec<(&'t str, Place, &'t Spanned<DeValue<'t>>)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries.into_iter().map(|(key, value)| (&**key.get_ref(), self.at(key.span()), value)).collect()
    }

    /// Its path from the top of the file.
    pub(super) fn path(&self) -> String {
        self.path.clone()
    }

    /// The place of the table.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The value as written.
    pub(super) fn get(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        let is_known = self.section.is_some_and(|section| section.key(key).is_some());
        debug_assert!(is_known, "{key} is read and not declared");
        self.entries.get(key)
    }

    /// The value under `key`, read by its type.
    pub(super) fn value<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str) -> Option<Written<T>> {
        let value = self.get(key)?;
        self.written(key, value, decode)
    }

    /// A value in the list under `key`, read by its type.
    pub(super) fn read<T: for<'de> Deserialize<'de>>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Written<T>> {
        self.written(key, value, decode)
    }

    /// The word under `key`, one of the words of its type.
    pub(super) fn word<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str) -> Option<Written<T>> {
        let value = self.get(key)?;
        self.written(key, value, decode_word)
    }

    /// A whole number of 1 or more.
    pub(super) fn count(&mut self, key: &'static str) -> Option<Written<usize>> {
        let count = self.value::<Count>(key)?;
        Some(Written { value: count.value.0, place: count.place })
    }

    /// True or false.
    pub(super) fn truth(&mut self, key: &'static str) -> Option<Written<bool>> {
        let truth = self.value::<Truth>(key)?;
        Some(Written { value: truth.value.0, place: truth.place })
    }

    /// A time within the range of its key.
    pub(super) fn time(&mut self, key: &'static Key) -> Option<Written<TimeSpan>> {
        let value = self.get(key.name)?;
        let (zero_works, least, most) = match key.range {
            key::Range::UpTo(most) => (true, "", most),
            key::Range::MoreThanZero(most) => (false, "", most),
            key::Range::Between(least, most) => (false, least, most),
            _ => (true, "", ""),
        };
        if zero_works
            && let OffWord::Ours(words) | OffWord::Foreign(words) = off_word_in_list(value.get_ref())
        {
            self.problem(key.name, value, &format!("{words} is not a time"), Some("write \"0s\""));
            return None;
        }
        let time = self.value::<TimeSpan>(key.name)?;
        let wrong = if least.parse().is_ok_and(|least| time.value < least) {
            ("is too short", format!("write \"{least}\" or more"))
        } else if !zero_works && time.value.0 == Duration::ZERO {
            ("is too short", "write more than zero, as \"2s\"".into())
        } else if most.parse().is_ok_and(|most| time.value > most) {
            ("is too long", format!("write \"{most}\" or less"))
        } else {
            return Some(time);
        };
        let (what, help) = wrong;
        let problem = Problem::new(time.place, self.key(key.name), format!("{} {what}", time.value));
        self.problems.push(problem.help(help));
        None
    }

    /// A time within the range of its key, or "off".
    pub(super) fn time_or_off(&mut self, key: &'static Key) -> Option<Written<OrOff<TimeSpan>>> {
        let written = self.or_off(key.name, |table| table.value::<TimeSpan>(key.name))?;
        let (OrOff(Some(time)), key::Range::Between(least, most)) = (written.value, key.range) else {
            return Some(written);
        };
        let (what, help) = if least.parse().is_ok_and(|least| time < least) {
            ("is too short", format!("write \"{least}\" or more, or \"off\""))
        } else if most.parse().is_ok_and(|most| time > most) {
            ("is too long", format!("write \"{most}\" or less, or \"off\""))
        } else {
            return Some(written);
        };
        let problem = Problem::new(written.place, self.key(key.name), format!("{time} {what}"));
        self.problems.push(problem.help(help));
        None
    }

    /// A rate from [`LEAST_RATE`] to [`MAX_RATE`], or "off".
    pub(super) fn rate_or_off(&mut self, key: &'static str) -> Option<Written<OrOff<Rate>>> {
        let written = self.or_off(key, |table| table.value::<Rate>(key))?;
        let OrOff(Some(rate)) = written.value else { return Some(written) };
        let (what, help) = match rate {
            _ if rate < LEAST_RATE => ("is too slow", format!("write \"{LEAST_RATE}\" or more, or \"off\"")),
            _ if rate > MAX_RATE => ("is too fast", format!("write \"{MAX_RATE}\" or less, or \"off\"")),
            _ => return Some(written),
        };
        let problem = Problem::new(written.place, self.key(key), format!("{rate} {what}"));
        self.problems.push(problem.help(help));
        None
    }

    /// What `read` makes of the value under `key`, or "off".
    pub(super) fn or_off<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Self) -> Option<Written<T>>,
    ) -> Option<Written<OrOff<T>>> {
        let value = self.get(key)?;
        match off_word(value.get_ref()) {
            OffWord::Ours(_) => Some(Written { value: OrOff(None), place: self.at(value.span()) }),
            OffWord::Foreign(words) => self.nearly_off(key, value, &words, "write \"off\""),
            OffWord::None => {
                let Written { value, place } = read(self)?;
                Some(Written { value: OrOff(Some(value)), place })
            }
        }
    }

    /// One value, a list of them, or "off", which is an empty list; `help` is for "off" in another program's words.
    pub(super) fn list_or_off<T: for<'de> Deserialize<'de>>(
        &mut self,
        key: &'static str,
        help: &str,
    ) -> Option<Vec<Written<T>>> {
        let value = self.get(key)?;
        match off_word_in_list(value.get_ref()) {
            OffWord::Ours(_) => Some(Vec::new()),
            OffWord::Foreign(words) => self.nearly_off(key, value, &words, help),
            OffWord::None => self.list(key),
        }
    }

    fn nearly_off<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        words: &str,
        help: &str,
    ) -> Option<T> {
        self.problem(key, value, &format!("{words} does not switch it off"), Some(help));
        None
    }

    /// One value or a list of them; an empty list is a problem.
    pub(super) fn list<T: for<'de> Deserialize<'de>>(
        &mut self,
        key: &'static str,
    ) -> Option<Vec<Written<T>>> {
        let value = self.get(key)?;
        let Some(list) = value.get_ref().as_array() else {
            return self.written(key, value, decode).map(|only| vec![only]);
        };
        if list.is_empty() {
            let takes = self.section.and_then(|section| section.key(key)).map_or("value", |key| key.takes);
            self.problem(key, value, "the list is empty", Some(&format!("write at least one {takes}")));
        }
        let read: Vec<_> = list.iter().filter_map(|value| self.written(key, value, decode)).collect();
        (!read.is_empty()).then_some(read)
    }

    /// Reports that a required key is missing, unless a misspelt form of it was already reported.
    pub(super) fn missing(&mut self, key: &'static str, example: &str) {
        let Some(section) = self.section else { return };
        if self.entries.keys().any(|other| meant(section, other.get_ref()) == Some(key)) {
            return;
        }
        let problem = Problem::new(self.place.clone(), self.key(key), "this key is missing");
        self.problems.push(problem.help(format!("add {key} = \"{example}\"")));
    }

    pub(super) fn problem(&mut self, key: &str, at: &Spanned<DeValue<'_>>, what: &str, help: Option<&str>) {
        let mut problem = Problem::new(self.at(at.span()), self.key(key), what);
        problem.help = help.map(str::to_owned);
        self.problems.push(problem);
    }

    fn written<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        decode: fn(&DeValue<'_>) -> Result<T, Wrong>,
    ) -> Option<Written<T>> {
        match decode(value.get_ref()) {
            Ok(read) => Some(Written { value: read, place: self.at(value.span()) }),
            Err(Wrong { what, instead }) => {
                self.problem(key, value, &what, instead.as_deref());
                None
            }
        }
    }

    pub(super) fn key(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => bare_or_quoted(key),
            path => format!("{path}.{}", bare_or_quoted(key)),
        }
    }
}
