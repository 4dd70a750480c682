//! Chooses by a ClientHello: first by the protocols it offers, then by the name it requests.
//!
//! Protocols come first, because a client offers a protocol with a target of its own (`acme-tls/1`) for that target's
//! sake, under a name that is otherwise served elsewhere. Of the names, an exact match comes before those with `*`, and
//! of these the longest.

use std::collections::HashMap;
use std::hash::Hash;

use super::Hello;
use super::name::{LONGEST, Name, is_letter};

/// The values for each name and each protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<T> {
    exact: HashMap<Box<str>, T>,
    below: HashMap<Box<str>, T>,
    protocols: HashMap<Box<[u8]>, T>,
}

impl<T> Choice<T> {
    /// If several have the same name or protocol, the last one counts.
    pub fn new(
        names: impl IntoIterator<Item = (Name, T)>,
        protocols: impl IntoIterator<Item = (Box<[u8]>, T)>,
    ) -> Choice<T> {
        let mut choice = Choice {
            exact: HashMap::new(),
            below: HashMap::new(),
            protocols: protocols.into_iter().collect(),
        };
        for (name, it) in names {
            match name {
                Name::Exact(name) => choice.exact.insert(name, it),
                Name::Below(name) => choice.below.insert(name, it),
            };
        }
        choice
    }

    /// The choice for this hello. Among its protocols the client's order of preference decides.
    pub fn of(&self, hello: &Hello<'_>) -> Option<&T> {
        let mut protocols = hello.protocols();
        let by_protocol = protocols.find_map(|protocol| self.protocols.get(protocol));
        by_protocol.or_else(|| self.of_name(hello.server_name()?))
    }

    fn of_name(&self, asked: &[u8]) -> Option<&T> {
        let mut room = [0; LONGEST];
        let name = comparable(asked, &mut room)?;
        let parents = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        self.exact.get(name).or_else(|| parents.into_iter().find_map(|parent| self.below.get(parent)))
    }

    /// The same choice with other values.
    pub fn map<U>(&self, each: impl Fn(&T) -> U) -> Choice<U> {
        fn values<K: Clone + Eq + Hash, T, U>(from: &HashMap<K, T>, each: impl Fn(&T) -> U) -> HashMap<K, U> {
            from.iter().map(|(key, it)| (key.clone(), each(it))).collect()
        }
        Choice {
            exact: values(&self.exact, &each),
            below: values(&self.below, &each),
            protocols: values(&self.protocols, &each),
        }
    }
}

/// A name in lower case and without a trailing dot; `None` if it is no name, so that no unusual byte passes for a
/// label.
fn comparable<'r>(asked: &[u8], room: &'r mut [u8; LONGEST]) -> Option<&'r str> {
    let asked = asked.strip_suffix(b".").unwrap_or(asked);
    let name = room.get_mut(..asked.len())?;
    name.copy_from_slice(asked);
    name.make_ascii_lowercase();
    let is_whole = |label: &[u8]| !label.is_empty() && label.iter().copied().all(is_letter);
    if !name.split(|byte| *byte == b'.').all(is_whole) {
        return None;
    }
    str::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::super::{Reader, Seen};
    use super::*;

    fn choice(names: &[&str], protocols: &[&str]) -> Choice<String> {
        let named = names.iter().map(|name| (name.parse().unwrap(), (*name).to_owned()));
        let spoken = protocols.iter().map(|it| (it.as_bytes().into(), (*it).to_owned()));
        Choice::new(named, spoken)
    }

    fn chosen(choice: &Choice<String>, name: Option<&str>, protocols: &[&str]) -> Option<String> {
        let named = name.map(samples::name);
        let spoken = (!protocols.is_empty()).then(|| samples::protocols(protocols));
        let wire = samples::wire(&samples::message(&named.into_iter().chain(spoken).collect::<Vec<_>>()));
        let Seen::Hello(hello) = Reader::default().read(&wire) else { panic!("no hello") };
        choice.of(&hello).cloned()
    }

    #[test]
    fn the_very_name_goes_before_the_longest_that_covers_it() {
        let names = choice(&["a.b.example", "*.b.example", "*.example"], &[]);
        for (asked, answer) in [
            ("a.b.example", Some("a.b.example")),
            ("A.B.Example.", Some("a.b.example")),
            ("c.b.example", Some("*.b.example")),
            ("d.c.b.example", Some("*.b.example")),
            ("b.example", Some("*.example")),
            ("example", None),
            ("xb.example", Some("*.example")),
            ("a.b.example.org", None),
            (".b.example", None),
            ("a..b.example", None),
            ("x\0.b.example", None),
            ("x y.b.example", None),
            ("ü.b.example", None),
            (&format!("{}.b.example", "a".repeat(253)), None),
        ] {
            assert_eq!(chosen(&names, Some(asked), &[]).as_deref(), answer, "{asked:?}");
        }
        assert_eq!(chosen(&names, None, &[]), None);
    }

    #[test]
    fn a_protocol_goes_before_the_name_and_the_clients_first_before_its_others() {
        let both = choice(&["a.example"], &["acme-tls/1", "h2"]);

        assert_eq!(chosen(&both, Some("a.example"), &["acme-tls/1"]).as_deref(), Some("acme-tls/1"));
        assert_eq!(chosen(&both, None, &["http/1.1", "h2", "acme-tls/1"]).as_deref(), Some("h2"));
        assert_eq!(chosen(&both, Some("a.example"), &["http/1.1"]).as_deref(), Some("a.example"));
    }

    #[test]
    fn a_choice_among_other_things_chooses_alike() {
        let lengths = choice(&["a.example", "*.b.example"], &["h2"]).map(String::len);

        assert_eq!(lengths, choice(&["*.b.example", "a.example"], &["h2"]).map(String::len));
        assert_ne!(lengths, choice(&["a.example"], &["h2"]).map(String::len));
    }
}
