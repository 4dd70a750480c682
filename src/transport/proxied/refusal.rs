//! Why a proxy carries nothing, worded to follow its name.

use std::fmt;
use std::io::ErrorKind;

use crate::units::base64;

/// How the quote of an answer begins.
pub(super) const QUOTES: &str = " (it answered '";

/// So many characters of a password are too many to be shown.
const TELLING: usize = 6;

/// The number with which a proxy said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A status of HTTP (RFC 9110, section 15).
    Status(u16),
    /// A reply of SOCKS (RFC 1928, section 6).
    Reply(u8),
}

/// What a proxy answered instead of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The number of its answer, if it gave one.
    pub answered: Option<Answered>,
    /// The kind of error that it stands for.
    pub kind: ErrorKind,
    /// What it said, or did not say.
    pub words: String,
}

impl Refusal {
    /// A refusal of this kind.
    pub(super) fn new(kind: ErrorKind, words: impl Into<String>) -> Refusal {
        Refusal { answered: None, kind, words: words.into() }
    }

    /// The same, answered with this number.
    pub(super) fn by(self, answered: Answered) -> Refusal {
        Refusal { answered: Some(answered), ..self }
    }

    /// The same without what is quoted, if that repeats what we have logged in with, or begins to.
    pub(super) fn without(mut self, user: &[u8], password: &[u8]) -> Refusal {
        let login = base64::encode(&[user, b":", password].concat());
        let secrets = [login, String::from_utf8_lossy(password).into_owned()];
        let begins = secrets.iter().map(|it| it.chars().take(TELLING).collect::<String>());
        let quote = self.words.find(QUOTES).unwrap_or(self.words.len());
        if begins.filter(|it| !it.is_empty()).any(|it| self.words[quote..].contains(&it)) {
            self.words.truncate(quote);
        }
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
