//! The proxy of a tunnel's connections, as written (`proxy_url`) and as it is used.

use serde::Deserialize;

use super::environment::Environment;
use super::url::ProxyUrl;
use crate::address::TargetAddress;

/// `proxy_url` of a tunnel, but for `"off"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyWord {
    /// `"env"`: what the variables of the environment say.
    Environment,
    /// This one.
    Url(ProxyUrl),
}

impl TryFrom<String> for ProxyWord {
    type Error = String;

    /// No message quotes the text: it may hold a password.
    fn try_from(text: String) -> Result<ProxyWord, String> {
        match text.as_str() {
            "env" => Ok(ProxyWord::Environment),
            _ => ProxyUrl::try_from(text).map(ProxyWord::Url),
        }
    }
}

impl<'de> Deserialize<'de> for ProxyWord {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ProxyWord::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Through which proxy each address is dialled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// Through none.
    #[default]
    Direct,
    /// Through this one.
    Always(ProxyUrl),
    /// Through that of the environment, unless it exempts the address.
    Environment(Environment),
}

impl ProxyChoice {
    /// The proxy of this address; `None` if it is dialled directly.
    pub fn of(&self, to: &TargetAddress) -> Option<&ProxyUrl> {
        match self {
            ProxyChoice::Direct => None,
            ProxyChoice::Always(url) => Some(url),
            ProxyChoice::Environment(environment) => environment.of(to),
        }
    }
}
