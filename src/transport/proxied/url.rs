//! `proxy_url`: where a proxy is, what it speaks, and who we are to it.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::socks5::LONGEST_LOGIN;
use crate::address::{Run, TargetAddress};

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Speaks {
    /// RFC 1928.
    Socks5,
    /// RFC 9110, section 9.3.6.
    Http,
}

/// The address of a proxy. Its password is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl {
    pub(super) speaks: Speaks,
    pub(in crate::transport) at: TargetAddress,
    pub(super) login: Option<Arc<Login>>,
}

/// The user and the password.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Login {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

const WRITE: &str =
    "write socks5://HOST:PORT or http://HOST:PORT, with user:password@ before the host if it asks for one";

impl TryFrom<String> for ProxyUrl {
    type Error = String;

    /// No message quotes the text: it may hold a password.
    fn try_from(text: String) -> Result<ProxyUrl, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("it does not say what the proxy speaks\n{WRITE}"));
        };
        let speaks = match scheme.to_ascii_lowercase().as_str() {
            // Names are always looked up by the proxy, which is what the h stands for.
            "socks5" | "socks5h" => Speaks::Socks5,
            "http" => Speaks::Http,
            "https" => return Err(format!("TLS with a proxy is not supported\n{WRITE}")),
            "socks" | "socks4" | "socks4a" => {
                return Err(format!("only version 5 of SOCKS is supported\n{WRITE}"));
            }
            _ => return Err(format!("a proxy that speaks this is not supported\n{WRITE}")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, host) = match rest.rsplit_once('@') {
            Some((login, host)) => (Some(Arc::new(read_login(login, speaks)?)), host),
            None => (None, rest),
        };
        if host.contains(['/', '?', '#']) {
            return Err(format!("nothing can stand behind the port\n{WRITE}"));
        }
        let is_written =
            host.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        let at = host.parse::<Run<TargetAddress>>().ok().filter(|_| is_written);
        match at {
            Some(run) if run.count() == 1 && run.first().net().is_some_and(|(_, port)| port > 0) => {
                Ok(ProxyUrl { speaks, at: run.first().clone(), login })
            }
            _ => Err(format!("it names no host and port\n{WRITE}")),
        }
    }
}

fn read_login(text: &str, speaks: Speaks) -> Result<Login, String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let read = |text: &str| {
        decoded(text).ok_or_else(|| {
            "a % in the user or password is not followed by two digits\nwrite %25 for a %, %40 for an @, %3A for a :"
                .to_owned()
        })
    };
    let login = Login { user: read(user)?, password: read(password)? };
    let is_long = login.user.len() > LONGEST_LOGIN || login.password.len() > LONGEST_LOGIN;
    if login.user.is_empty() || speaks == Speaks::Socks5 && (is_long || login.password.is_empty()) {
        return Err(format!(
            "the user and the password of SOCKS5 have 1 to {LONGEST_LOGIN} bytes, and the user of HTTP is not empty\n{WRITE}"
        ));
    }
    if speaks == Speaks::Http && login.user.contains(&b':') {
        return Err(format!("the user of HTTP has no :\n{WRITE}"));
    }
    Ok(login)
}

/// A text without its percent signs (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                (digit(high)? << 4 | digit(low)?) as u8
            }
            (b'%', _) => return None,
            (other, _) => *other,
        });
    }
    Some(bytes)
}

impl<'de> Deserialize<'de> for ProxyUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ProxyUrl::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.speaks == Speaks::Socks5 { "socks5" } else { "http" };
        let login = if self.login.is_some() { "***@" } else { "" };
        write!(f, "{scheme}://{login}{}", self.at)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ProxyUrl, String> {
        ProxyUrl::try_from(text.to_owned())
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (text, shown) in [
            ("socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
            ("SOCKS5H://me:s%40cret@proxy:1080/", "socks5://***@proxy:1080"),
            ("http://me@[::1]:3128", "http://***@[::1]:3128"),
        ] {
            let url = read(text).unwrap();
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
        }
        let login = read("socks5://me:s%40c:ret@proxy:1").unwrap().login.unwrap();
        assert_eq!((&login.user[..], &login.password[..]), (&b"me"[..], &b"s@c:ret"[..]));
    }

    #[test]
    fn other_forms_are_told_what_to_write_and_never_quoted() {
        for wrong in [
            "127.0.0.1:1080",
            "https://me:SECRET@proxy:1",
            "socks4://me:SECRET@proxy:1",
            "ftp://me:SECRET@proxy:1",
            "socks5://me:SECRET@proxy",
            "socks5://me:SECRET@:1",
            "socks5://me:SECRET@proxy:0",
            "socks5://me:SECRET@proxy:1-3",
            "socks5://me:SECRET@proxy:1/x",
            "socks5://me:SECRET%@proxy:1",
            "socks5://me@proxy:1",
            "socks5://:SECRET@proxy:1",
            "http://a%3Ab:SECRET@proxy:1",
            "socks5://unix:/SECRET",
        ] {
            let told = read(wrong).unwrap_err();
            assert!(told.contains("write ") && !told.contains("SECRET"), "{wrong}: {told}");
        }
    }
}
