//! The keys that only a route has: where it listens and what it dials. Its settings, which `[defaults]` has as well,
//! are in another file.

use super::settings::SETTINGS;
use crate::address::Protocol;
use crate::balance::Part;
use crate::config::key::{Form, Given, Key, Range, Section};

/// `[routes.NAME]`
pub(in crate::config) static ROUTE: Section = Section {
    doc: "A route: its name (letters, digits, - and _), where it listens, what it dials.",
    keys: &[OWN, SETTINGS],
    // With names alone, a client that asks for no listed name has no target.
    needs: &[&["listen"], &["target", "names", "alpn"]],
};

const OWN: &[Key] = &[
    Key {
        name: "listen",
        default: Given::Required(""),
        doc: "where the route listens; port 0 lets the kernel choose; `\"62893\"` and `\"localhost:62893\"` mean \
              the same; a range of ports, `\"8000-8010\"`, or a list listens on several",
        takes: "address",
        aliases: &["local", "from", "address", "listen_addr", "port", "accept", "bind_addr"],
        ..Key::of(Form::Texts, Range::Any)
    },
    Key {
        name: "target",
        default: Given::Required("unless `names` or `alpn` is set"),
        doc: "where clients are connected to; with `names` or `alpn`, all other clients; a name is looked up, \
              localhost tries both IPv4 and IPv6; a range `\"9000-9010\"` pairs up port by port with one of \
              `listen`",
        aliases: &[
            "remote",
            "upstream",
            "backend",
            "server",
            "to",
            "forward",
            "dest",
            "destination",
            "default",
            "default_backend",
            "proxy_pass",
            "connect",
            "endpoint",
        ],
        ..Key::of(Form::Targets(&TARGET), Range::Any)
    },
    Key {
        name: "names",
        doc: "targets by the name a TLS client asks for (SNI); `*.` stands for one label or more, and the longest \
              match wins",
        takes: "name",
        aliases: &["sni", "server_name", "server_names", "hosts", "hostnames", "domains"],
        ..Key::of(Form::TargetsByWord(&TARGET), Range::Any)
    },
    Key {
        name: "alpn",
        doc: "targets by a protocol a TLS client offers (ALPN), consulted before `names`",
        takes: "protocol",
        aliases: &["protocols", "alpn_protocols"],
        ..Key::of(Form::TargetsByWord(&TARGET), Range::Any)
    },
    Key {
        name: "not_tls",
        doc: "the target of clients that speak no TLS, or send nothing within `hello_timeout`",
        default: Given::InWords("reset"),
        aliases: &["plain", "no_tls", "non_tls", "fallback", "ssh"],
        ..Key::of(Form::LikeTargets(&TARGET), Range::Any)
    },
];

/// `[[routes.NAME.target]]`, one of several targets, usually written in one line.
pub(in crate::config) static TARGET: Section = Section {
    doc: "A route with several targets: a list of addresses, or of tables; inline a table is { address = \
          \"127.0.0.1:3000\" }. If a target refuses a client, the next is tried; targets that are down are tried last. \
          A session never moves.",
    keys: &[&[
        Key {
            name: "address",
            default: Given::Required(""),
            doc: "where to connect, as `target`; a name is looked up, localhost tries both families",
            takes: "address",
            aliases: &["host", "server", "addr", "url", "target"],
            ..Key::of(Form::Text, Range::Any)
        },
        Key {
            name: "weight",
            doc: "its share of clients relative to the others",
            default: Given::Value("1"),
            ..Key::of(Form::CountTo(Part::MAX_WEIGHT), Range::Any)
        },
        Key {
            name: "backup",
            doc: "used only while no target without `backup` is up and below its `max_connections`",
            default: Given::Value("false"),
            ..Key::of(Form::Truth, Range::Any)
        },
        Key {
            name: "drain",
            doc: "gets no new clients; its sessions continue",
            default: Given::Value("false"),
            ..Key::of(Form::Truth, Range::Any)
        },
        Key {
            name: "max_connections",
            doc: "sessions at this address at one time, of all routes that dial it as written here; a full target is \
                  passed over, and where all are full, `when_full` and `queue` of the route decide; of TCP routes alone",
            default: Given::InWords("`\"off\"`"),
            example: "50",
            aliases: &["max_conns", "maxconn", "connections", "limit"],
            only: Some(Protocol::Tcp),
            ..Key::of(Form::CountOrOff, Range::OneOrMore)
        },
    ]],
    needs: &[&["address"]],
};
