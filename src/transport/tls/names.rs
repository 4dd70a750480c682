//! The names used in TLS: of clients that may connect, of protocols.

use serde::Deserialize;

use super::Certificate;

/// The name of a client that may connect, complete or with a wildcard.
///
/// It has a kind, which its form shows, and is compared with the names of that kind in the certificate: DNS names, mail
/// addresses or URIs; with its common name only if the certificate has no list of alternative names. `*.example.com`
/// matches exactly one label, as in RFC 9525; in `spiffe://mesh/*` and `*@example.com` the `*` matches any text, but
/// never an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName(String);

/// The kind of a name in a certificate (RFC 5280, 4.2.1.6).
#[derive(Clone, Copy, PartialEq, Eq)]
enum NameKind {
    Dns,
    Mail,
    Uri,
}

impl NameKind {
    /// No DNS name has a colon or an @, and no mail address in use a colon.
    fn of(text: &str) -> NameKind {
        match text {
            _ if text.contains(':') => NameKind::Uri,
            _ if text.contains('@') => NameKind::Mail,
            _ => NameKind::Dns,
        }
    }
}

impl TryFrom<String> for ClientName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let stars = text.matches('*').count();
        let placed = match NameKind::of(&text) {
            NameKind::Dns => text.starts_with("*.") && !text.contains('/'),
            NameKind::Mail => text.starts_with("*@") && text.matches('@').count() == 1,
            NameKind::Uri => text.ends_with("/*"),
        };
        if text.is_empty() {
            return Err("the name is empty".into());
        }
        if stars > 1 || (stars == 1 && !placed) {
            return Err(format!(
                "{text:?} has a * where none can stand\nwrite *.example.com, *@example.com or spiffe://mesh/*"
            ));
        }
        if text.len() == 2 && stars == 1 {
            return Err(
                "would admit every client\nleave client_names out to take every certificate of client_ca"
                    .into(),
            );
        }
        Ok(ClientName(text))
    }
}

impl<'de> Deserialize<'de> for ClientName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ClientName::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The name of a protocol (ALPN, RFC 7301), such as `h2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alpn(pub String);

impl<'de> Deserialize<'de> for Alpn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match name.len() {
            1..=255 => Ok(Alpn(name)),
            0 => Err(serde::de::Error::custom(
                "the name of a protocol is empty\nwrite one, as \"h2\" or \"http/1.1\"",
            )),
            _ => Err(serde::de::Error::custom("the name of a protocol is longer than 255 bytes")),
        }
    }
}

impl ClientName {
    /// Whether it matches one of the names of `certificate`.
    pub(super) fn fits(&self, certificate: &Certificate) -> bool {
        let names = match NameKind::of(&self.0) {
            NameKind::Dns => &certificate.dns,
            NameKind::Mail => &certificate.emails,
            NameKind::Uri => &certificate.uris,
        };
        names.iter().map(String::as_str).chain(certificate.sole_name()).any(|name| self.is(name))
    }

    /// Whether it matches a name of its own kind, or a common name, which may hold any text.
    fn is(&self, name: &str) -> bool {
        let wanted = self.0.as_str();
        match NameKind::of(wanted) {
            NameKind::Dns => match wanted.strip_prefix("*.") {
                Some(domain) => name
                    .split_once('.')
                    .is_some_and(|(label, rest)| is_label(label) && rest.eq_ignore_ascii_case(domain)),
                None => name.eq_ignore_ascii_case(wanted),
            },
            // The part before the @ may differ in case alone, but no two addresses do in practice.
            NameKind::Mail => match wanted.strip_prefix("*@") {
                Some(domain) => name
                    .rsplit_once('@')
                    .is_some_and(|(user, host)| is_user(user) && host.eq_ignore_ascii_case(domain)),
                None => name.eq_ignore_ascii_case(wanted),
            },
            NameKind::Uri => match wanted.strip_suffix('*') {
                Some(start) => name.strip_prefix(start).is_some_and(|rest| !rest.is_empty()),
                None => name == wanted,
            },
        }
    }
}

/// One label of a host's name, with the underscore that some have (RFC 2181, 11).
fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// What may stand before the @ of a mail address that is not in quotes (RFC 5321, 4.1.2).
fn is_user(text: &str) -> bool {
    let is_odd = |it: char| it.is_whitespace() || it.is_control() || "@\"(),:;<>[]\\".contains(it);
    !text.is_empty() && !text.contains(is_odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(wanted: &str, name: &str) -> bool {
        ClientName::try_from(wanted.to_owned()).unwrap().is(name)
    }

    #[test]
    fn a_whole_name_is_that_name_alone() {
        assert!(fits("Db.example.com", "db.EXAMPLE.com"));
        assert!(!fits("db.example.com", "a.db.example.com") && !fits("example.com", "xexample.com"));
        assert!(
            fits("spiffe://mesh/api", "spiffe://mesh/api") && !fits("spiffe://mesh/api", "spiffe://mesh/API")
        );
    }

    #[test]
    fn a_wildcard_stands_for_one_label_and_never_for_nothing() {
        assert!(fits("*.example.com", "db.example.com"));
        assert!(!fits("*.example.com", "a.db.example.com") && !fits("*.example.com", ".example.com"));
        assert!(!fits("*.example.com", "example.com") && !fits("*.example.com", "*.example.com"));
        assert!(fits("*@example.com", "me@example.com") && !fits("*@example.com", "@example.com"));
        assert!(fits("spiffe://mesh/*", "spiffe://mesh/a/b") && !fits("spiffe://mesh/*", "spiffe://mesh/"));
    }

    /// A certificate without names.
    fn nameless() -> Certificate {
        Certificate {
            version: 3,
            common_name: String::new(),
            dns: Vec::new(),
            uris: Vec::new(),
            emails: Vec::new(),
            has_alternative_names: true,
            has_name_constraints: false,
            from: 0,
            until: 0,
        }
    }

    #[test]
    fn a_name_is_compared_with_names_of_its_kind_alone() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let certificate = Certificate {
            dns: names(&["a.dns.example", "odd/label.dns.example"]),
            emails: names(&["me@mail.example", "me@a.dns.example"]),
            uris: names(&["spiffe://mesh/a.dns.example", "https://me@mail.example"]),
            ..nameless()
        };
        let fits = |wanted: &str| ClientName::try_from(wanted.to_owned()).unwrap().fits(&certificate);

        for right in
            ["a.dns.example", "*.dns.example", "*@mail.example", "spiffe://mesh/*", "me@A.dns.example"]
        {
            assert!(fits(right), "{right}");
        }
        for wrong in
            ["*.a.dns.example", "*.mail.example", "mail.example", "me@mail.example.com", "odd.dns.example"]
        {
            assert!(!fits(wrong), "{wrong}");
        }
        let odd = Certificate { dns: names(&["odd/label.dns.example", "a b.dns.example"]), ..nameless() };
        assert!(!ClientName::try_from("*.dns.example".to_owned()).unwrap().fits(&odd));
        let uris =
            Certificate { uris: names(&["https://me@mail.example", "https://x.dns.example"]), ..nameless() };
        for wanted in ["*@mail.example", "*.dns.example"] {
            assert!(!ClientName::try_from(wanted.to_owned()).unwrap().fits(&uris), "{wanted}");
        }
    }

    #[test]
    fn a_common_name_counts_only_without_any_list_of_names() {
        let with = |common_name: &str, has_alternative_names| Certificate {
            common_name: common_name.to_owned(),
            has_alternative_names,
            ..nameless()
        };
        let fits = |wanted: &str, certificate: &Certificate| {
            ClientName::try_from(wanted.to_owned()).unwrap().fits(certificate)
        };

        for wanted in ["db.example.com", "*.example.com"] {
            assert!(
                fits(wanted, &with("db.example.com", false)) && !fits(wanted, &with("db.example.com", true))
            );
        }
        assert!(fits("Alice Smith", &with("Alice Smith", false)));
        assert!(!fits("*.example.com", &with("anyone I like.example.com", false)));
        assert!(!fits("*@example.com", &with("Mallory <m@example.com", false)));
    }

    #[test]
    fn a_star_elsewhere_is_refused() {
        for wrong in [
            "",
            "*",
            "a*.example.com",
            "*.*.com",
            "db.*",
            "*.",
            "/*",
            "a/*",
            "*.a/b",
            "*.a@b",
            "*@a@b",
            "*.a:1",
        ] {
            assert!(ClientName::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
