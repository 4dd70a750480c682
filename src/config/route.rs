//! `[routes.NAME]`, and the settings it shares with `[defaults]`.
//!
//! One route at a time: what two routes mean together is the plan's.

use toml::Spanned;
use toml::de::DeValue;

use super::keys::{Group, Owner, Section};
use super::problem::{Place, Problem, bare_or_quoted};
use super::table::{AtLeast, Table};
use super::{Settings, Written, WrittenHealth, WrittenRoute, WrittenTargetTls, WrittenTls, hello, target};
use crate::transport::BindPolicy;

/// What to write for a list of none.
const OFF: &str = "write \"off\"";

/// The same of `allow`, where it could also mean that nobody may come.
const EVERYBODY: &str =
    "write \"off\" to let in everybody whom deny does not name; a route that lets nobody in is left out";

/// The longest name of a route, in characters.
const MAX_NAME: usize = 64;

/// Every route, in the order of the file.
pub(super) fn routes(top: &mut Table<'_, '_>) -> Vec<WrittenRoute> {
    let Some(value) = top.get("routes") else { return Vec::new() };
    let Some(entries) = value.get_ref().as_table() else {
        top.problem(
            "routes",
            value,
            "routes have names",
            Some("write [routes.NAME] for each, as [routes.web]"),
        );
        return Vec::new();
    };
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .filter_map(|(key, value)| route(top, Place::Text(key.span()), key.get_ref(), value))
        .collect()
}

fn route<'t>(
    top: &mut Table<'t, '_>,
    place: Place,
    name: &str,
    value: &'t Spanned<DeValue<'t>>,
) -> Option<WrittenRoute> {
    let path = format!("routes.{}", bare_or_quoted(name));
    if !value.get_ref().is_table() && Section::Route.keys().contains(&name) {
        let problem = Problem::new(place, path, "a route needs a name above its keys");
        top.problems.push(problem.help("write [routes.NAME] instead of [routes], as [routes.web]"));
        return None;
    }
    if let Some(wrong) = wrong_name(name) {
        let help = "a name has letters, digits, - and _, and at most 64 of them";
        top.problems.push(Problem::new(place, path.as_str(), wrong).help(help));
    }
    let mut table = top.open_value(path, value, Section::Route)?;
    let listen = table.list("listen").unwrap_or_default();
    if table.get("listen").is_none() && !has_address_in_bind(&table) {
        table.missing("listen", "127.0.0.1:8080");
    }
    let hello = hello::hello(&mut table);
    let targets = match table.get("target") {
        Some(value) => target::targets(&mut table, "target", value),
        None => {
            // By names alone, whom no name is for has no target.
            if table.get("names").is_none() && table.get("alpn").is_none() {
                table.missing("target", "127.0.0.1:3000");
            }
            Vec::new()
        }
    };
    Some(WrittenRoute {
        name: name.to_owned(),
        listen,
        targets,
        hello,
        settings: settings(&mut table, Owner::Route),
    })
}

/// The key by which HAProxy and others say where they listen is another thing here.
fn bind(table: &mut Table<'_, '_>) -> Option<Written<BindPolicy>> {
    if has_address_in_bind(table) {
        let value = table.get("bind")?;
        let what = "where a route listens stands in listen";
        table.problem("bind", value, what, Some("write listen instead of bind"));
        return None;
    }
    table.word("bind")
}

fn has_address_in_bind(table: &Table<'_, '_>) -> bool {
    table.get("bind").is_some_and(|value| match value.get_ref() {
        DeValue::String(text) => text.contains([':', '.', '/']) || text.parse::<u16>().is_ok(),
        DeValue::Integer(_) | DeValue::Array(_) => true,
        _ => false,
    })
}

/// The settings of a route or of `[defaults]`.
pub(super) fn settings(table: &mut Table<'_, '_>, owner: Owner) -> Settings {
    Settings {
        protocol: table.word("protocol"),
        connect_timeout: table.time("connect_timeout", AtLeast::MoreThanZero, "1h"),
        wait_for_target: table.time("wait_for_target", AtLeast::Zero, "1h"),
        source: table.list_or_off("source", OFF),
        interface: table.or_off("interface", |table| table.value("interface")),
        bind: bind(table),
        v6only: table.truth("v6only"),
        socket_mode: table.value("socket_mode"),
        socket_owner: table.value("socket_owner"),
        socket_group: table.value("socket_group"),
        reset_linger: table.time("reset_linger", AtLeast::Zero, "1h"),
        allow: table.list_or_off("allow", EVERYBODY),
        deny: table.list_or_off("deny", OFF),
        max_connections: table.count_or_off("max_connections"),
        max_connections_per_client: table.count_or_off("max_connections_per_client"),
        connection_rate: table.or_off("connection_rate", |table| table.value("connection_rate")),
        connection_rate_per_client: table
            .or_off("connection_rate_per_client", |table| table.value("connection_rate_per_client")),
        when_full: table.word("when_full"),
        queue: table.count("queue"),
        queue_timeout: table.time("queue_timeout", AtLeast::MoreThanZero, "1h"),
        client_timeout: table.time_or_off("client_timeout", "1ms", "1h"),
        keepalive: table.time_or_off("keepalive", "1s", "2h"),
        user_timeout: table.time_or_off("user_timeout", "1s", "24h"),
        bandwidth: table.rate_or_off("bandwidth"),
        bandwidth_per_connection: table.rate_or_off("bandwidth_per_connection"),
        preset: table.word("preset"),
        max_flows: table.count("max_flows"),
        flows_full: table.word("flows_full"),
        idle_timeout: table.time_or_off("idle_timeout", "1ms", "24h"),
        answers: table.count_or_off("answers"),
        max_amplification: table.count_or_off("max_amplification"),
        balance: table.word("balance"),
        accept_proxy: table.list_or_off("accept_proxy", OFF),
        accept_proxy_timeout: table.time("accept_proxy_timeout", AtLeast::MoreThanZero, "1h"),
        send_proxy: table.word("send_proxy"),
        hello_timeout: table.time("hello_timeout", AtLeast::MoreThanZero, "1h"),
        health: table.group(owner, Group::Health).map(health).unwrap_or_default(),
        tls: table.group(owner, Group::Tls).map(tls).unwrap_or_default(),
        target_tls: table.group(owner, Group::TlsOrigination).map(target_tls).unwrap_or_default(),
    }
}

fn health(mut table: Table<'_, '_>) -> WrittenHealth {
    WrittenHealth {
        place: Some(table.place().clone()),
        check: table.word("check"),
        send: table.value("send"),
        expect: table.value("expect"),
        interval: table.time("interval", AtLeast::MoreThanZero, "1h"),
        timeout: table.time("timeout", AtLeast::MoreThanZero, "1h"),
        rise: table.count("rise"),
        fall: table.count("fall"),
        slow_start: table.time("slow_start", AtLeast::Zero, "1h"),
    }
}

fn tls(mut table: Table<'_, '_>) -> WrittenTls {
    WrittenTls {
        place: Some(table.place().clone()),
        certificate: table.list("certificate"),
        key: table.list("key"),
        client_ca: table.or_off("client_ca", |table| table.value("client_ca")),
        client_names: table.list_or_off("client_names", OFF),
        alpn: table.list_or_off("alpn", OFF),
        min_version: table.word("min_version"),
        handshake_timeout: table.time("handshake_timeout", AtLeast::MoreThanZero, "1h"),
    }
}

fn target_tls(mut table: Table<'_, '_>) -> WrittenTargetTls {
    WrittenTargetTls {
        place: Some(table.place().clone()),
        name: table.value("name"),
        ca: table.value("ca"),
        verify: table.word("verify"),
        certificate: table.list_or_off("certificate", OFF),
        key: table.list("key"),
        alpn: table.list_or_off("alpn", OFF),
        min_version: table.word("min_version"),
        handshake_timeout: table.time("handshake_timeout", AtLeast::MoreThanZero, "1h"),
    }
}

fn wrong_name(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() {
        return Some("the name of this route is empty".into());
    }
    if let Some(wrong) = name.chars().find(|c| !legal(*c)) {
        return Some(format!("a name cannot have {wrong:?} in it"));
    }
    (name.len() > MAX_NAME).then(|| format!("this name has {} characters", name.len()))
}
