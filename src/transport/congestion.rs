//! The congestion control of sockets on loopback.
//!
//! BBR, the default of many servers, paces: a timer releases each segment, on loopback as on any network, where it only
//! costs. There the kernel's `reno` moves twice the bytes and spends half the time. Whatever may lead to another machine
//! keeps the host's choice: a listener on every address, too, since its clients inherit from it.
//!
//! It is set before the handshake. On a connection the old control's pacing would stay: nothing takes it from a socket
//! (net/ipv4/tcp_bbr.c sets `sk_pacing_status`, and no control clears it).

use std::fmt;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::str::FromStr;
use std::sync::Arc;

use rustix::net::sockopt::set_tcp_congestion;
use serde::{Deserialize, Deserializer};

use crate::probe::system::congestion::host_default;
use crate::units::{Misread, from_text, quoted};

/// What is chosen in place of a control that paces. Every kernel has it, and every process may set it unless the
/// administrator forbids it, which is not so for `cubic` (tcp_allowed_congestion_control).
const UNPACED: &str = "reno";

/// The longest name in bytes: TCP_CA_NAME_MAX of net/tcp.h, minus the terminating zero.
const LONGEST: usize = 15;

/// Whether a control paces: `bbr` is the only one of Linux that asks for it (SK_PACING_NEEDED), and those outside its tree
/// that do are named after it, as `bbr2`, `bbr3` and `bbrplus`.
pub fn paces(control: &str) -> bool {
    control.starts_with("bbr")
}

/// What the configuration says (`congestion`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CongestionChoice {
    /// One that does not pace, if the host's default does.
    #[default]
    Auto,
    /// The host's default.
    Off,
    /// This one.
    Named(Arc<str>),
}

/// What sockets on loopback get in place of the host's default; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Congestion(Option<Arc<str>>);

impl Congestion {
    /// What is set by this choice where `host` is the host's default; `None` if that is unknown.
    pub fn chosen(choice: &CongestionChoice, host: Option<&str>) -> Congestion {
        Congestion(match choice {
            CongestionChoice::Auto => host.filter(|host| paces(host)).map(|_| UNPACED.into()),
            CongestionChoice::Off => None,
            CongestionChoice::Named(name) => Some(name.clone()),
        })
    }

    /// The name of the control; `None` leaves the host's.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The control for a connection with `ip` at one end.
    fn of(&self, ip: IpAddr) -> Option<&str> {
        self.name().filter(|_| ip.to_canonical().is_loopback())
    }

    /// Sets the control of a socket that is about to connect to `ip`, or to listen there: accepted sockets inherit it
    /// (net/ipv4/tcp_minisocks.c, tcp_ca_openreq_child).
    ///
    /// Nothing is told if the kernel refuses: a name was tried when the plan was made, and without the control the
    /// connection is only slower.
    pub(crate) fn set_up(&self, socket: impl AsFd, ip: IpAddr) {
        if let Some(name) = self.of(ip) {
            let _ = set_tcp_congestion(socket, name);
        }
    }

    /// Whether a listener on `ip` gets another control than the host's.
    pub(crate) fn concerns(&self, ip: IpAddr) -> bool {
        self.of(ip).is_some()
    }

    /// Does the same with a listening socket that was given a control before; clients of its queue keep that one. Such a
    /// socket no longer follows the host's default by itself, nor can it be made to again, so that default is set by name.
    pub(crate) fn set_up_again(&self, socket: impl AsFd, ip: IpAddr) {
        match self.of(ip) {
            Some(_) => self.set_up(socket, ip),
            None => {
                let _ = host_default().map(|host| set_tcp_congestion(socket, &host));
            }
        }
    }
}

impl FromStr for CongestionChoice {
    type Err = Misread;

    /// Reads `"auto"`, `"off"` or the name of a control; whether the kernel has it is asked later.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let wrong = |what: &str, instead: &str| Misread::new(format!("{} {what}", quoted(text)), instead);
        let names = "write a name as in /proc/sys/net/ipv4/tcp_available_congestion_control";
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" if text == "auto" => Ok(CongestionChoice::Auto),
            "off" if text == "off" => Ok(CongestionChoice::Off),
            "auto" | "on" | "yes" | "true" | "default" => {
                Err(wrong("is not the name of a congestion control", "write \"auto\", or leave it out"))
            }
            "off" | "no" | "none" | "false" | "never" | "disabled" | "host" | "system" => {
                Err(wrong("does not switch it off", "write \"off\" to leave loopback the host's own"))
            }
            _ if text.bytes().any(|byte| byte.is_ascii_whitespace()) && !text.trim().contains(' ') => {
                Err(wrong("has a space beside the name", &format!("write {}", quoted(text.trim()))))
            }
            _ if text.is_empty()
                || text.len() > LONGEST
                || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) =>
            {
                Err(wrong(
                    "is not the name of a congestion control",
                    &format!("{names}, \"auto\" or \"off\""),
                ))
            }
            _ => Ok(CongestionChoice::Named(text.into())),
        }
    }
}

impl fmt::Display for CongestionChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CongestionChoice::Auto => f.write_str("auto"),
            CongestionChoice::Off => f.write_str("off"),
            CongestionChoice::Named(name) => name.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for CongestionChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "\"auto\", \"off\" or the name of a congestion control", |number| {
            Misread::new(
                format!("{number} is not the name of a congestion control"),
                r#"write "auto", "off" or a name, as "cubic""#,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(choice: &str, host: &str) -> Option<String> {
        let choice = choice.parse().unwrap();
        Congestion::chosen(&choice, Some(host).filter(|host| !host.is_empty())).name().map(str::to_owned)
    }

    #[test]
    fn only_where_the_host_paces_is_another_control_chosen() {
        for host in ["bbr", "bbr1", "bbr2", "bbr3", "bbrplus"] {
            assert_eq!(chosen("auto", host).as_deref(), Some("reno"), "{host}");
        }
        for host in ["reno", "cubic", "dctcp", "westwood", "vegas", ""] {
            assert_eq!(chosen("auto", host), None, "{host}");
        }
        assert_eq!((chosen("off", "bbr"), chosen("cubic", "reno")), (None, Some("cubic".into())));
    }

    #[test]
    fn only_loopback_addresses_get_it() {
        let congestion = Congestion::chosen(&CongestionChoice::Auto, Some("bbr"));

        for ip in ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(congestion.of(ip.parse().unwrap()), Some("reno"), "{ip}");
        }
        for ip in ["0.0.0.0", "::", "::ffff:0.0.0.0", "192.0.2.1", "::ffff:192.0.2.1", "fe80::1", "128.0.0.1"]
        {
            assert_eq!(congestion.of(ip.parse().unwrap()), None, "{ip}");
        }
    }

    #[test]
    fn what_looks_like_a_control_or_a_word_is_answered() {
        let said = |text: &str| text.parse::<CongestionChoice>().unwrap_err().to_string();

        assert_eq!(said("cubic "), "\"cubic \" has a space beside the name; write \"cubic\"");
        assert!(said("Auto").ends_with("write \"auto\", or leave it out"));
        assert!(said("none").contains("write \"off\""));
        for text in ["", "a b", "reno,cubic", "a_name_of_16_byte", "bbr\u{301}", "\u{202e}"] {
            assert!(said(text).contains("tcp_available_congestion_control"), "{text:?}");
        }
    }
}
