//! Every table and key there is, and the right word for a wrong one.
//!
//! It knows names alone: what a key holds is its type's, what it means is the plan's.

use super::problem::{Place, Problem};
use crate::units::quoted;

/// A kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// The file itself.
    Top,
    /// `[defaults]`
    Defaults,
    /// `[routes.NAME]`
    Route,
    /// `[limits]`
    Limits,
    /// `[log]`
    Log,
}

/// A route's own keys first, then its settings, which `[defaults]` takes as well.
const ROUTE: [&str; 8] =
    ["listen", "target", "protocol", "connect_timeout", "wait_for_target", "source", "bind", "reset_linger"];
const DEFAULTS: &[&str] = ROUTE.split_at(2).1;

/// The words of other programs for a key of ours.
const ALIASES: [(&[&str], &str); 4] = [
    (&["remote", "upstream", "backend", "server", "to", "forward", "dest", "destination"], "target"),
    (&["local", "from", "address", "listen_addr", "port"], "listen"),
    (&["timeout", "dial_timeout"], "connect_timeout"),
    (&["maxconn", "max_connections"], "connections"),
];

impl Section {
    const TABLES: [Section; 4] = [Section::Defaults, Section::Route, Section::Limits, Section::Log];

    pub(super) const fn keys(self) -> &'static [&'static str] {
        match self {
            Section::Top => &["defaults", "routes", "limits", "log"],
            Section::Defaults => DEFAULTS,
            Section::Route => &ROUTE,
            Section::Limits => &["connections", "drain_timeout"],
            Section::Log => &["format", "level"],
        }
    }

    pub(super) const fn path(self) -> &'static str {
        match self {
            Section::Top => "",
            Section::Defaults => "defaults",
            Section::Route => "routes.NAME",
            Section::Limits => "limits",
            Section::Log => "log",
        }
    }
}

/// Every key there is by its path, as `routes.NAME.listen`.
pub fn keys() -> Vec<String> {
    let of = |section: Section| section.keys().iter().map(move |key| format!("{}.{key}", section.path()));
    Section::TABLES.into_iter().flat_map(of).collect()
}

/// The problem of a key that `section` does not have; `path` names the key from the top of the file.
pub(super) fn unknown(section: Section, place: Place, path: String, key: &str) -> Problem {
    let word = if section == Section::Top { "table" } else { "key" };
    let elsewhere = Section::TABLES.into_iter().find(|table| table.keys().contains(&key));
    if let Some(table) = elsewhere {
        let message = match section {
            Section::Top => "a key cannot stand outside a table".into(),
            _ => format!("this key is not one of [{}]", section.path()),
        };
        return Problem::new(place, path, message).help(format!("it belongs in [{}]", table.path()));
    }
    let alias = ALIASES.iter().find(|(words, ours)| words.contains(&key) && section.keys().contains(ours));
    let problem = Problem::new(place, path, format!("unknown {word} {}", quoted(key)));
    match alias.map(|(_, ours)| *ours).or_else(|| nearest(key, section.keys())) {
        Some(near) => problem.help(format!("did you mean {near}?")),
        None => problem.help(format!("the {word}s here are {}", listed(section.keys(), "and"))),
    }
}

/// The word nearest to `wrong`, if one is near enough to be meant.
pub(super) fn nearest<'w>(wrong: &str, words: &[&'w str]) -> Option<&'w str> {
    // Longer texts are never typing slips, and comparing them costs their length squared.
    if wrong.len() > 64 {
        return None;
    }
    let near = |word: &&'w str| strsim::damerau_levenshtein(&wrong.to_lowercase(), word);
    words.iter().copied().min_by_key(near).filter(|word| near(word) <= word.len().max(3) / 3)
}

/// `"a, b and c"`
pub(super) fn listed(words: &[&str], and: &str) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        assert_eq!(nearest("listn", &ROUTE), Some("listen"));
        assert_eq!(nearest("conect_timout", &ROUTE), Some("connect_timeout"));
        assert_eq!(nearest("Target", &ROUTE), Some("target"));
        assert_eq!(nearest("colour", &ROUTE), None);
        assert_eq!(nearest(&"listen".repeat(100_000), &ROUTE), None);
    }
}
