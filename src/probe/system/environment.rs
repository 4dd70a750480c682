//! The proxy variables in this process's environment, which clients started from the same shell share. Their values are
//! never shown.

use std::net::IpAddr;

/// The proxy variables that are set, and the exceptions to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// The names of the variables that send requests to a proxy.
    pub set: Vec<&'static str>,
    /// The text of the exceptions; empty where there are none.
    exceptions: String,
}

const NAMES: [&str; 6] = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

impl Proxies {
    /// Reads this process's environment.
    pub fn read() -> Proxies {
        Proxies::of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn of(value: impl Fn(&str) -> Option<String>) -> Proxies {
        let set = NAMES.into_iter().filter(|name| value(name).is_some()).collect();
        let exceptions = [value("no_proxy"), value("NO_PROXY")].into_iter().flatten().collect::<Vec<_>>();
        Proxies { set, exceptions: exceptions.join(",") }
    }

    /// Whether clients that honour the variables would send requests for this host to the proxy. The host is its
    /// address or the name it was addressed by.
    pub fn capture(&self, ip: IpAddr, name: Option<&str>) -> bool {
        let excepted = |entry: &str| {
            let entry = entry.trim().trim_start_matches("*.").trim_start_matches('.');
            let host = entry.trim_matches(['[', ']']);
            entry == "*"
                || host.parse() == Ok(ip)
                || within(host, ip)
                || name.is_some_and(|name| {
                    !host.is_empty() && (name == host || name.ends_with(&format!(".{host}")))
                })
        };
        !self.set.is_empty() && !self.exceptions.split([',', ' ']).any(excepted)
    }
}

/// Whether a network such as `127.0.0.0/8`, which many programs understand, contains an address.
fn within(network: &str, ip: IpAddr) -> bool {
    let Some((first, length)) = network.split_once('/') else { return false };
    match (first.parse(), length.parse::<u8>()) {
        (Ok(first), Ok(length)) => crate::probe::network::routing::covers(Some((first, length)), ip),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(exceptions: &str, name: Option<&str>) -> bool {
        let proxies = Proxies::of(|variable| match variable {
            "http_proxy" => Some("http://user:secret@10.0.0.1:3128".to_owned()),
            "no_proxy" => Some(exceptions.to_owned()),
            _ => None,
        });
        assert!(!format!("{proxies:?}").contains("secret"));
        proxies.capture("127.0.0.1".parse().unwrap(), name)
    }

    #[test]
    fn an_exception_for_the_address_or_its_name_frees_it() {
        assert!(captured("", None));
        assert!(captured("localhost,.local", None));
        assert!(!captured("localhost, 127.0.0.1", None));
        assert!(!captured("localhost", Some("localhost")));
        assert!(!captured("127.0.0.0/8", None));
        assert!(!captured("*", None));
        assert!(!Proxies::default().capture("127.0.0.1".parse().unwrap(), None));
    }
}
