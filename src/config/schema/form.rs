//! The form of each key's value, as JSON Schema.
//!
//! It may allow more than the key does, as a range of ports where none fits, and never less: an editor that marks what
//! works is worse than one that misses a slip.

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde_json::{Value, json};

use crate::address::Protocol;
use crate::balance::{Balance, Check, Part};
use crate::ledger::{LogFormat, LogLevel};
use crate::limits::{FlowPreset, FlowsFull, WhenFull};
use crate::proxy_protocol::SendProxy;
use crate::transport::BindPolicy;
use crate::transport::tls::{MinVersion, Verify};

/// The form of a key's value; `None` for a key this file has no line for.
pub(super) fn of(key: &str) -> Option<Value> {
    Some(match key {
        "listen" | "source" | "allow" | "deny" | "accept_proxy" => one_or_more(text()),
        "address" | "interface" | "socket_owner" | "socket_group" => text(),
        "protocol" => words::<Protocol>(),
        "bind" => words::<BindPolicy>(),
        "preset" => words::<FlowPreset>(),
        "send_proxy" => words::<SendProxy>(),
        "flows_full" => words::<FlowsFull>(),
        "check" => words::<Check>(),
        "send" | "expect" => json!({"type": "string"}),
        "when_full" => words::<WhenFull>(),
        "balance" => words::<Balance>(),
        "format" => words::<LogFormat>(),
        "level" => words::<LogLevel>(),
        "idle_timeout" | "client_timeout" | "keepalive" | "user_timeout" => time_or_off(),
        "bandwidth" | "bandwidth_per_connection" => matching("^([0-9]+[kmg]?bit|off)$"),
        "connect_timeout"
        | "wait_for_target"
        | "reset_linger"
        | "drain_timeout"
        | "interval"
        | "timeout"
        | "slow_start"
        | "queue_timeout"
        | "accept_proxy_timeout"
        | "handshake_timeout"
        | "hello_timeout" => time(),
        "rise" | "fall" | "max_flows" | "connections" | "flows" | "handshakes" | "queue" => count(),
        "answers" | "max_amplification" | "max_connections" | "max_connections_per_client" => count_or_off(),
        "connection_rate" | "connection_rate_per_client" => matching("^([1-9][0-9]{0,6}/[smh]|off)$"),
        "weight" => json!({"type": "integer", "minimum": 1, "maximum": Part::MAX_WEIGHT}),
        "v6only" | "backup" | "drain" => json!({"type": "boolean"}),
        "certificate" | "key" | "alpn" | "client_names" => one_or_more(text()),
        "client_ca" | "ca" | "name" => text(),
        "min_version" => words::<MinVersion>(),
        "verify" => words::<Verify>(),
        "socket_mode" => matching("^0?[0-7]{3}$"),
        _ => return None,
    })
}

/// `target`: an address or a table, or a list of them.
pub(super) fn target(table: Value) -> Value {
    one_or_more(json!({"anyOf": [text(), table]}))
}

/// `names` and `alpn`: words of the user's, each with its target.
pub(super) fn by_word(target: Value) -> Value {
    json!({"type": "object", "propertyNames": {"minLength": 1}, "additionalProperties": target})
}

/// Any string: an address, a name, a path.
fn text() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn matching(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

/// `"250ms"`, `"2s"`.
fn time() -> Value {
    matching("^([0-9]+(us|ms|s|m|h)|0)$")
}

/// The same, or `"off"`.
fn time_or_off() -> Value {
    matching("^([0-9]+(us|ms|s|m|h)|0|off)$")
}

/// A whole number of 1 or more.
fn count() -> Value {
    json!({"type": "integer", "minimum": 1})
}

/// The same, or `"off"`.
fn count_or_off() -> Value {
    json!({"anyOf": [count(), {"const": "off"}]})
}

/// One of them, or a list of them that is not empty.
fn one_or_more(one: Value) -> Value {
    json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
}

/// The words a type reads, asked of the type itself: it tells them when it meets one it does not know.
fn words<T: for<'de> Deserialize<'de>>() -> Value {
    match T::deserialize(StrDeserializer::<Known>::new("")) {
        Err(Known(words)) => json!({"enum": words}),
        Ok(_) => text(),
    }
}

/// The words an unknown one could have been.
#[derive(Debug)]
struct Known(&'static [&'static str]);

impl serde::de::Error for Known {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Known(&[])
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Known(known)
    }
}

impl std::fmt::Display for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "one of {:?}", self.0)
    }
}

impl std::error::Error for Known {}
