//! The names used in TLS: of clients that may connect, of targets, of protocols.

use rustls::pki_types::ServerName;
use serde::Deserialize;

use super::Certificate;

/// The name of a client that may connect, complete or with a wildcard.
///
/// It is compared with each DNS name, URI and mail address of the certificate, or with its common name if there are
/// none. `*.example.com` matches exactly one label, as in RFC 9525; in `spiffe://mesh/*` and `*@example.com` the `*`
/// matches any text, but never an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName(String);

impl TryFrom<String> for ClientName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let stars = text.matches('*').count();
        let placed = text.starts_with("*.") || text.starts_with("*@") || text.ends_with("/*");
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

/// The name or address that a target's certificate must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetName(pub ServerName<'static>);

impl TryFrom<String> for TargetName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |_| {
            format!(
                "{text:?} is no name a certificate can have\nwrite a host, as db.example.com, or an address, without a port"
            )
        };
        ServerName::try_from(text.clone()).map(TargetName).map_err(wrong)
    }
}

impl<'de> Deserialize<'de> for TargetName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TargetName::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
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
        certificate.names().any(|name| self.is(name))
    }

    fn is(&self, name: &str) -> bool {
        let wanted = self.0.as_str();
        if let Some(domain) = wanted.strip_prefix("*.") {
            return name.split_once('.').is_some_and(|(label, rest)| {
                !label.is_empty() && !label.contains('*') && rest.eq_ignore_ascii_case(domain)
            });
        }
        if let Some(domain) = wanted.strip_prefix("*@") {
            let parts = name.rsplit_once('@');
            return parts.is_some_and(|(user, host)| !user.is_empty() && host.eq_ignore_ascii_case(domain));
        }
        if let Some(path) = wanted.strip_suffix('*') {
            return name.strip_prefix(path).is_some_and(|rest| !rest.is_empty());
        }
        // Host names ignore case; paths and the part before an @ do not, but no two addresses differ in case alone in
        // practice.
        if wanted.contains("://") { name == wanted } else { name.eq_ignore_ascii_case(wanted) }
    }
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

    #[test]
    fn a_star_elsewhere_is_refused() {
        for wrong in ["", "*", "a*.example.com", "*.*.com", "db.*", "*.", "/*"] {
            assert!(ClientName::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
