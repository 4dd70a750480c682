//! One `[[endpoints]]` table → its routes.

use super::network::{Network, apply, datagrams, network, unknown};
use crate::import::draft::{Draft, RouteId, Target, Toml};
use crate::import::message::At;
use crate::import::shell::bracketed;
use crate::import::value::{Fields, Taken};

/// Imports one endpoint: a route for TCP, one for UDP, or both.
pub(super) fn read_endpoint(mut fields: Fields, global: &Network, draft: &mut Draft) {
    let whole = At::new(fields.line, "[[endpoints]]");
    let own = match fields.node("network").and_then(|node| Fields::of(node, "network", draft)) {
        Some(fields) => network(fields, draft),
        None => Network::default(),
    };
    if own.no_tcp.as_ref().is_some_and(|no_tcp| no_tcp.value) {
        datagrams(&own, draft);
    }
    let network = own.over(global);
    let listen = fields.text("listen", draft).map(|listen| listen.value).unwrap_or_default();
    let port = listen.rsplit_once(':').map_or(listen.as_str(), |(_, port)| port).to_owned();
    let is_on = |taken: &Option<Taken<bool>>| taken.as_ref().is_some_and(|taken| taken.value);
    let mut ids = Vec::new();
    if !is_on(&network.no_tcp) {
        ids.push((draft.open(&format!("port-{port}"), whole.clone()), false));
    }
    if is_on(&network.use_udp) {
        let id = draft.open(&format!("port-{port}-udp"), whole.clone());
        draft.set(id, &whole, "protocol", Toml::text("udp"));
        ids.push((id, true));
    }
    if ids.is_empty() {
        draft.lost(None, &whole, "no_tcp is set and use_udp is not, so the endpoint forwards nothing");
    }
    let targets = targets(&mut fields, draft);
    let balance = fields.text("balance", draft);
    let rest = Rest::of(&mut fields, draft);
    for (id, is_udp) in &ids {
        draft.listen(*id, &listen);
        for target in &targets {
            draft.target(*id, target.clone());
        }
        balanced(*id, balance.as_ref(), &whole, draft);
        rest.apply(*id, draft);
        apply(*id, *is_udp, &network, &listen, &whole, draft);
    }
    unknown(fields, ids.first().map(|(id, _)| *id), draft);
}

fn targets(fields: &mut Fields, draft: &mut Draft) -> Vec<Target> {
    let remote = fields.text("remote", draft).map(|remote| (remote.value, remote.at));
    let extra = fields.texts("extra_remotes", draft);
    let extra = extra.into_iter().flat_map(|extra| {
        let at = extra.at;
        extra.value.into_iter().map(move |remote| (remote, at.clone())).collect::<Vec<_>>()
    });
    let one = |(remote, at): (String, At)| {
        let address = match remote.rsplit_once(':') {
            Some((host, port)) => format!("{}:{port}", bracketed(host)),
            None => remote,
        };
        Target { at: Some(at.with(address.clone())), address, ..Target::default() }
    };
    remote.into_iter().chain(extra).map(one).collect()
}

/// `balance = "roundrobin: 4, 2, 1"`
fn balanced(id: RouteId, balance: Option<&Taken<String>>, whole: &At, draft: &mut Draft) {
    let count = draft.route(id).map_or(0, |route| route.targets.len());
    let Some(balance) = balance else {
        if count > 1 && draft.knows("balance") {
            // Without the key realm connects only to `remote`.
            draft.idle(whole, "without balance, realm uses remote only; the extra_remotes are left out");
            if let Some(route) = draft.route(id) {
                route.targets.truncate(1);
            }
        }
        return;
    };
    let (word, weights) = balance.value.split_once(':').unwrap_or((&balance.value, ""));
    match word.trim() {
        _ if count < 2 => return draft.idle(&balance.at, "there is only one target"),
        "roundrobin" => draft.set(id, &balance.at, "balance", Toml::text("round_robin")),
        "iphash" => draft.set(id, &balance.at, "balance", Toml::text("source_hash")),
        "off" => {
            draft.idle(&balance.at, "realm uses remote only; the extra_remotes are left out");
            if let Some(route) = draft.route(id) {
                route.targets.truncate(1);
            }
            return;
        }
        _ => return draft.lost(Some(id), &balance.at, "realm has roundrobin and iphash only"),
    }
    let listed: Vec<Option<u64>> = weights
        .split(',')
        .filter(|it| !it.trim().is_empty())
        .map(|weight| weight.trim().parse().ok())
        .collect();
    if listed.is_empty() {
        return;
    }
    if listed.len() != count || listed.contains(&None) {
        return draft.lost(Some(id), &balance.at, format!("each of the {count} targets needs one weight"));
    }
    if let Some(route) = draft.route(id) {
        for (target, weight) in route.targets.iter_mut().zip(listed) {
            target.weight = weight;
        }
    }
}

/// The other keys of an endpoint.
struct Rest {
    through: Option<Taken<String>>,
    interface: Option<Taken<String>>,
    listen_interface: Option<Taken<String>>,
    transports: Vec<Taken<String>>,
}

impl Rest {
    fn of(fields: &mut Fields, draft: &mut Draft) -> Rest {
        Rest {
            through: fields.text("through", draft),
            interface: fields.text("interface", draft),
            listen_interface: fields.text("listen_interface", draft),
            transports: ["listen_transport", "remote_transport"]
                .into_iter()
                .filter_map(|key| fields.text(key, draft))
                .collect(),
        }
    }

    fn apply(&self, id: RouteId, draft: &mut Draft) {
        if let Some(through) = &self.through {
            source(id, through, draft);
        }
        if let Some(interface) = &self.interface {
            draft.set(id, &interface.at, "interface", Toml::text(&interface.value));
        }
        if let Some(interface) = &self.listen_interface {
            let why = "a listener binds to an address, not to an interface; write the interface's address in listen";
            draft.leave_out(id, &interface.at, format!("{why}; without it more clients could connect"));
        }
        for transport in &self.transports {
            transported(id, transport, draft);
        }
    }
}

fn source(id: RouteId, through: &Taken<String>, draft: &mut Draft) {
    let text = through.value.as_str();
    let host = match text.parse::<std::net::SocketAddr>() {
        Ok(address) => {
            if address.port() != 0 {
                draft.differs(&through.at, "the kernel chooses the source port");
            }
            address.ip().to_string()
        }
        Err(_) => text.trim_matches(['[', ']']).to_owned(),
    };
    match host.as_str() {
        "0.0.0.0" | "::" => draft.idle(&through.at, "the kernel chooses the address in any case"),
        host => draft.set(id, &through.at, "source", Toml::text(host)),
    }
}

/// Explains why a transport is not carried: plain `tls` needs a certificate, and the others have no counterpart.
fn transported(id: RouteId, transport: &Taken<String>, draft: &mut Draft) {
    let first = transport.value.split(';').next().unwrap_or_default();
    let is_ws = transport.value.split(';').any(|part| part.trim() == "ws");
    let why = if is_ws {
        "there is no WebSocket transport"
    } else if first == "tls" {
        "set the certificate in [routes.NAME.tls], or the expected name in [routes.NAME.target_tls]"
    } else {
        "Loopgate has no such transport"
    };
    draft.leave_out(id, &transport.at, why);
}
