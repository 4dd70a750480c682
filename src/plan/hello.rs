//! Which targets the clients of a route are sent to by their first bytes: by the name and the protocols that a TLS
//! client requests, or as clients that speak no TLS.

use std::ops::Range;
use std::time::Duration;

use super::merge::time;
use crate::client_hello::{Choice, Name};
use crate::config::{Place, Settings, WrittenHello, WrittenTarget};

/// RFC 8446 has the client speak first, so its hello follows the connection without delay.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Some of a route's targets: their indices among all of them.
pub type Among = Range<usize>;

/// How a hello chooses among a route's targets. A client for which it chooses none is reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloRules {
    /// By protocol and by name.
    pub choice: Choice<Among>,
    /// For TLS clients that match nothing in `choice`.
    pub others: Option<Among>,
    /// For clients that speak no TLS.
    pub not_tls: Option<Among>,
    /// How long a client may take for its hello; more than zero.
    pub timeout: Duration,
}

/// The same, before it is checked.
pub(super) struct Draft {
    names: Vec<(Name, Among)>,
    protocols: Vec<(Box<[u8]>, Among)>,
    others: Option<Among>,
    not_tls: Option<Among>,
    /// The keys that are written.
    pub(super) keys: Vec<(&'static str, Place)>,
}

/// Adds the targets that a hello chooses to those of `target`; `None` if the route has no key about hellos.
pub(super) fn draft(written: WrittenHello, targets: &mut Vec<WrittenTarget>) -> Option<Draft> {
    let some = |among: Among| Some(among).filter(|among| !among.is_empty());
    let others = some(0..targets.len());
    let mut add = |more: Vec<WrittenTarget>| {
        let first = targets.len();
        targets.extend(more);
        first..targets.len()
    };
    let WrittenHello { names, alpn, not_tls, keys } = written;
    let names = names.into_iter().map(|(name, more)| (name, add(more))).collect();
    let protocols = alpn.into_iter().map(|(protocol, more)| (protocol, add(more))).collect();
    let not_tls = some(add(not_tls));
    (!keys.is_empty()).then_some(Draft { names, protocols, others, not_tls, keys })
}

impl Draft {
    /// Each list of targets from which a client's target is chosen.
    pub(super) fn lists(&self) -> impl Iterator<Item = Among> {
        let named = self.names.iter().map(|(_, among)| among);
        let spoken = self.protocols.iter().map(|(_, among)| among);
        self.others.iter().chain(named).chain(spoken).chain(&self.not_tls).cloned()
    }
}

/// The rules of the route, with the timeout of the route or of the defaults.
pub(super) fn rules(draft: Draft, own: &Settings, defaults: &Settings) -> HelloRules {
    HelloRules {
        choice: Choice::new(draft.names, draft.protocols),
        others: draft.others,
        not_tls: draft.not_tls,
        timeout: time(&own.hello_timeout, &defaults.hello_timeout, HELLO_TIMEOUT),
    }
}
