//! `[tunnel]` and `[tunnels.NAME]` → the tunnels of the plan, each key of theirs checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::draft::Draft;
use super::files::Files;
use super::headers::senders;
use super::merge::pick;
use super::own_key::OwnKeys;
use super::resolved::{Desk, resolved};
use super::{Invited, RouteName, Templates, Tunnel, Tunnels, congestion, link_proxy, written_link};
use crate::acl::{May, Permits};
use crate::address::{ListenAddress, Protocol, TargetAddress};
use crate::config::{KeyText, NamedFile, Settings, Written, WrittenTunnel, WrittenTunnelOf};
use crate::transport::tunnel::identity::{PrivateKey, PublicKey};
use crate::transport::tunnel::pairing::Invite;
use crate::transport::{BindPolicy, Congestion, CongestionChoice};

const PING: Duration = Duration::from_secs(10);
const POOL: usize = 2;
const MAX_CONNECTIONS: usize = 10_000;
const MAX_LISTENERS: usize = 64;
const MAX_FLOWS: usize = 4096;

/// How long a visitor of a route that another end asked for waits for a target that is down: the tunnel may be about to
/// come back.
const WAIT_FOR_TARGET: Duration = Duration::from_secs(5);

/// The tunnels, and the files with their keys.
pub(super) fn tunnels(
    own: &WrittenTunnel,
    written: Vec<WrittenTunnelOf>,
    desk: &mut Desk<'_, '_>,
) -> (Tunnels, Vec<NamedFile>) {
    written_link::check_own(own, &written, desk.problems);
    let mut keys = OwnKeys::default();
    let own_key = own_key(own, &written, &mut keys, desk);
    written_link::check_public_keys(&written, own_key.as_deref(), desk.problems);
    let mut links = BTreeMap::new();
    for of in written {
        let name = of.name.clone();
        if let Some(link) = link(of, own_key.as_ref(), &mut keys, desk) {
            links.insert(name, Arc::new(link));
        }
    }
    let listen: Vec<ListenAddress> =
        own.listen.iter().flatten().map(|written| written.value.first().clone()).collect();
    let accept_proxy = own.accept_proxy.as_deref().map(senders).unwrap_or_default();
    let private_key = own_key.filter(|_| !listen.is_empty());
    let loopback = Congestion::chosen(&CongestionChoice::Auto, desk.host);
    let datagrams = pick(&own.datagrams, &None).unwrap_or_default();
    let tunnels = Tunnels { listen, private_key, accept_proxy, loopback, datagrams, links };
    (tunnels, keys.files().collect())
}

/// The key of `[tunnel]`, where anything needs it: a listener, or a tunnel that connects and has none of its own.
fn own_key(
    own: &WrittenTunnel,
    written: &[WrittenTunnelOf],
    keys: &mut OwnKeys,
    desk: &mut Desk<'_, '_>,
) -> Option<Arc<PrivateKey>> {
    if let Some(named) = &own.private_key {
        return keys.named(named, "tunnel.private_key", desk.files, desk.problems);
    }
    let listens = own.listen.iter().flatten().next().map(|first| &first.place);
    let needs = |of: &&WrittenTunnelOf| of.keys.connect.is_some() && of.keys.private_key.is_none();
    let place = listens.or_else(|| written.iter().find(needs).map(|of| &of.place))?;
    keys.found(place, desk.files, desk.problems)
}

fn link(
    of: WrittenTunnelOf,
    own_key: Option<&Arc<PrivateKey>>,
    keys: &mut OwnKeys,
    desk: &mut Desk<'_, '_>,
) -> Option<Tunnel> {
    let proxy = link_proxy::proxy(&of, desk.problems);
    let WrittenTunnelOf { name, path, keys: written, .. } = of;
    let key = |key: &str| format!("{path}.{key}");
    congestion::check(&written.congestion, || key("congestion"), desk.problems);
    written_link::check_permits(&path, &written, desk.problems);
    written_link::check_invite(&path, &written, desk.problems);
    let private_key = match &written.private_key {
        Some(named) => keys.named(named, &key("private_key"), desk.files, desk.problems),
        None => own_key.cloned(),
    };
    if written.private_key.is_some() {
        written_link::check_not_own(&path, &written.public_key, private_key.as_deref(), desk.problems);
    }
    let invited = invited(&written.invite, desk.files);
    let connect: Vec<TargetAddress> =
        written.connect.iter().flatten().map(|written| written.value.first().clone()).collect();
    let templates = templates(RouteName(name.as_str().into()), &path, &written.defaults, desk);
    let control = pick(&written.congestion, &None).unwrap_or_default();
    let is_auto = control == CongestionChoice::Auto;
    let count = |count: &Option<Written<usize>>, else_: usize| count.as_ref().map_or(else_, |it| it.value);
    Some(Tunnel {
        name,
        connect,
        proxy,
        private_key: private_key?,
        public_keys: public_keys(&written.public_key, &invited)?,
        invited,
        may_listen: permits(&written.may_listen),
        may_dial: permits(&written.may_dial),
        trust_client: pick(&written.trust_client, &None).unwrap_or(true),
        max_connections: count(&written.max_connections, MAX_CONNECTIONS),
        max_listeners: count(&written.max_listeners, MAX_LISTENERS),
        max_flows: count(&written.max_flows, MAX_FLOWS),
        ping: written.ping.as_ref().map_or(PING, |ping| ping.value.0),
        pool: count(&written.pool, POOL),
        // Without a host's default to replace, only a name is left.
        congestion: Congestion::chosen(&control, None),
        loopback: if is_auto { Congestion::chosen(&control, desk.host) } else { Congestion::default() },
        templates: templates?,
    })
}

/// The keys, of which an invited end has none.
fn public_keys(written: &Option<Vec<Written<KeyText>>>, invited: &Option<Invited>) -> Option<Vec<PublicKey>> {
    let keys = written.as_ref().map(|list| list.iter().map(|key| key.value.0).collect());
    keys.or(invited.as_ref().map(|_| Vec::new()))
}

fn invited(written: &Option<Written<Invite>>, files: &Files<'_>) -> Option<Invited> {
    let Written { value, place } = written.as_ref()?;
    Some(Invited { invite: value.clone(), file: files.of(place)?.to_owned() })
}

fn permits(written: &Option<Vec<Written<May>>>) -> Permits {
    written.iter().flatten().map(|may| may.value.clone()).collect()
}

/// The routes that the other end asks for, but for their names, addresses and targets.
fn templates(name: RouteName, path: &str, defaults: &Settings, desk: &mut Desk<'_, '_>) -> Option<Templates> {
    let path = format!("{path}.defaults");
    written_link::check_defaults(&path, defaults, desk.problems);
    let mut template = |protocol| {
        let draft = Draft {
            name: name.clone(),
            path: path.clone(),
            listen: Vec::new(),
            targets: Vec::new(),
            hello: None,
            protocol,
            // What is dialled is at the other end.
            proxy: None,
            settings: defaults.clone(),
        };
        let known = desk.problems.len();
        let mut route = resolved(draft, desk)?;
        // Files are read once, and their faults told once: both protocols share the settings.
        if protocol == Protocol::Udp {
            desk.problems.truncate(known);
        }
        // One address that is taken must not close the others.
        route.bind = BindPolicy::Retry;
        if pick(&defaults.wait_for_target, &desk.defaults.wait_for_target).is_none() {
            route.dial.wait_for_target = WAIT_FOR_TARGET;
        }
        Some(Arc::new(route))
    };
    let (tcp, udp) = (template(Protocol::Tcp), template(Protocol::Udp));
    Some(Templates { tcp: tcp?, udp: udp? })
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
