//! `loopgate explain CODE`: what a verdict, a cause or an end means, why it happens, and what to do about it.

use std::io::{self, Write};

use serde::Serialize;

use crate::diagnosis::{Advice, Verdict};
use crate::outcome::{Cause, DropReason, End};
use crate::tunnel::words::{Place, WORDS, Word};

/// The explanation of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Meaning {
    code: &'static str,
    kind: Kind,
    meaning: &'static str,
    why: &'static str,
    remedy: &'static str,
}

/// Where the code appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// In a diagnosis.
    Verdict,
    /// `cause=` of a record or of a target's state line.
    Cause,
    /// `end=` of a record.
    End,
    /// `cause=` of a tunnel that is down.
    Tunnel,
    /// `code=` of a route that is refused at the other end of a tunnel.
    Refused,
    /// In `up_dropped=` and `down_dropped=` of a record.
    Dropped,
}

/// Every code: verdicts, then causes, then ends, then words of tunnels, then the reasons for which datagrams are dropped.
fn all() -> impl Iterator<Item = Meaning> {
    let verdicts = Verdict::ALL.iter().map(|verdict| {
        let Advice { why, remedy } = verdict.advice();
        Meaning { code: verdict.id(), kind: Kind::Verdict, meaning: verdict.meaning(), why, remedy }
    });
    let causes = Cause::ALL.iter().map(|cause| Meaning {
        code: cause.code(),
        kind: Kind::Cause,
        meaning: cause.meaning(),
        why: cause.why(),
        remedy: cause.remedy(),
    });
    let ends = End::ALL.iter().map(|end| Meaning {
        code: end.code(),
        kind: Kind::End,
        meaning: end.meaning(),
        why: end.why(),
        remedy: end.remedy(),
    });
    let tunnels = WORDS.iter().map(|word| {
        let Word { code, place, meaning, why, remedy } = *word;
        let kind = match place {
            Place::Down => Kind::Tunnel,
            Place::Refused => Kind::Refused,
        };
        Meaning { code, kind, meaning, why, remedy }
    });
    let dropped = DropReason::ALL.iter().map(|reason| Meaning {
        code: reason.code(),
        kind: Kind::Dropped,
        meaning: reason.meaning(),
        why: reason.why(),
        remedy: reason.remedy(),
    });
    verdicts.chain(causes).chain(ends).chain(tunnels).chain(dropped)
}

/// Every meaning of a code: one word may be a cause and, say, an end. Case does not matter, nor does `-` or `_` between
/// words, nor a field's name before the code, as in `end=done`.
pub(super) fn meanings(text: &str) -> Vec<Meaning> {
    let wanted = plain(text);
    all().filter(|meaning| plain(meaning.code) == wanted).collect()
}

/// The codes most similar to `text`, the nearest first; empty if none is similar.
fn nearest(text: &str) -> Vec<&'static str> {
    const NEAR: f64 = 0.82;
    const SHOWN: usize = 3;
    let wanted = plain(text);
    let near = |code: &'static str| {
        let code_plain = plain(code);
        let score = strsim::jaro_winkler(&wanted, &code_plain);
        // A part of a long code counts as similar to it.
        let part = wanted.len() >= 4 && code_plain.contains(&wanted);
        (score >= NEAR || part).then_some((if part { 1.0 } else { score }, code))
    };
    let mut found: Vec<(f64, &str)> = all().filter_map(|meaning| near(meaning.code)).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.dedup_by_key(|(_, code)| *code);
    found.into_iter().take(SHOWN).map(|(_, code)| code).collect()
}

/// The error for a word that is almost a code; `None` if it resembles no code.
pub(super) fn nearest_words(text: &str) -> Option<String> {
    let near = nearest(text);
    let is_word = !text.contains([':', '.', '/']);
    (is_word && !near.is_empty())
        .then(|| format!("error: {text} is not a code; did you mean {}?", near.join(" or ")))
}

fn plain(text: &str) -> String {
    // Each reason for dropped datagrams has its count.
    let value = match text.rsplit_once('=') {
        Some((_, value)) => value.split([':', ',']).next().unwrap_or(value),
        None => text,
    };
    value.trim().to_ascii_lowercase().replace('_', "-")
}

/// Writes what a code means.
///
/// # Errors
/// If writing to `out` fails.
pub(super) fn write(meanings: &[Meaning], json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        serde_json::to_writer(
            &mut *out,
            &serde_json::json!({"schema": "loopgate.codes/1", "codes": meanings}),
        )?;
        return writeln!(out);
    }
    for (place, Meaning { code, kind, meaning, why, remedy }) in meanings.iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        let kind = match kind {
            Kind::Verdict => "a verdict",
            Kind::Cause => "cause= of a record",
            Kind::End => "end= of a record",
            Kind::Tunnel => "cause= of a tunnel that is down",
            Kind::Refused => "code= of a route refused at the other end of a tunnel",
            Kind::Dropped => "up_dropped= or down_dropped= of a record",
        };
        writeln!(out, "{code}   {kind}")?;
        for (label, text) in [("what", meaning), ("why", why), ("do", remedy)] {
            writeln!(out, "  {label:<5} {text}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_in_any_spelling() {
        for code in all().map(|meaning| meaning.code) {
            assert!(!meanings(code).is_empty(), "{code}");
        }
        for text in
            ["Port_Held", "end=done", "NO_TARGET", "cause=refused", "over_rate", "up_dropped=too_big:2"]
        {
            assert_eq!(meanings(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn the_words_of_a_tunnel_are_explained_wherever_they_stand() {
        assert_eq!(meanings("cause=key_unknown_there")[0].kind, Kind::Tunnel);
        assert_eq!(meanings("code=not_permitted")[0].kind, Kind::Refused);
        let revoked: Vec<Kind> = meanings("revoked").iter().map(|meaning| meaning.kind).collect();
        assert_eq!(revoked, [Kind::End, Kind::Tunnel]);
    }

    #[test]
    fn a_misspelt_code_finds_the_one_that_was_meant() {
        assert_eq!(nearest("port-hled").first(), Some(&"port-held"));
        assert_eq!(nearest("reuseport").len(), 2);
        assert!(nearest("xyzzy").is_empty());
    }
}
