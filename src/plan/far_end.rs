//! What `--tunnel` names: the other end of a tunnel, by a name of the file or by its key.

use std::str::FromStr;

use crate::address::{Host, Run, TargetAddress, TunnelName};
use crate::config::KeyText;
use crate::units::{Misread, quoted};

/// The port that is dialled where none is written.
const PORT: u16 = 4433;

/// The most letters of a tunnel's name.
const MAX_NAME: usize = 64;

/// A value of `--tunnel`.
#[derive(Debug)]
pub(super) enum FarEnd {
    /// `NAME`: a tunnel of the file.
    Named(TunnelName),
    /// `NAME=KEY`: whoever shows this key is let in under this name.
    LetIn(TunnelName, KeyText),
    /// `HOST[:PORT]#KEY`: dialled here, and known by this key.
    Dialled(Run<TargetAddress>, KeyText),
}

/// Whether a value of `--tunnel` means a tunnel of a file, and not one that it describes itself.
pub fn is_tunnel_of_file(text: &str) -> bool {
    !text.contains(['#', '='])
}

impl FromStr for FarEnd {
    type Err = Misread;

    fn from_str(text: &str) -> Result<Self, Misread> {
        // Standard base64 ends in =, so what comes first decides.
        match text.find(['#', '=']).map(|at| (&text[..at], &text[at..])) {
            Some((host, rest)) if rest.starts_with('#') => {
                Ok(FarEnd::Dialled(host_and_port(host)?, rest[1..].parse()?))
            }
            Some((name, rest)) => Ok(FarEnd::LetIn(name.parse()?, rest[1..].parse()?)),
            None => named(text).map(FarEnd::Named),
        }
    }
}

fn host_and_port(text: &str) -> Result<Run<TargetAddress>, Misread> {
    host_with_port(text, PORT)
}

/// The same with this port where none is written.
pub(super) fn host_with_port(text: &str, port: u16) -> Result<Run<TargetAddress>, Misread> {
    if let Some((user, host)) = text.split_once('@') {
        let what = format!("{} is the name of a user, and none is needed", quoted(user));
        return Err(Misread::new(what, format!("write {}#KEY: the key tells who connects", unquoted(host))));
    }
    if text.is_empty() {
        return Err(Misread::new("there is no host before the #", "write HOST#KEY, or HOST:PORT#KEY"));
    }
    let has_port = text.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let is_literal = text.starts_with('[') || text.matches(':').count() < 2;
    match has_port || !is_literal || text.contains("://") {
        true => text.parse(),
        false => format!("{text}:{port}").parse(),
    }
}

/// A name; what is rather a host is told to need a key.
fn named(text: &str) -> Result<TunnelName, Misread> {
    if let Some((_, host)) = text.split_once('@') {
        let what = format!("{} is a login of ssh", quoted(text));
        return Err(Misread::new(what, key_needed(host)));
    }
    if text.contains([':', '[']) || text.parse::<std::net::IpAddr>().is_ok() {
        return Err(Misread::new(format!("{} has no key", quoted(text)), key_needed(text)));
    }
    text.parse()
}

/// What to write in place of a host without a key.
pub(super) fn key_needed(host: &str) -> String {
    format!("write {}#KEY, with what \"loopgate tunnel key --public\" prints there", unquoted(host))
}

fn unquoted(text: &str) -> String {
    quoted(text).trim_matches('"').to_owned()
}

/// What the tunnel to this host is called: as the host up to its first dot, or in full if that has no letter. An address
/// without a letter becomes `ip-192-0-2-7`, one of IPv6 `ip-2001-db8--7`. A name that is taken is numbered.
pub(super) fn name_of(host: &TargetAddress, is_taken: impl Fn(&TunnelName) -> bool) -> Option<TunnelName> {
    let (host, _) = host.net()?;
    let name = match host {
        Host::Name(name) => {
            let first = name.split('.').next().unwrap_or_default();
            let first = if has_letter(first) { first } else { name };
            Some(first.chars().take(MAX_NAME).collect::<String>()).filter(|name| has_letter(name))
        }
        Host::Ip(_) | Host::Zoned(..) => None,
    };
    let name = name.unwrap_or_else(|| {
        let text = host.to_string();
        let plain =
            text.trim_matches(['[', ']']).chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        "ip-".chars().chain(plain).take(MAX_NAME).collect()
    });
    let short: String = name.chars().take(MAX_NAME - 4).collect();
    let numbered = (2..1000).map(|number: u16| format!("{short}-{number}"));
    let names = std::iter::once(name).chain(numbered).filter_map(|name| name.parse().ok());
    names.into_iter().find(|name| !is_taken(name))
}

fn has_letter(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
    const STANDARD: &str = "ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

    /// What is meant, and the name that a tunnel to it has.
    fn read(text: &str) -> String {
        let key = |key: KeyText| if key.0.to_string() == KEY { "KEY".to_owned() } else { key.0.to_string() };
        match text.replace("STANDARD", STANDARD).replace("KEY", KEY).parse() {
            Ok(FarEnd::Named(name)) => format!("file {name}"),
            Ok(FarEnd::LetIn(name, of)) => format!("lets in {name} {}", key(of)),
            Ok(FarEnd::Dialled(to, of)) => {
                let name = name_of(to.first(), |_| false).unwrap();
                format!("dials {to} {} as {name}", key(of))
            }
            Err(misread) => misread.to_string(),
        }
    }

    #[test]
    fn the_other_end_is_a_name_of_the_file_a_host_with_its_key_or_a_name_for_a_key() {
        for (text, meant) in [
            ("vps", "file vps"),
            ("vps.example.com", "file vps.example.com"),
            ("home=KEY", "lets in home KEY"),
            ("home=STANDARD", "lets in home KEY"),
            ("vps.example.com#KEY", "dials vps.example.com:4433 KEY as vps"),
            ("vps.example.com#STANDARD", "dials vps.example.com:4433 KEY as vps"),
            ("vps.example.com:443#KEY", "dials vps.example.com:443 KEY as vps"),
            ("localhost#KEY", "dials localhost:4433 KEY as localhost"),
            ("8.example.com#KEY", "dials 8.example.com:4433 KEY as 8.example.com"),
            ("192.0.2.7#KEY", "dials 192.0.2.7:4433 KEY as ip-192-0-2-7"),
            ("192.0.2.7:443#KEY", "dials 192.0.2.7:443 KEY as ip-192-0-2-7"),
            ("[2001:db8::7]#KEY", "dials [2001:db8::7]:4433 KEY as ip-2001-db8--7"),
            ("[2001:db8::7]:443#KEY", "dials [2001:db8::7]:443 KEY as ip-2001-db8--7"),
            ("[fe80::1%eth0]#KEY", "dials [fe80::1%eth0]:4433 KEY as ip-fe80--1-eth0"),
        ] {
            assert_eq!(read(text), meant, "{text}");
        }
    }

    #[test]
    fn what_names_no_other_end_is_answered_with_what_to_write() {
        for (text, words) in [
            (
                "vps.example.com:4433",
                "\"vps.example.com:4433\" has no key; write vps.example.com:4433#KEY, with what",
            ),
            ("192.0.2.7", "\"192.0.2.7\" has no key; write 192.0.2.7#KEY"),
            ("root@vps", "\"root@vps\" is a login of ssh; write vps#KEY"),
            ("root@vps#KEY", "\"root\" is the name of a user, and none is needed; write vps#KEY"),
            ("#KEY", "there is no host before the #"),
            ("2001:db8::7#KEY", "\"2001:db8::7\" is an IPv6 address without brackets"),
            ("https://vps#KEY", "\"https://vps\" is a URL"),
            ("0.0.0.0#KEY", "0.0.0.0 means every address when listening"),
            ("=KEY", "\"\" cannot name a tunnel"),
            ("8080=KEY", "the name of a tunnel has a letter in it"),
            ("a b", "\"a b\" cannot name a tunnel"),
            ("vps#abc", ""),
            ("vps#", ""),
        ] {
            let told = read(text);
            assert!(told.starts_with(words) && told.contains("; "), "{text}: {told}");
        }
        assert!(!read("vps#ed25519:c2VjcmV0").contains("c2VjcmV0"), "it may be a private key");
    }

    #[test]
    fn a_name_that_the_file_has_is_numbered() {
        let taken = ["vps", "vps-2"];
        let to: Run<TargetAddress> = "vps.example.com:4433".parse().unwrap();

        let name = name_of(to.first(), |name| taken.contains(&name.as_str()));

        assert_eq!(name.unwrap().as_str(), "vps-3");
    }
}
