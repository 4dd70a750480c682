//! Envoy, whose configuration is the longest of all.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::{Job, Route, with_file};
use crate::machine::cores;

/// JSON is YAML, and easier to get right.
pub(super) fn command(program: &Path, job: &Job) -> io::Result<Command> {
    let protocol = if job.load.is_udp() { "UDP" } else { "TCP" };
    let socket = |address: SocketAddr| {
        let (host, port) = (address.ip().to_string(), address.port());
        serde_json::json!({ "socket_address": { "protocol": protocol, "address": host, "port_value": port } })
    };
    let proxy = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
    let (mut listeners, mut clusters) = (Vec::new(), Vec::new());
    for (index, Route { listen, target }) in job.routes.iter().enumerate() {
        let name = format!("bench{index}");
        if job.load.is_udp() {
            listeners.push(datagrams(&name, socket(*listen), job.load.idle()));
        } else {
            listeners.push(serde_json::json!({ "name": name, "address": socket(*listen), "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": { "@type": proxy, "stat_prefix": name, "cluster": name, "idle_timeout": "0s" },
        }]}]}));
        }
        clusters.push(serde_json::json!({ "name": name, "type": "STATIC", "connect_timeout": "5s",
            "circuit_breakers": { "thresholds": [{ "max_connections": 10_000, "max_pending_requests": 10_000 }] },
            "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [
                { "endpoint": { "address": socket(*target) } } ]}]}}));
    }
    let text = serde_json::json!({ "static_resources": { "listeners": listeners, "clusters": clusters } })
        .to_string();
    let workers = cores().to_string();
    let arguments = ["--concurrency", &workers, "--disable-hot-restart", "-l", "error", "-c"];
    with_file(program, job, &arguments, "envoy.json", &text)
}

fn datagrams(name: &str, address: serde_json::Value, idle: u32) -> serde_json::Value {
    let kind = |name: &str| format!("type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.{name}");
    let route = serde_json::json!({ "@type": kind("Route"), "cluster": name });
    let action = serde_json::json!({ "name": "route", "typed_config": route });
    serde_json::json!({ "name": name, "address": address, "listener_filters": [{
        "name": "envoy.filters.udp_listener.udp_proxy",
        "typed_config": { "@type": kind("UdpProxyConfig"), "stat_prefix": name,
            "idle_timeout": format!("{idle}s"), "matcher": { "no_match": { "action": action } } },
    }]})
}
