//! Words in messages: the word that was probably meant, and several words as a list.

/// The word nearest to `wrong`, if it is near enough to be meant.
pub(crate) fn nearest<'w>(wrong: &str, words: &[&'w str]) -> Option<&'w str> {
    // Longer texts are never typos, and comparing them costs their length squared.
    if wrong.len() > 64 {
        return None;
    }
    // "warning" for "warn", "connect" for "connect_timeout": one begins with the other.
    let wrong = wrong.to_lowercase();
    let begins = |word: &&&'w str| {
        word.len().min(wrong.len()) >= 3 && (wrong.starts_with(**word) || word.starts_with(&wrong))
    };
    if let Some(word) = words.iter().find(begins) {
        return Some(word);
    }
    // Comparing lengths first saves most of the work: the distance is never smaller than their difference.
    let length = wrong.chars().count();
    let slips = |word: &str| word.len().max(3) / 3;
    let near = words.iter().copied().filter(|word| word.len().abs_diff(length) <= slips(word));
    let measured = near.map(|word| (strsim::damerau_levenshtein(&wrong, word), word));
    measured.filter(|(distance, word)| *distance <= slips(word)).min().map(|(_, word)| word)
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
    fn a_typo_is_near_and_another_word_is_not() {
        let words = ["listen", "target", "source", "connect_timeout"];

        assert_eq!(nearest("listn", &words), Some("listen"));
        assert_eq!(nearest("conect_timout", &words), Some("connect_timeout"));
        assert_eq!(nearest("Target", &words), Some("target"));
        assert_eq!(nearest("connect", &words), Some("connect_timeout"));
        assert_eq!(nearest("targets", &words), Some("target"));
        assert_eq!(nearest("colour", &words), None);
        assert_eq!(nearest(&"listen".repeat(100_000), &words), None);
    }
}
