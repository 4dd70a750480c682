//! Why a proxy made no connection to the other end, in words and with what to do.

use std::fmt;
use std::io::ErrorKind;

use crate::outcome::Cause;
use crate::transport::proxied::{Answered, Proxied, Refusal};
use crate::transport::tunnel::line::Dialled;

/// A proxy that makes no connection. It has no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyFault {
    /// The proxy.
    pub(crate) proxy: String,
    /// What it was asked for.
    pub(crate) to: String,
    pub(crate) why: Why,
}

/// Why it makes none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was not reached itself.
    Unreached(Cause),
    /// It was reached, and answers nothing.
    Silent,
    /// It answered something else than a connection, or closed.
    Refused(Refusal),
}

impl ProxyFault {
    pub(super) fn unreached(proxied: &Proxied, cause: Cause) -> ProxyFault {
        ProxyFault::new(proxied, Why::Unreached(cause))
    }

    pub(super) fn silent(proxied: &Proxied) -> ProxyFault {
        ProxyFault::new(proxied, Why::Silent)
    }

    pub(super) fn refused(proxied: &Proxied, refusal: Refusal) -> ProxyFault {
        ProxyFault::new(proxied, Why::Refused(refusal))
    }

    fn new(proxied: &Proxied, why: Why) -> ProxyFault {
        ProxyFault { proxy: proxied.url().to_string(), to: proxied.to().to_string(), why }
    }

    /// What the proxy said about the other end, where that is why: it is willing, and does not reach it.
    pub(crate) fn about_target(&self) -> Option<Cause> {
        let Why::Refused(refusal) = &self.why else { return None };
        match refusal.kind {
            ErrorKind::ConnectionRefused => Some(Cause::Refused),
            ErrorKind::TimedOut => Some(Cause::TimedOut),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Some(Cause::Unreachable),
            _ => None,
        }
    }

    /// The word of a state line. It never changes meaning.
    pub(crate) fn code(&self) -> &'static str {
        match (&self.why, self.about_target()) {
            (_, Some(cause)) => cause.code(),
            (Why::Unreached(_) | Why::Silent, _) => "proxy_down",
            (Why::Refused(_), _) => "proxy_refused",
        }
    }

    pub(super) fn dialled(&self) -> Dialled {
        match self.about_target() {
            Some(Cause::Refused) => Dialled::Refused,
            Some(Cause::TimedOut) => Dialled::TimedOut,
            Some(Cause::Unreachable) => Dialled::Unreachable,
            _ => Dialled::Proxy,
        }
    }

    /// What to do about it; empty where the words say it.
    pub(crate) fn help(&self) -> &'static str {
        match &self.why {
            Why::Unreached(Cause::NoAddress) => "its name has no address: correct `proxy_url`",
            Why::Unreached(_) => "start it, or correct `proxy_url`",
            Why::Silent => "a firewall drops, or it is none: see `proxy_url`",
            // Their words say what to write.
            Why::Refused(Refusal { answered: Some(Answered::Status(407)), .. }) => "",
            Why::Refused(Refusal {
                answered: Some(Answered::Status(403 | 405) | Answered::Reply(2)),
                ..
            }) => {
                "many proxies allow no port but 443: have the other end listen there, or have this port allowed"
            }
            Why::Refused(_) if self.about_target().is_some() => {
                "see `connect`, and whether the other end runs"
            }
            Why::Refused(_) => "",
        }
    }
}

impl ProxyFault {
    /// Which proxy, and what is wrong with it.
    pub(crate) fn words(&self) -> String {
        let proxy = &self.proxy;
        match &self.why {
            Why::Unreached(cause) => format!("the proxy {proxy} cannot be connected to ({})", cause.code()),
            Why::Silent => format!("the proxy {proxy} does not answer when asked for {}", self.to),
            Why::Refused(refusal) => format!("the proxy {proxy} {refusal}"),
        }
    }

    /// The status of its answer, if it speaks HTTP and has answered.
    pub(crate) fn status(&self) -> Option<u16> {
        match &self.why {
            Why::Refused(Refusal { answered: Some(Answered::Status(status)), .. }) => Some(*status),
            _ => None,
        }
    }
}

/// With what to do.
impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())?;
        match self.help() {
            "" => Ok(()),
            help => write!(f, ": {help}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Run, TargetAddress};
    use crate::transport::proxied::ProxyUrl;

    fn proxied() -> Proxied {
        let to = "vps.example.com:4433".parse::<Run<TargetAddress>>().unwrap().first().clone();
        Proxied::new(to, ProxyUrl::try_from("http://me:SECRET@proxy:3128".to_owned()).unwrap())
    }

    fn answered(kind: ErrorKind, answered: Answered) -> ProxyFault {
        let words = "does not allow this connection".to_owned();
        ProxyFault::refused(&proxied(), Refusal { answered: Some(answered), kind, words })
    }

    #[test]
    fn a_fault_names_the_proxy_without_its_password_and_says_what_to_do() {
        let unreached = ProxyFault::unreached(&proxied(), Cause::Refused);
        assert_eq!(
            format!("{} {unreached}", unreached.code()),
            "proxy_down the proxy http://***@proxy:3128 cannot be connected to (refused): start it, or correct `proxy_url`"
        );
        let silent = ProxyFault::silent(&proxied());
        assert_eq!(silent.code(), "proxy_down");
        assert!(silent.to_string().contains("when asked for vps.example.com:4433"), "{silent}");
        let forbidden = answered(ErrorKind::PermissionDenied, Answered::Status(403));
        assert_eq!(forbidden.code(), "proxy_refused");
        assert!(forbidden.to_string().contains("no port but 443"), "{forbidden}");
        for fault in [&unreached, &silent, &forbidden] {
            assert!(!format!("{fault} {fault:?}").contains("SECRET"));
        }
    }

    #[test]
    fn what_the_proxy_says_about_the_other_end_has_the_word_of_that() {
        for (kind, code, dialled) in [
            (ErrorKind::ConnectionRefused, "refused", Dialled::Refused),
            (ErrorKind::TimedOut, "timed_out", Dialled::TimedOut),
            (ErrorKind::HostUnreachable, "unreachable", Dialled::Unreachable),
            (ErrorKind::Unsupported, "proxy_refused", Dialled::Proxy),
        ] {
            let fault = answered(kind, Answered::Reply(5));
            assert_eq!((fault.code(), fault.dialled()), (code, dialled));
        }
    }
}
