//! Reasons of RESET ⇄ ends of sessions: the records of both ends say the same word, as far as the list of reasons has it.

use std::sync::Arc;

use crate::outcome::{Cause, Denial, End, Limit, Side};
use crate::relay::broken::reset_by;
use crate::transport::tunnel::frame::Reason;
use crate::transport::tunnel::message::Failed;
use crate::units::shown;

/// The longest text of the other end in a record, in characters.
const LONGEST_WORDS: usize = 200;

/// The reason that is sent for this end of a session.
pub fn reason_of(end: End) -> Reason {
    match end {
        End::ClientReset | End::TargetReset | End::ClientGone | End::Done => Reason::Reset,
        End::ClientLost => Reason::ClientLost,
        // To the other end a target that a further tunnel has lost is a lost target.
        End::TargetLost | End::TunnelLost => Reason::TargetLost,
        End::NoTarget(_) => Reason::NoTarget,
        End::NoName => Reason::NoName,
        End::Denied(_) => Reason::Denied,
        End::BadHeader => Reason::BadHeader,
        End::Limited(_) => Reason::Limited,
        End::SlowClient => Reason::SlowClient,
        End::TlsFailed => Reason::TlsFailed,
        End::Idle => Reason::Idle,
        End::Expired => Reason::Expired,
        End::Evicted => Reason::Evicted,
        End::Revoked => Reason::Revoked,
        End::Killed => Reason::Killed,
        End::Drained => Reason::Drained,
        End::Internal => Reason::Internal,
    }
}

/// The end of a session that the other end of the carrier has reset for this reason; the carrier is its connection of `side`.
/// And the text for the record, where our own for that end would speak of settings here.
pub fn end_of(reason: Reason, side: Side) -> (End, Option<Arc<str>>) {
    let there = |what: &str| Some(format!("{what} at the other end of the tunnel").into());
    match reason {
        Reason::Reset => (reset_by(side), None),
        Reason::ClientLost => (End::ClientLost, None),
        Reason::TargetLost => (End::TargetLost, None),
        Reason::NoTarget => (End::NoTarget(Cause::TunnelRefused), there("no target was reached")),
        Reason::NoName => (End::NoName, there("no target is for the name that it asked for")),
        Reason::Denied => (End::Denied(Denial::Unlisted), there("it may not connect")),
        Reason::BadHeader => (End::BadHeader, there("it did not begin with the PROXY header that is wanted")),
        Reason::Limited => (End::Limited(Limit::Connections), there("a limit was reached")),
        Reason::SlowClient => (End::SlowClient, there("it was too slow")),
        // Of an opener it may be TLS with the target.
        Reason::TlsFailed if side == Side::Client => (End::TlsFailed, there("TLS of the session failed")),
        Reason::TlsFailed => (End::TlsFailed, there("TLS with it failed")),
        Reason::Idle => (End::Idle, there("idle_timeout")),
        Reason::Expired => (End::Expired, there("max_session_age")),
        Reason::Evicted => (End::Evicted, there("its place was needed")),
        Reason::Revoked => (End::Revoked, there("a key or a permission was withdrawn")),
        Reason::Killed => (End::Killed, there("it was ended by hand")),
        Reason::Drained => (End::Drained, there("Loopgate was stopped")),
        Reason::Internal => (End::Internal, there("a bug ended it")),
        Reason::Impaired => (reset_by(side), there("an impairment of the route ended it")),
        Reason::Protocol => {
            let words = "the other end of the tunnel found that this one broke its rules";
            (End::TunnelLost, Some(words.into()))
        }
    }
}

/// The end of a session whose target the other end could not reach, as the content of FAILED says; and the text for the
/// record.
pub fn no_target(content: &[u8]) -> (End, Option<Arc<str>>) {
    let Ok(Failed { cause, words }) = serde_json::from_slice(content) else {
        return (End::NoTarget(Cause::Other(0)), None);
    };
    let cause = Cause::ALL.into_iter().find(|it| it.code() == cause).unwrap_or(Cause::Other(0));
    let words = (!words.is_empty()).then(|| shown(&words, LONGEST_WORDS).into());
    (End::NoTarget(cause), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_the_other_end_says_the_same_word() {
        // These are said by another word, as the list of reasons has none.
        let others = [(End::Done, "client_reset"), (End::ClientGone, "client_reset")];
        for end in End::ALL {
            let side = if end == End::TargetReset { Side::Target } else { Side::Client };
            let told = end_of(reason_of(end), side).0.code();
            let expected = match end {
                End::TunnelLost => "target_lost",
                _ => others.iter().find(|it| it.0 == end).map_or(end.code(), |it| it.1),
            };
            assert_eq!(told, expected, "{}", end.code());
        }
    }

    #[test]
    fn a_target_that_was_not_reached_there_is_told_with_its_cause() {
        let told = no_target(br#"{"cause":"timed_out","words":"a firewall \u001b[31m"}"#);
        assert_eq!(told.0, End::NoTarget(Cause::TimedOut));
        assert!(!told.1.unwrap().contains('\u{1b}'));
        assert_eq!(no_target(br#"{"cause":"of the future"}"#), (End::NoTarget(Cause::Other(0)), None));
        assert_eq!(no_target(b"no json"), (End::NoTarget(Cause::Other(0)), None));
    }
}
