//! `[network]`, and `network` of an endpoint, which overrides it key by key.

use std::time::Duration;

use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;
use crate::import::shell::time;
use crate::import::value::{Fields, Taken};

/// realm's defaults, in seconds (src/consts.rs).
const TCP_TIMEOUT: u64 = 5;
const UDP_TIMEOUT: u64 = 30;

/// The keys of `[network]`, or of an endpoint's `network`.
#[derive(Default)]
pub(super) struct Network {
    pub(super) no_tcp: Option<Taken<bool>>,
    pub(super) use_udp: Option<Taken<bool>>,
    ipv6_only: Option<Taken<bool>>,
    tcp_timeout: Option<Taken<u64>>,
    udp_timeout: Option<Taken<u64>>,
    keepalive: Option<Taken<u64>>,
    probes: Option<Taken<u64>>,
    send_mptcp: Option<Taken<bool>>,
    accept_mptcp: Option<Taken<bool>>,
    send_proxy: Option<Taken<bool>>,
    send_proxy_version: Option<Taken<u64>>,
    accept_proxy: Option<Taken<bool>>,
    accept_proxy_timeout: Option<Taken<u64>>,
}

pub(super) fn network(mut fields: Fields, draft: &mut Draft) -> Network {
    let network = Network {
        no_tcp: fields.truth("no_tcp", draft),
        use_udp: fields.truth("use_udp", draft),
        ipv6_only: fields.truth("ipv6_only", draft),
        tcp_timeout: fields.number("tcp_timeout", draft),
        udp_timeout: fields.number("udp_timeout", draft),
        keepalive: fields.number("tcp_keepalive", draft),
        probes: fields.number("tcp_keepalive_probe", draft),
        send_mptcp: fields.truth("send_mptcp", draft),
        accept_mptcp: fields.truth("accept_mptcp", draft),
        send_proxy: fields.truth("send_proxy", draft),
        send_proxy_version: fields.number("send_proxy_version", draft),
        accept_proxy: fields.truth("accept_proxy", draft),
        accept_proxy_timeout: fields.number("accept_proxy_timeout", draft),
    };
    for key in ["zero_copy", "fast_open"] {
        if let Some(taken) = fields.truth(key, draft) {
            draft.idle(&taken.at, "realm has dropped this option; Loopgate uses splice where it is faster");
        }
    }
    unknown(fields, None, draft);
    network
}

impl Network {
    /// These keys, with those of `global` for the missing ones.
    pub(super) fn over(self, global: &Network) -> Network {
        Network {
            no_tcp: self.no_tcp.or_else(|| global.no_tcp.clone()),
            use_udp: self.use_udp.or_else(|| global.use_udp.clone()),
            ipv6_only: self.ipv6_only.or_else(|| global.ipv6_only.clone()),
            tcp_timeout: self.tcp_timeout.or_else(|| global.tcp_timeout.clone()),
            udp_timeout: self.udp_timeout.or_else(|| global.udp_timeout.clone()),
            keepalive: self.keepalive.or_else(|| global.keepalive.clone()),
            probes: self.probes.or_else(|| global.probes.clone()),
            send_mptcp: self.send_mptcp.or_else(|| global.send_mptcp.clone()),
            accept_mptcp: self.accept_mptcp.or_else(|| global.accept_mptcp.clone()),
            send_proxy: self.send_proxy.or_else(|| global.send_proxy.clone()),
            send_proxy_version: self.send_proxy_version.or_else(|| global.send_proxy_version.clone()),
            accept_proxy: self.accept_proxy.or_else(|| global.accept_proxy.clone()),
            accept_proxy_timeout: self.accept_proxy_timeout.or_else(|| global.accept_proxy_timeout.clone()),
        }
    }
}

/// Sets the keys of `network` that belong to a route.
pub(super) fn apply(
    id: RouteId,
    is_udp: bool,
    network: &Network,
    listen: &str,
    whole: &At,
    draft: &mut Draft,
) {
    let or = |taken: &Option<Taken<u64>>, default: u64| match taken {
        Some(taken) => (taken.at.clone(), taken.value),
        None => (whole.clone(), default),
    };
    if is_udp {
        let (at, idle) = or(&network.udp_timeout, UDP_TIMEOUT);
        draft.set(id, &at, "idle_timeout", time(Duration::from_secs(idle)));
        return;
    }
    let (at, connect) = or(&network.tcp_timeout, TCP_TIMEOUT);
    match connect {
        0 => {
            draft.lost(Some(id), &at, "connecting always has a deadline; set connect_timeout, at most \"1h\"")
        }
        _ => draft.set(id, &at, "connect_timeout", time(Duration::from_secs(connect))),
    }
    // realm's [::] accepts IPv4 too, unless ipv6_only is set.
    if listen.starts_with("[::]:") || listen.starts_with("[::0]:") {
        let only = network.ipv6_only.as_ref();
        let at = only.map_or(whole, |only| &only.at);
        draft.set(id, at, "v6only", Toml::Truth(only.is_some_and(|only| only.value)));
    } else if let Some(only) = &network.ipv6_only {
        draft.idle(&only.at, "it applies to a listener on [::] only");
    }
    if let Some(keepalive) = &network.keepalive {
        match keepalive.value {
            0 => draft.idle(&keepalive.at, "0 means the system's default"),
            seconds => draft.set(id, &keepalive.at, "keepalive", time(Duration::from_secs(seconds))),
        }
    }
    if let Some(probes) = &network.probes {
        draft.lost(Some(id), &probes.at, "Loopgate repeats a probe four times, or until user_timeout, which ends a connection whose peer acknowledges nothing");
    }
    for mptcp in [&network.send_mptcp, &network.accept_mptcp].into_iter().flatten() {
        match mptcp.value {
            true => draft.lost(Some(id), &mptcp.at, "there is no multipath TCP"),
            false => draft.idle(&mptcp.at, "there is no multipath TCP"),
        }
    }
    proxied(id, network, draft);
}

/// Notes the TCP keys of an endpoint's own `network`, if the endpoint forwards only UDP.
pub(super) fn datagrams(network: &Network, draft: &mut Draft) {
    let truths = [&network.send_proxy, &network.accept_proxy, &network.send_mptcp, &network.accept_mptcp];
    let numbers = [
        &network.tcp_timeout,
        &network.keepalive,
        &network.probes,
        &network.send_proxy_version,
        &network.accept_proxy_timeout,
    ];
    let truths = truths.into_iter().flatten().map(|taken| &taken.at);
    for at in truths.chain(numbers.into_iter().flatten().map(|taken| &taken.at)) {
        draft.idle(at, "it applies to TCP, and no_tcp is set");
    }
}

fn proxied(id: RouteId, network: &Network, draft: &mut Draft) {
    let is_on = |taken: &Option<Taken<bool>>| taken.as_ref().is_some_and(|taken| taken.value);
    let version = network.send_proxy_version.as_ref().map_or(2, |version| version.value);
    if let Some(send) = network.send_proxy.as_ref().filter(|send| send.value) {
        match version {
            1 | 2 => draft.set(id, &send.at, "send_proxy", Toml::text(format!("v{version}"))),
            _ => draft.lost(Some(id), &send.at, "the PROXY header version must be 1 or 2"),
        }
    } else if let Some(version) = &network.send_proxy_version {
        draft.idle(&version.at, "send_proxy is not set");
    }
    let timeout = network.accept_proxy_timeout.as_ref();
    if let Some(accept) = network.accept_proxy.as_ref().filter(|_| is_on(&network.accept_proxy)) {
        accept_all(id, &accept.at, draft);
        if let Some(timeout) = timeout.filter(|timeout| timeout.value > 0) {
            let limit = time(Duration::from_secs(timeout.value));
            draft.set(id, &timeout.at, "accept_proxy_timeout", limit);
        }
    } else if let Some(timeout) = timeout {
        draft.idle(&timeout.at, "accept_proxy is not set");
    }
}

/// Accepts a PROXY header from every client, as realm, HAProxy and others do.
pub(in crate::import) fn accept_all(id: RouteId, at: &At, draft: &mut Draft) {
    let every_address = Toml::List(vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()]);
    draft.set(id, at, "accept_proxy", every_address);
    if !draft.knows("accept_proxy") {
        return;
    }
    draft.differs(at, "every client must send a header, and may claim any address; list only the proxies in front in accept_proxy");
}

/// Notes the keys of a table that no reader took.
pub(super) fn unknown(fields: Fields, id: Option<RouteId>, draft: &mut Draft) {
    for (_, at) in fields.rest() {
        draft.lost(id, &at, "realm has no such key in this place");
    }
}
