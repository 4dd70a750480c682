//! The proxy that the environment names, as curl(1) and most other programs read it.
//!
//! A tunnel is TLS, so `HTTPS_PROXY` is the one, and `ALL_PROXY` where that is not set; the names in lower case come first.
//! `HTTP_PROXY` is for requests without TLS.

use std::ffi::OsString;

use super::no_proxy::NoProxy;
use super::url::ProxyUrl;
use crate::address::TargetAddress;

/// Where the proxy is looked for, in this order.
const NAMES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// Where the addresses are that are dialled without it.
const EXEMPT: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// What the environment says about proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    url: Option<ProxyUrl>,
    exempt: NoProxy,
}

impl Environment {
    /// What these variables say; an empty one counts as not set.
    ///
    /// # Errors
    /// The name of the variable whose value is no proxy, and what is wrong with it, without a word of it: it may hold a
    /// password.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Environment, (&'static str, String)> {
        let first = |names: &[&'static str]| {
            let set =
                names.iter().find_map(|name| Some((*name, variable(name).filter(|it| !it.is_empty())?)));
            set.map(|(name, text)| text.into_string().map(|text| (name, text)).map_err(|_| name))
        };
        let url = match first(&NAMES) {
            None => None,
            Some(Err(name)) => return Err((name, "its value is no text".into())),
            Some(Ok((name, text))) => Some(with_scheme(text).try_into().map_err(|what| (name, what))?),
        };
        let exempt = match first(&EXEMPT) {
            Some(Ok((_, text))) => text.parse().unwrap_or_default(),
            Some(Err(name)) => return Err((name, "its value is no text".into())),
            None => NoProxy::default(),
        };
        Ok(Environment { url, exempt })
    }

    /// The proxy of this address; `None` if there is none, or the address is exempt.
    pub fn of(&self, to: &TargetAddress) -> Option<&ProxyUrl> {
        self.url.as_ref().filter(|_| !self.exempt.has(to))
    }
}

/// A proxy without a scheme speaks HTTP there.
fn with_scheme(text: String) -> String {
    if text.contains("://") { text } else { format!("http://{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Run;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, (&'static str, String)> {
        Environment::read(|name| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value))
        })
    }

    fn shown(variables: &[(&str, &str)], to: &str) -> Option<String> {
        let to = to.parse::<Run<TargetAddress>>().unwrap().first().clone();
        read(variables).unwrap().of(&to).map(ToString::to_string)
    }

    #[test]
    fn the_variables_are_read_in_the_order_of_other_programs() {
        let all = [
            ("HTTP_PROXY", "http://plain:1"),
            ("ALL_PROXY", "socks5h://me:secret@all:4"),
            ("HTTPS_PROXY", "upper:3"),
            ("https_proxy", "http://lower:2/"),
        ];
        let of = |variables: &[(&str, &str)]| shown(variables, "vps:4433");

        assert_eq!(of(&all).as_deref(), Some("http://lower:2"));
        assert_eq!(of(&all[..3]).as_deref(), Some("http://upper:3"));
        assert_eq!(of(&all[..2]).as_deref(), Some("socks5://***@all:4"));
        assert_eq!((of(&all[..1]), of(&[])), (None, None));
        assert_eq!(of(&[("https_proxy", ""), ("HTTPS_PROXY", "x:1")]).as_deref(), Some("http://x:1"));
    }

    #[test]
    fn an_address_that_is_exempt_is_dialled_directly() {
        let with = |exempt| [("ALL_PROXY", "p:1"), ("NO_PROXY", exempt)];

        assert_eq!(shown(&with("other, .vps.example.com"), "vps.example.com:4433"), None);
        assert!(shown(&with("ps.example.com"), "vps.example.com:4433").is_some());
        let both = [("ALL_PROXY", "p:1"), ("NO_PROXY", "*"), ("no_proxy", "other")];
        assert!(shown(&both, "vps:1").is_some(), "the one in lower case counts");
    }

    #[test]
    fn a_variable_that_is_no_proxy_is_named_and_its_value_is_not() {
        for wrong in ["https://me:SECRET@proxy:1", "me:SECRET@proxy", "SECRET"] {
            let (name, told) = read(&[("HTTPS_PROXY", wrong)]).unwrap_err();
            assert!(name == "HTTPS_PROXY" && !told.contains("SECRET") && told.contains("write "), "{told}");
        }
    }
}
