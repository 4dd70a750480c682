//! Why the other end of a tunnel was not reached, or why it no longer is.

use std::fmt;

use super::super::control::ControlEnd;
use super::proxy_fault::ProxyFault;
use crate::outcome::Cause;
use crate::transport::tunnel::carrier::Broken;
use crate::transport::tunnel::identity::HandshakeFault;
use crate::transport::tunnel::line::{Dialled, HandshakeFailed, Line};
use crate::transport::tunnel::message::{Bye, ByeCode};
use crate::units::shown;

/// The most characters that are shown of what the other end says.
const MAX_WORDS: usize = 200;

/// Why a connection was not made, or has ended.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The name was not found, or no address of it answered.
    Unreached(Cause),
    /// The proxy on the way made no connection.
    Proxy(Box<ProxyFault>),
    /// The handshake failed.
    Handshake(HandshakeFault),
    /// The other end has said goodbye.
    Bye(Bye),
    /// It has not answered the handshake in time.
    Unshaken,
    /// It has answered no question, or not in time.
    Silent,
    /// The connection broke.
    Broken(Broken),
    /// It broke the rules.
    Protocol(String),
    /// Our key was taken from this tunnel, or its own: nothing is dialled with it any more.
    Withdrawn,
    /// No random number could be had.
    NoDice,
}

impl Fault {
    /// The word of a state line. It never changes meaning.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Fault::Unreached(cause) => cause.code(),
            Fault::Proxy(fault) => fault.code(),
            Fault::Handshake(fault) => of_handshake(fault),
            Fault::Bye(bye) => of_bye(bye.code),
            Fault::Unshaken | Fault::Silent => "timed_out",
            Fault::Broken(_) => "lost",
            Fault::Protocol(_) => "protocol",
            Fault::Withdrawn => "key_withdrawn",
            Fault::NoDice => "no_random_number",
        }
    }

    /// The result of the dial that it ended, as it is counted.
    fn dialled(&self) -> Dialled {
        match self {
            Fault::Unreached(Cause::NoAddress) => Dialled::NoAddress,
            Fault::Unreached(Cause::Refused) => Dialled::Refused,
            Fault::Unreached(Cause::TimedOut) | Fault::Unshaken | Fault::Silent => Dialled::TimedOut,
            Fault::Unreached(Cause::Unreachable) => Dialled::Unreachable,
            Fault::Proxy(fault) => fault.dialled(),
            Fault::Handshake(_) => Dialled::Handshake,
            Fault::Bye(_) => Dialled::Bye,
            _ => Dialled::Other,
        }
    }

    /// Why the handshake failed, if that is what failed, as it is counted.
    fn handshake_failed(&self) -> Option<HandshakeFailed> {
        let fault = match self {
            Fault::Handshake(fault) => fault,
            Fault::Unshaken => return Some(HandshakeFailed::TimedOut),
            _ => return None,
        };
        Some(match fault {
            HandshakeFault::UnknownThere => HandshakeFailed::UnknownThere,
            HandshakeFault::WrongKey(_) => HandshakeFailed::WrongKey,
            HandshakeFault::NotLoopgate | HandshakeFault::NotTls(_) => HandshakeFailed::NotLoopgate,
            HandshakeFault::Version => HandshakeFailed::Version,
            _ => HandshakeFailed::Other,
        })
    }

    /// Whether the other end has said that it will be back.
    pub(crate) fn is_announced(&self) -> bool {
        matches!(self, Fault::Bye(Bye { code: ByeCode::Stopping, retry_ms: Some(_), .. }))
    }

    /// When the other end wants to be dialled again, in milliseconds.
    pub(crate) fn retry_ms(&self) -> Option<u32> {
        match self {
            Fault::Bye(Bye { retry_ms: Some(asked), .. }) => Some(*asked),
            Fault::Bye(Bye { code: ByeCode::InUse, .. }) => Some(IN_USE_RETRY_MS),
            _ => None,
        }
    }
}

/// Counts how a dial went, of a control or a carrier.
pub(crate) fn count(line: &Line, fault: Option<&Fault>) {
    let numbers = line.numbers();
    numbers.dials(fault.map_or(Dialled::Up, Fault::dialled)).add(1);
    if let Some(why) = fault.and_then(Fault::handshake_failed) {
        numbers.handshakes_failed(why).add(1);
    }
}

/// When a key that is in use elsewhere is tried again, if the other end does not say.
const IN_USE_RETRY_MS: u32 = 30_000;

fn of_bye(code: ByeCode) -> &'static str {
    match code {
        ByeCode::Stopping => "stopping",
        ByeCode::Revoked => "revoked",
        ByeCode::InUse => "in_use",
        ByeCode::Version => "version",
        ByeCode::Overload => "overload",
        ByeCode::Protocol => "protocol",
        ByeCode::Replaced => "replaced",
        ByeCode::NoSession => "no_session",
        ByeCode::Other => "other",
    }
}

fn of_handshake(fault: &HandshakeFault) -> &'static str {
    match fault {
        HandshakeFault::UnknownThere => "key_unknown_there",
        HandshakeFault::WrongKey(_) => "wrong_key",
        HandshakeFault::NotLoopgate | HandshakeFault::NotTls(_) => "not_loopgate",
        HandshakeFault::Version => "version",
        HandshakeFault::Gone { .. } | HandshakeFault::Io(_) => "lost",
        _ => "handshake",
    }
}

/// What to do about a cause, where it is not the target of a route that was dialled.
fn remedy(cause: Cause) -> &'static str {
    match cause {
        Cause::Refused => "nothing accepts there: start Loopgate there, or correct `connect`",
        Cause::TimedOut => "no answer: a firewall drops, the machine is off, or name servers do not answer",
        cause => cause.remedy(),
    }
}

/// What follows the state line; empty where the word says it all.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unreached(cause) => f.write_str(remedy(*cause)),
            Fault::Proxy(fault) => fault.fmt(f),
            Fault::Handshake(fault) => fault.fmt(f),
            Fault::Bye(bye) => f.write_str(&shown(&bye.words, MAX_WORDS)),
            Fault::Unshaken | Fault::Silent => f.write_str("it does not answer"),
            Fault::Broken(broken) => broken.fmt(f),
            Fault::Protocol(why) => write!(f, "it broke the rules: {}", shown(why, MAX_WORDS)),
            Fault::Withdrawn => f.write_str("its key is no longer in the configuration"),
            Fault::NoDice => f.write_str("the system gives no random numbers"),
        }
    }
}

impl From<ProxyFault> for Fault {
    fn from(fault: ProxyFault) -> Fault {
        Fault::Proxy(Box::new(fault))
    }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Fault {
        match broken {
            Broken::Protocol(why) => Fault::Protocol(why),
            Broken::Closed | Broken::Io(_) | Broken::Tls(_) => Fault::Broken(broken),
        }
    }
}

impl From<ControlEnd> for Fault {
    fn from(end: ControlEnd) -> Fault {
        match end {
            ControlEnd::Bye(bye) => Fault::Bye(bye),
            ControlEnd::Dead => Fault::Silent,
            ControlEnd::Broken(broken) => broken.into(),
            ControlEnd::Protocol(why) => Fault::Protocol(why),
            ControlEnd::Ordered => Fault::Withdrawn,
        }
    }
}

/// The word of every fault that is none of a record's.
#[cfg(test)]
pub(crate) fn every_code() -> Vec<&'static str> {
    let byes = [
        ByeCode::Stopping,
        ByeCode::Revoked,
        ByeCode::InUse,
        ByeCode::Version,
        ByeCode::Overload,
        ByeCode::Protocol,
        ByeCode::Replaced,
        ByeCode::NoSession,
        ByeCode::Other,
    ];
    let key = crate::transport::tunnel::identity::PublicKey::of_bytes([9; 32]);
    let handshakes = [
        HandshakeFault::UnknownThere,
        HandshakeFault::NotLoopgate,
        HandshakeFault::Version,
        HandshakeFault::Gone { said: 0 },
        HandshakeFault::NoKey,
    ];
    let handshakes = handshakes.into_iter().chain(key.map(HandshakeFault::WrongKey)).map(Fault::Handshake);
    let others =
        [Fault::Broken(Broken::Closed), Fault::Protocol(String::new()), Fault::Withdrawn, Fault::NoDice];
    let all = handshakes.chain(others).map(|fault| fault.code());
    byes.map(of_bye).into_iter().chain(all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tunnel::identity::PublicKey;

    fn bye(code: ByeCode, retry_ms: Option<u32>) -> Fault {
        Fault::Bye(Bye { code, words: "\u{1b}[2J".into(), retry_ms })
    }

    #[test]
    fn a_fault_has_a_word_and_says_what_to_do_about_the_other_end() {
        let words = |fault: Fault| format!("{} {fault}", fault.code());

        assert_eq!(
            words(Fault::Unreached(Cause::Refused)),
            "refused nothing accepts there: start Loopgate there, or correct `connect`"
        );
        assert_eq!(
            words(Fault::Handshake(HandshakeFault::UnknownThere)),
            "key_unknown_there it does not know this machine's key"
        );
        assert!(!words(bye(ByeCode::InUse, None)).contains('\u{1b}'));
        assert_eq!(bye(ByeCode::InUse, None).code(), "in_use");
    }

    #[test]
    fn each_dial_is_counted_by_its_result_and_each_handshake_by_why_it_failed() {
        let line = Line::default();
        let wrong = PublicKey::of_bytes([9; 32]).unwrap();
        let handshakes = [
            (HandshakeFault::UnknownThere, HandshakeFailed::UnknownThere),
            (HandshakeFault::WrongKey(wrong), HandshakeFailed::WrongKey),
            (HandshakeFault::NotLoopgate, HandshakeFailed::NotLoopgate),
            (HandshakeFault::NotTls("SSH-".into()), HandshakeFailed::NotLoopgate),
            (HandshakeFault::Version, HandshakeFailed::Version),
            (HandshakeFault::Gone { said: 0 }, HandshakeFailed::Other),
        ];
        let reasons = handshakes.each_ref().map(|(_, why)| *why);
        for (fault, _) in handshakes {
            count(&line, Some(&Fault::Handshake(fault)));
        }
        for fault in [
            None,
            Some(Fault::Unreached(Cause::NoAddress)),
            Some(Fault::Unreached(Cause::Refused)),
            Some(Fault::Unreached(Cause::Unreachable)),
            Some(Fault::Unshaken),
            Some(Fault::Silent),
            Some(bye(ByeCode::InUse, None)),
            Some(Fault::NoDice),
        ] {
            count(&line, fault.as_ref());
        }

        let dials = Dialled::ALL.map(|result| line.numbers().dials(result).get());
        assert_eq!(dials, [1, 1, 1, 2, 1, 0, 6, 1, 1]);
        for why in HandshakeFailed::ALL {
            let times = reasons.iter().filter(|it| **it == why).count() as u64;
            let times = times + u64::from(why == HandshakeFailed::TimedOut);
            assert_eq!(line.numbers().handshakes_failed(why).get(), times, "{why:?}");
        }
    }

    #[test]
    fn a_key_in_use_is_tried_again_in_half_a_minute_and_an_end_that_starts_anew_when_it_says() {
        assert_eq!(bye(ByeCode::InUse, None).retry_ms(), Some(30_000));
        assert_eq!(bye(ByeCode::Stopping, Some(500)).retry_ms(), Some(500));
        assert_eq!(bye(ByeCode::Stopping, None).retry_ms(), None);

        assert!(bye(ByeCode::Stopping, Some(500)).is_announced());
        assert!(
            ![bye(ByeCode::Stopping, None), bye(ByeCode::InUse, Some(1)), Fault::Silent]
                .iter()
                .any(Fault::is_announced)
        );
    }
}
