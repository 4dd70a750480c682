//! What the words in the lines of a tunnel mean, for who asks: `cause=` where it is down, `code=` where a route is refused at
//! the other end. The causes of a record are not repeated here.

/// A word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it is written. It never changes meaning.
    pub code: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// How it comes about.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// Where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `cause=` of a tunnel that is down.
    Down,
    /// `code=` of a route that is refused at the other end.
    Refused,
}

const fn down(code: &'static str, meaning: &'static str, why: &'static str, remedy: &'static str) -> Word {
    Word { code, place: Place::Down, meaning, why, remedy }
}

const fn refused(code: &'static str, meaning: &'static str, why: &'static str, remedy: &'static str) -> Word {
    Word { code, place: Place::Refused, meaning, why, remedy }
}

/// Whom to ask for the whole way.
const WALK: &str = "Ask for the whole way: loopgate explain tunnel:NAME.";

/// Every word.
pub const WORDS: &[Word] = &[
    down(
        "key_unknown_there",
        "The other end does not know this machine's key.",
        "It lets in only the keys of its own file.",
        "Add the lines that are logged to its file; a reload is enough.",
    ),
    down(
        "wrong_key",
        "The other end has proven another key than `public_key` here.",
        "It was set up anew, its name means another machine, or somebody is between.",
        "Compare with `loopgate tunnel key --public` there.",
    ),
    down(
        "not_loopgate",
        "Something else listens there.",
        "The host or the port in `connect` is that of another service, or a proxy on the way reads TLS.",
        WALK,
    ),
    down(
        "version",
        "The other end speaks no version of the tunnel protocol that is spoken here.",
        "One of the two programs is much older, or it is a server of something else.",
        WALK,
    ),
    down(
        "in_use",
        "Another machine is connected with the same key.",
        "A key was copied from one machine to another; the one that is connected stays.",
        "Make a key on each machine, and list both there. It is tried again every 30 s.",
    ),
    down(
        "stopping",
        "The other end stops, or starts anew.",
        "It has said so.",
        "Nothing: it is dialled again when it has said it will be back.",
    ),
    down(
        "revoked",
        "The other end has taken this machine's key out of its file.",
        "It has said so, and ended what the key held.",
        "Ask who runs it.",
    ),
    down(
        "overload",
        "The other end has too many connections now, or too fast.",
        "It has said so.",
        "Nothing: it is dialled again after a pause. If it stays, look at the log there.",
    ),
    down(
        "replaced",
        "A newer connection of this machine's key has taken over.",
        "The one before it no longer answered, or the same process has dialled again.",
        "Nothing, unless two processes here have one key.",
    ),
    down(
        "no_session",
        "The other end does not know the tunnel to which a connection belongs.",
        "The tunnel has ended there meanwhile.",
        "Nothing: it is dialled anew.",
    ),
    down(
        "key_withdrawn",
        "This file no longer has the key of the other end, or another one of this machine.",
        "The configuration was read anew.",
        "Nothing, if that was meant.",
    ),
    down("lost", "The connection broke.", "The other end or something on the way has closed it.", WALK),
    down(
        "handshake",
        "What the other end sent is no handshake that can be finished.",
        "It is damaged or changed on the way, or no Loopgate.",
        WALK,
    ),
    down(
        "protocol",
        "The other end broke the rules of the tunnel protocol.",
        "It is no Loopgate, or one with a bug; the line says which rule.",
        "Bring both programs up to date, and report it.",
    ),
    down(
        "no_random_number",
        "The system gives no random numbers.",
        "getrandom(2) fails, as in a sandbox that forbids it.",
        "Permit the system call.",
    ),
    down(
        "other",
        "The other end has ended it for a reason that this version does not know.",
        "It is a newer version; its words follow.",
        "Look at the log there.",
    ),
    refused(
        "not_permitted",
        "The other end does not permit the address.",
        "`may_listen` there is empty by default.",
        "Write the line that is logged into the file there.",
    ),
    refused(
        "taken",
        "Something at the other end has the address.",
        "A route there, another tunnel or another program; which, only that machine is told.",
        "Ask there: loopgate explain PORT --listen. It is tried again every 10 s.",
    ),
    refused(
        "address_not_here",
        "No interface at the other end has the address.",
        "Addresses differ from machine to machine.",
        "Write 0.0.0.0, or an address of that machine.",
    ),
    refused(
        "privileged",
        "The other end has no right to listen there.",
        "Ports below 1024 need a privilege.",
        "Give it the right, or ask for another port.",
    ),
    refused(
        "out_of_resources",
        "The other end has no descriptors or memory left.",
        "Its limits are used up.",
        "Look at its log; it is tried again every 10 s.",
    ),
    refused(
        "too_many",
        "The tunnel has as many listeners there as it may.",
        "`max_listeners` there is 64 by default.",
        "Raise it there, or ask for less.",
    ),
    refused(
        "unsupported",
        "The other end's version cannot listen like that.",
        "It is older than this one.",
        "Bring it up to date.",
    ),
    refused(
        "other",
        "The other end could not listen for another reason.",
        "Only that machine is told.",
        "Look at the log there.",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::dial::fault::every_code;
    use super::*;
    use crate::outcome::Cause;
    use crate::transport::tunnel::message::RefusedCode;

    fn has(place: Place, code: &str) -> bool {
        WORDS.iter().filter(|word| word.place == place && word.code == code).count() == 1
    }

    #[test]
    fn every_word_of_a_state_line_is_explained_once() {
        let causes: Vec<&str> = Cause::ALL.iter().map(|cause| cause.code()).collect();
        for code in every_code().into_iter().filter(|code| !causes.contains(code)) {
            assert!(has(Place::Down, code), "{code}");
        }
        for code in [
            RefusedCode::NotPermitted,
            RefusedCode::Taken,
            RefusedCode::AddressNotHere,
            RefusedCode::Privileged,
            RefusedCode::OutOfResources,
            RefusedCode::TooMany,
            RefusedCode::Unsupported,
            RefusedCode::Other,
        ] {
            let word = serde_json::to_value(code).unwrap();
            assert!(has(Place::Refused, word.as_str().unwrap()), "{word}");
        }
        for word in WORDS {
            assert!([word.meaning, word.why, word.remedy].iter().all(|text| text.ends_with('.')), "{word:?}");
        }
    }
}
