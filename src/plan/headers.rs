//! What a route does with PROXY headers, from its own keys and the defaults.

use std::sync::Arc;
use std::time::Duration;

use super::draft::Draft;
use super::merge::{pick, time};
use crate::acl::{Listed, Networks};
use crate::address::ListenAddress;
use crate::config::{Problem, Settings, Written};
use crate::proxy_protocol::{HeaderRules, SendProxy, Sender, Senders};

/// The protocol's specification asks for at least 3 s (section 2), so that a lost segment can be sent again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The rules. A route's own list replaces that of the defaults, even if it is empty.
pub(super) fn rules(own: &Settings, defaults: &Settings) -> HeaderRules {
    let list = own.accept_proxy.as_ref().or(defaults.accept_proxy.as_ref());
    HeaderRules {
        accept: list.map_or_else(Senders::default, |list| senders(list)),
        patience: time(&own.accept_proxy_timeout, &defaults.accept_proxy_timeout, PATIENCE),
        send: pick(&own.send_proxy, &defaults.send_proxy).and_then(SendProxy::form),
    }
}

pub(super) fn senders(list: &[Written<Sender>]) -> Senders {
    let listed = list.iter().filter_map(|entry| match &entry.value {
        Sender::Listed(listed) => Some(listed),
        Sender::Unix => None,
    });
    let networks: Networks = listed.flat_map(Listed::networks).collect();
    Senders {
        networks: (networks.count() > 0).then(|| Arc::new(networks)).into_iter().collect(),
        unix: list.iter().any(|entry| entry.value == Sender::Unix),
    }
}

/// Adds a problem for each key about headers that can have no effect in the route.
pub(super) fn check(draft: &Draft, defaults: &Settings, problems: &mut Vec<Problem>) {
    let own = &draft.settings;
    let entries = || own.accept_proxy.iter().flatten();
    if let Some(entry) = entries().find(|entry| matches!(entry.value, Sender::Listed(Listed::File(_)))) {
        let what = "proxies cannot be listed in a file: they decide which address a client has";
        let problem = Problem::new(entry.place.clone(), draft.key("accept_proxy"), what);
        problems.push(problem.help("write the networks here"));
    }
    let on_unix = draft.listen.iter().any(|it| matches!(it.value.first(), ListenAddress::Unix(_)));
    if let Some(entry) = entries().find(|entry| entry.value == Sender::Unix && !on_unix) {
        let what = "\"unix\" is for clients of Unix sockets, and the route listens on none";
        let problem = Problem::new(entry.place.clone(), draft.key("accept_proxy"), what);
        problems.push(problem.help("leave it out, or list the addresses of the proxies"));
    }
    let list = own.accept_proxy.as_ref().or(defaults.accept_proxy.as_ref());
    let waits_for_none = list.is_none_or(Vec::is_empty);
    if let Some(written) = own.accept_proxy_timeout.as_ref().filter(|_| waits_for_none) {
        let what = "no header is expected: accept_proxy lists no proxies";
        let problem = Problem::new(written.place.clone(), draft.key("accept_proxy_timeout"), what);
        problems.push(
            problem.help("add accept_proxy = [\"127.0.0.1\"], with the proxies' addresses, or leave it out"),
        );
    }
}
