//! Which names mark a secret: by the words they are made of, so that `MYSQL_PWD`, `--hmac-key` and `keyStorePassword` do,
//! and `--max-tokens`, `--compass` and `--public-key` do not.

/// How sure a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `password`, `token`: a secret wherever it stands.
    Plain,
    /// `key`, `auth`, `pwd`: too common as a word of a text, and so only where a value follows.
    Short,
}

/// Parts of words that mean nothing but a secret.
const PLAIN_INSIDE: [&str; 5] = ["password", "passwd", "passphrase", "secret", "credential"];

/// Ends of words, which other words begin with (`tokenizer`).
const PLAIN_ENDS: [&str; 14] = [
    "token",
    "authorization",
    "cookie",
    "bearer",
    "jwt",
    "masterauth",
    "apikey",
    "accesskey",
    "privatekey",
    "requirepass",
    "storepass",
    "keypass",
    "dbpass",
    "pgpass",
];

/// Pairs of words.
const PLAIN_PAIRS: [[&str; 2]; 3] = [["api", "key"], ["access", "key"], ["private", "key"]];

/// Whole words that count as the last of a name.
const SHORT_LAST: [&str; 6] = ["pass", "pwd", "pw", "auth", "key", "psk"];

/// Ends of a last word, unless it is one of [`NO_SECRETS`].
const SHORT_ENDS: [&str; 2] = ["pass", "pwd"];

/// Words that end like a secret and are none.
const NO_SECRETS: [&str; 7] =
    ["bypass", "compass", "encompass", "surpass", "trespass", "overpass", "underpass"];

/// Words before one of a secret with which the name says something else: what is public, or that there is none.
const BEFORE: [&str; 13] = [
    "public",
    "pub",
    "primary",
    "foreign",
    "partition",
    "sort",
    "no",
    "without",
    "disable",
    "skip",
    "max",
    "min",
    "num",
];

/// Whether a name, as `--db-password` or `keyStorePassword`, marks what follows it as a secret.
pub(super) fn secret_name(name: &str) -> Option<Kind> {
    let words = words(name);
    let means_else = |at: usize| at > 0 && BEFORE.contains(&words[at - 1].as_str());
    for (at, word) in words.iter().enumerate().filter(|(at, _)| !means_else(*at)) {
        let is_pair = |pair: &[&str; 2]| at > 0 && words[at - 1] == pair[0] && word == pair[1];
        if PLAIN_INSIDE.iter().any(|secret| word.contains(secret))
            || PLAIN_ENDS.iter().any(|secret| word.strip_suffix('s').unwrap_or(word).ends_with(secret))
            || PLAIN_PAIRS.iter().any(is_pair)
        {
            return Some(Kind::Plain);
        }
    }
    let (at, last) = words.iter().enumerate().next_back().filter(|(at, _)| !means_else(*at))?;
    // `-p` and the like are for the programs that have them; one word before it is enough for `--login-pw`.
    let is_short = SHORT_LAST.contains(&last.as_str()) && (last != "pw" || at > 0)
        || SHORT_ENDS.iter().any(|end| last.ends_with(end)) && !NO_SECRETS.contains(&last.as_str());
    is_short.then_some(Kind::Short)
}

/// The words of a name in lower case: between `-`, `_`, `.`, and where a small letter meets a capital.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let letters: Vec<char> = name.chars().collect();
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let begins = letter.is_ascii_uppercase()
            && (before.is_some_and(|before| before.is_ascii_lowercase())
                || before.is_some_and(|before| before.is_ascii_uppercase())
                    && letters.get(at + 1).is_some_and(char::is_ascii_lowercase));
        if begins || matches!(letter, '-' | '_' | '.') {
            words.push(String::new());
        }
        if !matches!(letter, '-' | '_' | '.') {
            words.last_mut().into_iter().for_each(|word| word.push(letter.to_ascii_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Everything in an argument that can be a name, with where it begins.
pub(super) fn names(argument: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + argument[at..].find(is_part)?;
        let length = argument[start..].find(|c| !is_part(c)).unwrap_or(argument.len() - start);
        at = start + length;
        Some((start, &argument[start..at]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_by_its_words() {
        for name in [
            "--password",
            "PGPASSWORD",
            "db.password",
            "AWS_SECRET_ACCESS_KEY",
            "apiKey",
            "APIKey",
            "x-auth-token",
        ] {
            assert_eq!(secret_name(name), Some(Kind::Plain), "{name}");
        }
        for name in
            ["key", "--ssh-key", "MYSQL_PWD", "Pwd", "--basic-auth", "--login-path-pw", "myPass", "-userpass"]
        {
            assert_eq!(secret_name(name), Some(Kind::Short), "{name}");
        }
        for name in [
            "TCP-LISTEN",
            "--max-tokens",
            "tokenizer",
            "--public-key",
            "--key-file",
            "--no-password",
            "bypass",
            "-pw",
            "",
        ] {
            assert_eq!(secret_name(name), None, "{name}");
        }
    }

    #[test]
    fn names_stand_anywhere_in_an_argument() {
        assert_eq!(names("{\"a-b\": c}").collect::<Vec<_>>(), [(2, "a-b"), (8, "c")]);
        assert_eq!(names("ü=x").collect::<Vec<_>>(), [(3, "x")]);
    }
}
