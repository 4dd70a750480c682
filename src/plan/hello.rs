//! Where the clients of a route go by what they say first: by the names and protocols of TLS clients, or as none of them.

use std::ops::Range;
use std::time::Duration;

use super::merge::time;
use crate::client_hello::{Choice, Name};
use crate::config::{Place, Settings, WrittenHello, WrittenTarget};

/// RFC 8446 has a client send its hello at once.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Some of a route's targets: their places among all of them.
pub type Among = Range<usize>;

/// What a hello chooses among a route's targets. Who has none of them is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloRules {
    /// By protocol and by name.
    pub choice: Choice<Among>,
    /// For TLS clients of whom `choice` says nothing.
    pub others: Option<Among>,
    /// For clients that speak no TLS.
    pub not_tls: Option<Among>,
    /// How long a client may take for its hello; more than zero.
    pub timeout: Duration,
}

/// The same before it is known whether it fits.
pub(super) struct Draft {
    names: Vec<(Name, Among)>,
    protocols: Vec<(Box<[u8]>, Among)>,
    others: Option<Among>,
    not_tls: Option<Among>,
    /// The keys there are.
    pub(super) keys: Vec<(&'static str, Place)>,
}

/// Adds the targets of a hello to those of all others; `None` where the route says nothing of hellos.
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
    /// Each list of targets among which one is chosen.
    pub(super) fn lists(&self) -> impl Iterator<Item = Among> {
        let named = self.names.iter().map(|(_, among)| among);
        let spoken = self.protocols.iter().map(|(_, among)| among);
        self.others.iter().chain(named).chain(spoken).chain(&self.not_tls).cloned()
    }
}

/// What the route says, and the time it or the defaults give.
pub(super) fn rules(draft: Draft, own: &Settings, defaults: &Settings) -> HelloRules {
    HelloRules {
        choice: Choice::new(draft.names, draft.protocols),
        others: draft.others,
        not_tls: draft.not_tls,
        timeout: time(&own.hello_timeout, &defaults.hello_timeout, HELLO_TIMEOUT),
    }
}
