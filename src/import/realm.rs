//! realm, TOML or JSON (its readme and src/conf of version 2.9), and its older JSON of four lists → routes.

use std::time::Duration;

use super::draft::{Draft, RouteId, Target, Toml};
use super::node::{self, Fields, Taken};
use super::note::At;
use super::words::{bracketed, time};

/// What realm takes where nothing is said, in seconds (src/consts.rs).
const TCP_TIMEOUT: u64 = 5;
const UDP_TIMEOUT: u64 = 30;

/// The keys of `[network]`, and of `network` of an endpoint, which go before them.
#[derive(Default)]
struct Network {
    no_tcp: Option<Taken<bool>>,
    use_udp: Option<Taken<bool>>,
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

/// Reads the file.
pub(super) fn read(text: &str, draft: &mut Draft) -> Result<(), String> {
    let root = node::read(text)?;
    let Some(mut top) = Fields::of(root, "the file", draft) else { return Ok(()) };
    let global = match top.node("network").and_then(|node| Fields::of(node, "network", draft)) {
        Some(fields) => network(fields, draft),
        None => Network::default(),
    };
    if let Some(log) = top.node("log").and_then(|node| Fields::of(node, "log", draft)) {
        read_log(log, draft);
    }
    if let Some(dns) = top.node("dns").and_then(|node| Fields::of(node, "dns", draft)) {
        for (_, at) in dns.rest() {
            draft.lost(
                None,
                &at,
                "names are looked up as this machine does; see /etc/resolv.conf and /etc/hosts",
            );
        }
    }
    for endpoint in top.tables("endpoints", draft) {
        read_endpoint(endpoint, &global, draft);
    }
    legacy(&mut top, draft);
    unknown(top, None, draft);
    Ok(())
}

fn read_log(mut log: Fields, draft: &mut Draft) {
    if let Some(level) = log.text("level", draft) {
        match level.value.as_str() {
            word @ ("error" | "warn" | "info" | "debug") => {
                draft.set_process(&level.at, "log.level", Toml::text(word));
            }
            "trace" => draft.set_process(&level.at, "log.level", Toml::text("debug")),
            "off" => draft.set_process(&level.at, "log.level", Toml::text("error")),
            _ => draft.lost(None, &level.at, "log.level is one of error, warn, info and debug"),
        }
    }
    if let Some(output) = log.text("output", draft) {
        draft.idle(&output.at, "lines and records go to standard error; let the service manager keep them");
    }
    unknown(log, None, draft);
}

fn network(mut fields: Fields, draft: &mut Draft) -> Network {
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
            draft.idle(&taken.at, "realm itself has given it up; splice is chosen where it pays");
        }
    }
    unknown(fields, None, draft);
    network
}

impl Network {
    /// Its own keys, and those of `global` where it has none.
    fn over(self, global: &Network) -> Network {
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

/// One endpoint: a route for TCP, one for UDP, or both.
fn read_endpoint(mut fields: Fields, global: &Network, draft: &mut Draft) {
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
        draft.lost(None, &whole, "no_tcp is set and use_udp is not, so nothing is carried");
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
            // Without the key realm dials `remote` alone.
            draft.idle(whole, "without balance, realm dials remote alone; its extra_remotes are left out");
            if let Some(route) = draft.route(id) {
                route.targets.truncate(1);
            }
        }
        return;
    };
    let (word, weights) = balance.value.split_once(':').unwrap_or((&balance.value, ""));
    match word.trim() {
        _ if count < 2 => return draft.idle(&balance.at, "there is one target"),
        "roundrobin" => draft.set(id, &balance.at, "balance", Toml::text("round_robin")),
        "iphash" => draft.set(id, &balance.at, "balance", Toml::text("source_hash")),
        "off" => {
            draft.idle(&balance.at, "realm dials remote alone; its extra_remotes are left out");
            if let Some(route) = draft.route(id) {
                route.targets.truncate(1);
            }
            return;
        }
        _ => return draft.lost(Some(id), &balance.at, "realm knows roundrobin and iphash"),
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
        return draft.lost(
            Some(id),
            &balance.at,
            format!("there are {count} targets, and each needs one weight"),
        );
    }
    if let Some(route) = draft.route(id) {
        for (target, weight) in route.targets.iter_mut().zip(listed) {
            target.weight = weight;
        }
    }
}

/// The further keys of an endpoint.
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
            let why = "a listener is bound to an address, not to an interface; write the interface's address in listen";
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
                draft.differs(&through.at, "the source port is the kernel's choice");
            }
            address.ip().to_string()
        }
        Err(_) => text.trim_matches(['[', ']']).to_owned(),
    };
    match host.as_str() {
        "0.0.0.0" | "::" => draft.idle(&through.at, "any address is what the kernel chooses from anyway"),
        host => draft.set(id, &through.at, "source", Toml::text(host)),
    }
}

/// `tls` alone could be carried, with a certificate; what wraps the bytes in anything more cannot.
fn transported(id: RouteId, transport: &Taken<String>, draft: &mut Draft) {
    let first = transport.value.split(';').next().unwrap_or_default();
    let is_ws = transport.value.split(';').any(|part| part.trim() == "ws");
    let why = if is_ws {
        "there is no WebSocket transport"
    } else if first == "tls" {
        "write the certificate in [routes.NAME.tls], or the name to expect in [routes.NAME.target_tls]"
    } else {
        "there is no such transport"
    };
    draft.leave_out(id, &transport.at, why);
}

/// The keys of `network` that are a route's.
fn apply(id: RouteId, is_udp: bool, network: &Network, listen: &str, whole: &At, draft: &mut Draft) {
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
        0 => draft.lost(
            Some(id),
            &at,
            "reaching the target always has a deadline; write connect_timeout, at most \"1h\"",
        ),
        _ => draft.set(id, &at, "connect_timeout", time(Duration::from_secs(connect))),
    }
    // realm's [::] takes IPv4 as well, unless it is told not to.
    if listen.starts_with("[::]:") || listen.starts_with("[::0]:") {
        let only = network.ipv6_only.as_ref();
        let at = only.map_or(whole, |only| &only.at);
        draft.set(id, at, "v6only", Toml::Truth(only.is_some_and(|only| only.value)));
    } else if let Some(only) = &network.ipv6_only {
        draft.idle(&only.at, "it concerns a listener on [::] alone");
    }
    if let Some(keepalive) = &network.keepalive {
        match keepalive.value {
            0 => draft.idle(&keepalive.at, "0 leaves the time to the system"),
            seconds => draft.set(id, &keepalive.at, "keepalive", time(Duration::from_secs(seconds))),
        }
    }
    if let Some(probes) = &network.probes {
        draft.lost(Some(id), &probes.at, "a probe is repeated four times, or until user_timeout, which ends a connection nobody acknowledges");
    }
    for mptcp in [&network.send_mptcp, &network.accept_mptcp].into_iter().flatten() {
        match mptcp.value {
            true => draft.lost(Some(id), &mptcp.at, "there is no multipath TCP"),
            false => draft.idle(&mptcp.at, "there is no multipath TCP"),
        }
    }
    proxied(id, network, draft);
}

/// What an endpoint's own `network` says of connections, where it carries datagrams alone.
fn datagrams(network: &Network, draft: &mut Draft) {
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
        draft.idle(at, "it concerns connections, and no_tcp is set");
    }
}

fn proxied(id: RouteId, network: &Network, draft: &mut Draft) {
    let is_on = |taken: &Option<Taken<bool>>| taken.as_ref().is_some_and(|taken| taken.value);
    let version = network.send_proxy_version.as_ref().map_or(2, |version| version.value);
    if let Some(send) = network.send_proxy.as_ref().filter(|send| send.value) {
        match version {
            1 | 2 => draft.set(id, &send.at, "send_proxy", Toml::text(format!("v{version}"))),
            _ => draft.lost(Some(id), &send.at, "a PROXY header is version 1 or 2"),
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

/// A PROXY header from everybody, as realm, HAProxy and others take it.
pub(super) fn accept_all(id: RouteId, at: &At, draft: &mut Draft) {
    let everybody = Toml::List(vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()]);
    draft.set(id, at, "accept_proxy", everybody);
    if !draft.knows("accept_proxy") {
        return;
    }
    draft.differs(at, "every source must send a header, and may claim any client; list the proxies in front alone in accept_proxy");
}

/// The most listeners a list of old becomes.
const MAX_LEGACY: usize = 1024;

/// The JSON of old: `listening_addresses`, `listening_ports`, `remote_addresses`, `remote_ports`. A list that is too short
/// goes on with its first.
fn legacy(top: &mut Fields, draft: &mut Draft) {
    let keys = ["listening_addresses", "listening_ports", "remote_addresses", "remote_ports"];
    let lists: Vec<Taken<Vec<String>>> = keys.iter().filter_map(|key| top.texts(key, draft)).collect();
    let [addresses, ports, remotes, remote_ports] = &lists[..] else {
        for list in lists {
            draft.lost(None, &list.at, "the four lists of old belong together");
        }
        return;
    };
    let (listen, dial) = (flat(ports, draft), flat(remote_ports, draft));
    let at = |n: usize, list: &[String]| list.get(n).or_else(|| list.first()).cloned().unwrap_or_default();
    for (n, port) in listen.iter().enumerate() {
        let id =
            draft.open(&format!("port-{port}"), At::new(ports.at.line, format!("listening_ports {port}")));
        draft.listen(id, format!("{}:{port}", bracketed(&at(n, &addresses.value))));
        let remote = dial.get(n).or_else(|| dial.first()).copied().unwrap_or_default();
        let address = format!("{}:{remote}", bracketed(&at(n, &remotes.value)));
        draft.target(id, Target { at: Some(remotes.at.clone()), address, ..Target::default() });
        apply(id, false, &Network::default(), "", &ports.at, draft);
    }
}

/// Every port of `["8080-8088", "90"]`.
fn flat(ports: &Taken<Vec<String>>, draft: &mut Draft) -> Vec<u16> {
    let mut all = Vec::new();
    for text in &ports.value {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first), Ok(last)) if first <= last && all.len() + usize::from(last - first) < MAX_LEGACY => {
                all.extend(first..=last);
            }
            (Ok(_), Ok(_)) => draft.lost(
                None,
                &ports.at.with(text),
                "write such a range as one route, listen = \"8000-8010\"",
            ),
            _ => draft.lost(None, &ports.at.with(text), "this is no port"),
        }
    }
    all
}

fn unknown(fields: Fields, id: Option<RouteId>, draft: &mut Draft) {
    for (_, at) in fields.rest() {
        draft.lost(id, &at, "realm has no such key here");
    }
}
