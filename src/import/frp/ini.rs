//! frp's INI of before version 0.52 (pkg/config/legacy) → the tree that its TOML gives.

use crate::import::value::{Node, Value};

/// The most routes that the ports of one section may become.
const MAX_RANGE: usize = 1024;

/// How a value is read.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Truth,
    List,
}

use Kind::{List, Number, Text, Truth};

/// Keys of `[common]`, and the path of each in the new form.
const COMMON: &[(&str, &str, Kind)] = &[
    ("server_addr", "serverAddr", Text),
    ("server_port", "serverPort", Number),
    ("bind_addr", "bindAddr", Text),
    ("bind_port", "bindPort", Number),
    ("kcp_bind_port", "kcpBindPort", Number),
    ("quic_bind_port", "quicBindPort", Number),
    ("proxy_bind_addr", "proxyBindAddr", Text),
    ("vhost_http_port", "vhostHTTPPort", Number),
    ("vhost_https_port", "vhostHTTPSPort", Number),
    ("vhost_http_timeout", "vhostHTTPTimeout", Number),
    ("tcpmux_httpconnect_port", "tcpmuxHTTPConnectPort", Number),
    ("tcpmux_passthrough", "tcpmuxPassthrough", Truth),
    ("subdomain_host", "subDomainHost", Text),
    ("custom_404_page", "custom404Page", Text),
    ("enable_prometheus", "enablePrometheus", Truth),
    ("detailed_errors_to_client", "detailedErrorsToClient", Truth),
    ("user_conn_timeout", "userConnTimeout", Number),
    ("nat_hole_analysis_data_reserve_hours", "natholeAnalysisDataReserveHours", Number),
    ("nat_hole_stun_server", "natHoleStunServer", Text),
    ("max_ports_per_client", "maxPortsPerClient", Number),
    ("udp_packet_size", "udpPacketSize", Number),
    ("log_file", "log.to", Text),
    ("log_level", "log.level", Text),
    ("log_max_days", "log.maxDays", Number),
    ("disable_log_color", "log.disablePrintColor", Truth),
    ("user", "user", Text),
    ("login_fail_exit", "loginFailExit", Truth),
    ("dns_server", "dnsServer", Text),
    ("start", "start", List),
    ("includes", "includes", List),
    ("http_proxy", "transport.proxyURL", Text),
    ("pool_count", "transport.poolCount", Number),
    ("max_pool_count", "transport.maxPoolCount", Number),
    ("tcp_mux", "transport.tcpMux", Truth),
    ("tcp_mux_keepalive_interval", "transport.tcpMuxKeepaliveInterval", Number),
    ("tcp_keepalive", "transport.tcpKeepalive", Number),
    ("protocol", "transport.protocol", Text),
    ("dial_server_timeout", "transport.dialServerTimeout", Number),
    ("dial_server_keepalive", "transport.dialServerKeepalive", Number),
    ("connect_server_local_ip", "transport.connectServerLocalIP", Text),
    ("heartbeat_interval", "transport.heartbeatInterval", Number),
    ("heartbeat_timeout", "transport.heartbeatTimeout", Number),
    ("tls_only", "transport.tls.force", Truth),
    ("disable_custom_tls_first_byte", "transport.tls.disableCustomTLSFirstByte", Truth),
    ("assets_dir", "webServer.assetsDir", Text),
    ("pprof_enable", "webServer.pprofEnable", Truth),
    ("token", "auth.token", Text),
];

/// Keys of `[common]` by what they begin with.
const COMMON_PREFIXES: &[(&str, &str)] = &[
    ("auth", "auth"),
    ("oidc_", "auth.oidc"),
    ("admin_", "webServer"),
    ("dashboard_", "webServer"),
    ("quic_", "transport.quic"),
    ("tls_", "transport.tls"),
    ("meta_", "metadatas"),
];

/// Keys of a proxy or a visitor.
const SECTION: &[(&str, &str, Kind)] = &[
    ("type", "type", Text),
    ("local_ip", "localIP", Text),
    ("local_port", "localPort", Number),
    ("remote_port", "remotePort", Number),
    ("use_encryption", "transport.useEncryption", Truth),
    ("use_compression", "transport.useCompression", Truth),
    ("bandwidth_limit", "transport.bandwidthLimit", Text),
    ("bandwidth_limit_mode", "transport.bandwidthLimitMode", Text),
    ("proxy_protocol_version", "transport.proxyProtocolVersion", Text),
    ("group", "loadBalancer.group", Text),
    ("group_key", "loadBalancer.groupKey", Text),
    ("health_check_type", "healthCheck.type", Text),
    ("health_check_timeout_s", "healthCheck.timeoutSeconds", Number),
    ("health_check_max_failed", "healthCheck.maxFailed", Number),
    ("health_check_interval_s", "healthCheck.intervalSeconds", Number),
    ("health_check_url", "healthCheck.path", Text),
    ("custom_domains", "customDomains", List),
    ("subdomain", "subdomain", Text),
    ("locations", "locations", List),
    ("http_user", "httpUser", Text),
    ("http_pwd", "httpPassword", Text),
    ("host_header_rewrite", "hostHeaderRewrite", Text),
    ("route_by_http_user", "routeByHTTPUser", Text),
    ("multiplexer", "multiplexer", Text),
    ("sk", "secretKey", Text),
    ("allow_users", "allowUsers", List),
    ("plugin", "plugin.type", Text),
    ("plugin_unix_path", "plugin.unixPath", Text),
    ("server_user", "serverUser", Text),
    ("server_name", "serverName", Text),
    ("bind_addr", "bindAddr", Text),
    ("bind_port", "bindPort", Number),
    ("keep_tunnel_open", "keepTunnelOpen", Truth),
    ("max_retries_an_hour", "maxRetriesAnHour", Number),
    ("min_retry_interval", "minRetryInterval", Number),
    ("fallback_to", "fallbackTo", Text),
    ("fallback_timeout_ms", "fallbackTimeoutMs", Number),
    ("protocol", "protocol", Text),
];

/// Keys of a proxy by what they begin with.
const SECTION_PREFIXES: &[(&str, &str)] =
    &[("plugin_", "plugin"), ("meta_", "metadatas"), ("header_", "requestHeaders.set")];

/// Whether a text has the section that every such file has.
pub(super) fn is_ini(text: &str) -> bool {
    text.lines().any(|line| line.trim() == "[common]")
}

/// One line `key = value`, with its number.
type Entry<'t> = (usize, &'t str, &'t str);

/// The line of a section, its name and its entries.
type Section<'t> = (usize, &'t str, Vec<Entry<'t>>);

/// The tree that the new form gives.
///
/// # Errors
/// If a line is neither a section nor a key; its number is told, and none of its words.
pub(super) fn read(text: &str) -> Result<Node, String> {
    let mut top = Vec::new();
    let (mut proxies, mut visitors, mut plugins) = (Vec::new(), Vec::new(), Vec::new());
    for (line, name, entries) in sections(text)? {
        let is_visitor = entries.iter().any(|(_, key, value)| *key == "role" && *value == "visitor");
        match name.split_once([':', '.']) {
            _ if name == "common" => common(&entries, &mut top),
            Some(("range", base)) => proxies.extend(range(line, base, &entries)?),
            Some(("plugin", _)) => plugins.push(Node::table(line, Vec::new())),
            _ if is_visitor => visitors.push(section(line, name, &entries)),
            _ => proxies.push(section(line, name, &entries)),
        }
    }
    for (key, list) in [("proxies", proxies), ("visitors", visitors), ("httpPlugins", plugins)] {
        if let Some(line) = list.first().map(|first| first.line) {
            top.push((key.to_owned(), Node { line, value: Value::List(list) }));
        }
    }
    Ok(Node::table(1, top))
}

fn sections(text: &str) -> Result<Vec<Section<'_>>, String> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let (number, line) = (at + 1, line.trim());
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push((number, name.trim(), Vec::new()));
            continue;
        }
        let Some((.., entries)) = sections.last_mut() else {
            return Err(format!("line {number} stands before the first section, as [common]"));
        };
        // A key alone is true.
        let (key, value) = line.split_once(['=', ':']).unwrap_or((line, "true"));
        entries.push((number, key.trim(), value.trim().trim_matches(['"', '`'])));
    }
    Ok(sections)
}

fn common(entries: &[Entry<'_>], top: &mut Vec<(String, Node)>) {
    for (line, key, value) in entries.iter().filter(|(.., value)| !value.is_empty()) {
        match *key {
            "allow_ports" => put(top, "allowPorts", ports(*line, value)),
            key => put_known(top, (*line, key, value), COMMON, COMMON_PREFIXES),
        }
    }
}

fn section(line: usize, name: &str, entries: &[Entry<'_>]) -> Node {
    let mut table = vec![("name".to_owned(), Node { line, value: Value::Text(name.to_owned()) })];
    for entry in entries.iter().filter(|(_, key, value)| !value.is_empty() && *key != "role") {
        put_known(&mut table, *entry, SECTION, SECTION_PREFIXES);
    }
    Node::table(line, table)
}

/// `[range:NAME]`: a proxy for each port, `NAME_0` and so on.
fn range(line: usize, base: &str, entries: &[Entry<'_>]) -> Result<Vec<Node>, String> {
    let listed = |wanted: &str| {
        let entry = entries.iter().find(|(_, key, _)| *key == wanted);
        entry.map_or(Some(Vec::new()), |(.., value)| numbers(value))
    };
    let (Some(local), Some(remote)) = (listed("local_port"), listed("remote_port")) else {
        return Err(format!(
            "line {line}: its ports are no list of at most {MAX_RANGE} ports, as 6010-6020,6022"
        ));
    };
    if local.len() != remote.len() {
        let (local, remote) = (local.len(), remote.len());
        return Err(format!("line {line}: it has {local} local ports and {remote} remote ports"));
    }
    let one = |(n, (local, remote)): (usize, (&u16, &u16))| {
        let (local, remote) = (local.to_string(), remote.to_string());
        let entries: Vec<Entry<'_>> = entries
            .iter()
            .map(|(line, key, value)| match *key {
                "local_port" => (*line, *key, local.as_str()),
                "remote_port" => (*line, *key, remote.as_str()),
                _ => (*line, *key, *value),
            })
            .collect();
        section(line, &format!("{}_{n}", base.trim()), &entries)
    };
    Ok(local.iter().zip(&remote).enumerate().map(one).collect())
}

/// Every port of `6010-6020,6022`; `None` if it is something else, or too many.
fn numbers(text: &str) -> Option<Vec<u16>> {
    let mut all = Vec::new();
    for (first, last) in spans(text)? {
        if all.len() + usize::from(last - first) >= MAX_RANGE {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

fn spans(text: &str) -> Option<Vec<(u16, u16)>> {
    let one = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last).then_some((first, last))
    };
    text.split(',').map(one).collect()
}

/// `allow_ports = 2000-3000,3001` as the list of the new form; other words are one that its reader refuses.
fn ports(line: usize, text: &str) -> Node {
    let number = |port: u16| Node { line, value: Value::Number(port.into()) };
    let one = |(first, last): (u16, u16)| {
        let entries = [("start", first), ("end", last)];
        Node::table(line, entries.map(|(key, port)| (key.to_owned(), number(port))).into())
    };
    let value = match spans(text) {
        Some(spans) => Value::List(spans.into_iter().map(one).collect()),
        None => Value::Text(text.to_owned()),
    };
    Node { line, value }
}

/// Puts a value where the new form has it; one whose key is unknown keeps that.
fn put_known(
    top: &mut Vec<(String, Node)>,
    (line, key, value): Entry<'_>,
    known: &[(&str, &str, Kind)],
    prefixes: &[(&str, &str)],
) {
    if let Some((_, path, kind)) = known.iter().find(|(name, ..)| *name == key) {
        return put(top, path, Node { line, value: typed(value, *kind, line) });
    }
    let text = Node { line, value: Value::Text(value.to_owned()) };
    let under = prefixes.iter().find_map(|(prefix, path)| Some((*path, key.strip_prefix(prefix)?)));
    match under {
        Some((path, rest)) => {
            let rest = if rest.is_empty() { key } else { rest };
            put_in(top, path, rest, text);
        }
        None => top.push((key.to_owned(), text)),
    }
}

fn typed(value: &str, kind: Kind, line: usize) -> Value {
    let text = |text: &str| Value::Text(text.trim().to_owned());
    match kind {
        Text => text(value),
        Number => value.parse().map_or_else(|_| text(value), Value::Number),
        Truth => match value {
            "true" | "1" => Value::Truth(true),
            "false" | "0" => Value::Truth(false),
            other => text(other),
        },
        List => Value::List(value.split(',').map(|item| Node { line, value: text(item) }).collect()),
    }
}

/// Puts a value at a path of dots.
fn put(top: &mut Vec<(String, Node)>, path: &str, node: Node) {
    match path.rsplit_once('.') {
        Some((under, key)) => put_in(top, under, key, node),
        None => top.push((path.to_owned(), node)),
    }
}

/// Puts a value into the table at a path of dots, under a key of its own, which may have dots in it.
fn put_in(top: &mut Vec<(String, Node)>, path: &str, key: &str, node: Node) {
    let mut table = top;
    for name in path.split('.') {
        let at = table.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            table.push((name.to_owned(), Node::table(node.line, Vec::new())));
            table.len() - 1
        });
        let inner = &mut table[at].1.value;
        if !matches!(inner, Value::Table(_)) {
            *inner = Value::Table(Vec::new());
        }
        let Value::Table(entries) = inner else { return };
        table = entries;
    }
    table.push((key.to_owned(), node));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_the_table_that_the_new_form_has() {
        let tree = read(
            "[common]\nserver_addr = vps\ntoken = 1234\nauthentication_method = token\n[ssh]\ntype=tcp\nlocal_port = 22\n\
             use_encryption = true\nplugin_header_X-A.b = c\n[range:game]\nlocal_port = 1-2,5\nremote_port = 11-12,15\n",
        )
        .unwrap();

        assert_eq!(
            tree.shown(),
            "{ serverAddr = \"vps\", auth = { token = ***, entication_method = \"token\" }, proxies = [{ name = \"ssh\", \
             type = \"tcp\", localPort = 22, transport = { useEncryption = true }, plugin = { header_X-A.b = \"c\" } }, \
             { name = \"game_0\", localPort = 1, remotePort = 11 }, { name = \"game_1\", localPort = 2, remotePort = 12 }, \
             { name = \"game_2\", localPort = 5, remotePort = 15 }] }"
        );
    }

    #[test]
    fn ports_that_are_none_or_too_many_are_refused() {
        for (ports, told) in
            [("1-2000", "no list of at most 1024"), ("a", "no list"), ("1-2", "1 remote ports")]
        {
            let text = format!("[common]\n[range:x]\nlocal_port = {ports}\nremote_port = 7\n");
            assert!(read(&text).unwrap_err().contains(told), "{ports}");
        }
        assert!(read("key = 1\n[common]").unwrap_err().starts_with("line 1 stands before"));
    }
}
