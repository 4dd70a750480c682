//! The two messages of a connection that joins: what it says, and the one answer. Each is JSON in one frame.

use serde::{Deserialize, Serialize};

use super::Ticket;
use crate::transport::tunnel::message::{MAX_WORDS, Malformed, read_strictly};

/// The most bytes of each.
pub const MAX_JOIN: usize = 512;

/// The answer to a connection that joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is let in as this from now on.
    Joined {
        /// The name that the tunnel has there.
        name: String,
        /// Whether the running program has taken it over already.
        is_in: bool,
    },
    /// It is not.
    Refused(Refused),
}

/// Why a machine is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// There is no such invite, it has another secret, it was used, or it is over: the same answer to each.
    Wrong,
    /// Its file there was changed since the invite.
    Changed,
    /// The key of this machine is let in already, under another name.
    Known,
    /// The other machine could not write it down; its log says why.
    Failed,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Written {
    Join {
        ticket: String,
    },
    Joined {
        name: String,
        #[serde(rename = "in", default)]
        is_in: bool,
    },
    Refused {
        code: Refused,
    },
    #[serde(other)]
    Unknown,
}

/// What a connection that joins says.
pub fn encode_join(ticket: &Ticket) -> Vec<u8> {
    encode(&Written::Join { ticket: ticket.letters() })
}

/// Reads it.
///
/// # Errors
/// What is wrong with the bytes, without a word of them. The connection is to be closed.
pub fn decode_join(bytes: &[u8]) -> Result<Ticket, Malformed> {
    match decode(bytes)? {
        Written::Join { ticket } => ticket.parse().map_err(|()| wrong("no ticket")),
        _ => Err(wrong("another message than JOIN")),
    }
}

/// The answer.
pub fn encode_answer(answer: &Answer) -> Vec<u8> {
    encode(&match answer {
        Answer::Joined { name, is_in } => Written::Joined { name: name.clone(), is_in: *is_in },
        Answer::Refused(code) => Written::Refused { code: *code },
    })
}

/// Reads it.
///
/// # Errors
/// As of [`decode_join`].
pub fn decode_answer(bytes: &[u8]) -> Result<Answer, Malformed> {
    match decode(bytes)? {
        Written::Joined { name, .. } if name.len() > MAX_WORDS => Err(wrong("a name that is too long")),
        Written::Joined { name, is_in } => Ok(Answer::Joined { name, is_in }),
        Written::Refused { code } => Ok(Answer::Refused(code)),
        _ => Err(wrong("another message than an answer")),
    }
}

fn encode(message: &Written) -> Vec<u8> {
    // Every key is a text and every value one of ours, so there is no error.
    serde_json::to_vec(message).unwrap_or_default()
}

fn decode(bytes: &[u8]) -> Result<Written, Malformed> {
    // What the library says of the bytes may quote them, and they hold a secret.
    read_strictly(bytes, MAX_JOIN).map_err(|malformed| match malformed {
        Malformed::Long(length) => Malformed::Long(length),
        Malformed::Wrong(_) => wrong("it is no message of a connection that joins"),
    })
}

fn wrong(words: &str) -> Malformed {
    Malformed::Wrong(words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_reads_back_within_its_bounds() {
        let ticket = Ticket::random().unwrap();
        let join = encode_join(&ticket);

        assert!(join.len() < MAX_JOIN);
        assert_eq!(decode_join(&join), Ok(ticket));
        for answer in [
            Answer::Joined { name: "home".into(), is_in: true },
            Answer::Joined { name: "a".repeat(64), is_in: false },
            Answer::Refused(Refused::Wrong),
            Answer::Refused(Refused::Changed),
        ] {
            assert_eq!(decode_answer(&encode_answer(&answer)), Ok(answer));
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = br#"{"type":"refused","code":"closed_today","words":"x"}"#;
        assert_eq!(decode_answer(later), Ok(Answer::Refused(Refused::Other)));
        assert_eq!(
            decode_answer(br#"{"type":"joined","name":"home","more":[1]}"#),
            Ok(Answer::Joined { name: "home".into(), is_in: false })
        );
    }

    #[test]
    fn what_is_no_message_is_refused_without_a_word_of_it() {
        let letters = "SECRETSECRETSECRETSECRETSECRETSE";
        let twice = format!(r#"{{"type":"join","ticket":"{letters}","ticket":"{letters}"}}"#);
        let long = format!(r#"{{"type":"join","ticket":"{letters}","x":"{}"}}"#, "x".repeat(MAX_JOIN));
        for bytes in [
            twice.as_str(),
            &long,
            "",
            "{}",
            "[]",
            &format!(r#"["join","{letters}"]"#),
            &format!(r#"{{"type":"join","ticket":"{letters}x"}}"#),
            &format!(r#"{{"type":"join","ticket":["{letters}"]}}"#),
            &format!(r#"{{"type":"{letters}"}}"#),
            &format!(r#"{{"type":"join","ticket":"{letters}"}} x"#),
            r#"{"type":"joined","name":"x"}"#,
            r#"{"type":"hello","for":"control"}"#,
        ] {
            let told = decode_join(bytes.as_bytes()).unwrap_err().to_string();
            assert!(!told.contains("SECRET"), "{told}");
        }
        assert!(decode_answer(&encode_join(&Ticket::random().unwrap())).is_err());
    }
}
