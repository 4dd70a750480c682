//! The content of FLOW_END.

use serde::{Deserialize, Serialize};

use super::codec::{Malformed, read_strictly};
use super::fields::{self, MAX_WORDS};
use crate::outcome::Cause;
use crate::transport::tunnel::flows::FlowEnded;
use crate::transport::tunnel::frame::{MAX_CONTENT, Reason};
use crate::units::shown;

/// Why a flow has ended: a reason, or the cause for which it was not carried at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlowEnd {
    /// The reason, one of those of RESET, as the word of a record.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "fields::word_or_none")]
    reason: Option<String>,
    /// The cause, as the word of a record: at most 32 small letters, digits and `_`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "fields::word_or_none")]
    cause: Option<String>,
    /// A description of the cause, at most [`MAX_WORDS`]; to be escaped.
    #[serde(default, skip_serializing_if = "String::is_empty", with = "fields::words")]
    words: String,
}

impl FlowEnd {
    /// What the other end is told. That the tunnel is gone is never told through it.
    pub fn of(why: &FlowEnded) -> FlowEnd {
        let reason =
            |reason: Reason| FlowEnd { reason: Some(reason.code().to_owned()), ..FlowEnd::default() };
        match why {
            FlowEnded::Ended(why) => reason(*why),
            FlowEnded::Revoked => reason(Reason::Revoked),
            FlowEnded::Lost => reason(Reason::Reset),
            FlowEnded::Refused(cause, words) => FlowEnd {
                reason: None,
                cause: Some(cause.code().to_owned()),
                words: words.clone().unwrap_or_default(),
            },
        }
    }

    /// What the other end has told. A word of a later version is read as the plainest; no word at all as a reset.
    pub fn ended(self) -> FlowEnded {
        let Some(code) = self.cause else {
            return FlowEnded::Ended(self.reason.map_or(Reason::Reset, |word| Reason::of_code(&word)));
        };
        let cause = Cause::ALL.into_iter().find(|cause| cause.code() == code).unwrap_or(Cause::Other(0));
        let words = (!self.words.is_empty()).then(|| shown(&self.words, MAX_WORDS));
        FlowEnded::Refused(cause, words)
    }

    /// Its bytes, at most [`MAX_CONTENT`].
    pub fn encode(&self) -> Vec<u8> {
        // Every key is a text and every value one of ours, so there is no error.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the content of FLOW_END.
    ///
    /// # Errors
    /// What is wrong with the bytes. The other end has broken the rules, and the connection is to be closed.
    pub fn decode(bytes: &[u8]) -> Result<FlowEnd, Malformed> {
        read_strictly(bytes, MAX_CONTENT)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed_on(why: &FlowEnded) -> FlowEnded {
        FlowEnd::decode(&FlowEnd::of(why).encode()).unwrap().ended()
    }

    #[test]
    fn why_a_flow_ended_arrives_as_it_was_told() {
        for reason in Reason::ALL {
            assert_eq!(passed_on(&FlowEnded::Ended(reason)), FlowEnded::Ended(reason));
        }
        for cause in Cause::ALL {
            let refused = FlowEnded::Refused(cause, Some("in words".into()));
            assert_eq!(passed_on(&refused), refused);
            assert_eq!(passed_on(&FlowEnded::Refused(cause, None)), FlowEnded::Refused(cause, None));
        }
        assert_eq!(passed_on(&FlowEnded::Revoked), FlowEnded::Ended(Reason::Revoked));
        let bytes = FlowEnd::of(&FlowEnded::Ended(Reason::NoTarget)).encode();
        assert_eq!(bytes, br#"{"reason":"no_target"}"#);
    }

    #[test]
    fn what_a_later_version_says_is_the_plainest_and_what_breaks_the_rules_is_refused() {
        let read = |text: &str| FlowEnd::decode(text.as_bytes()).map(FlowEnd::ended).ok();

        assert_eq!(read("{}"), Some(FlowEnded::Ended(Reason::Reset)));
        assert_eq!(read(r#"{"reason":"bored","n":1}"#), Some(FlowEnded::Ended(Reason::Reset)));
        assert_eq!(read(r#"{"cause":"bored"}"#), Some(FlowEnded::Refused(Cause::Other(0), None)));
        for wrong in ["", "[]", r#"{"cause":"A B"}"#, r#"{"reason":"idle","reason":"idle"}"#] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let Some(FlowEnded::Refused(_, Some(words))) = read(r#"{"cause":"refused","words":"\u001b[2J"}"#)
        else {
            panic!("no words")
        };
        assert!(!words.contains('\u{1b}'), "{words}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = FlowEnd::decode(&bytes).map(FlowEnd::ended);
        }

        #[test]
        fn its_bytes_fit_a_frame(words in ".{0,400}") {
            let why = FlowEnded::Refused(Cause::Refused, Some(words));
            prop_assert!(FlowEnd::of(&why).encode().len() <= MAX_CONTENT);
        }
    }
}
