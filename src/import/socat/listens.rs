//! The listening address → the listen address of a route, and which clients it accepts.

use super::address::{Address, Kind};
use super::common::{bound, common_option, unix};
use super::tls::tls;
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::At;
use crate::import::networks::{network, written};
use crate::import::shell::{bracketed, port, why_no_port};

/// Imports the listen address. Without `bind` socat listens on every address; without `fork` it accepts one connection.
pub(super) fn listens(id: RouteId, mut listener: Address, kind: Kind, at: &At, draft: &mut Draft) {
    let six = listener.keyword.contains('6')
        || listener.takes(&["pf", "protocol-family"]).is_some_and(|pf| pf.contains('6'));
    let bind = listener.takes(&["bind"]);
    let first = listener.first().to_owned();
    let address = match kind {
        Kind::Unix => unix(&first),
        Kind::Abstract => format!("unix:@{first}"),
        Kind::Tcp | Kind::Udp | Kind::Tls => {
            let protocol = if kind == Kind::Udp { "udp" } else { "tcp" };
            let Some(port) = port(&first, protocol) else {
                return draft.leave_out(id, &at.with(&first), why_no_port(&first));
            };
            let every = if six { "[::]" } else { "0.0.0.0" };
            format!("{}:{port}", bind.map_or(every.to_owned(), |bind| bracketed(bound(&bind).0)))
        }
    };
    draft.listen(id, address);
    if six && kind != Kind::Unix {
        let only = listener.takes(&["ipv6only", "ipv6-v6only", "v6only"]);
        // socat(1): the system's default, which is both address families.
        draft.set(id, at, "v6only", Toml::Truth(only.is_some_and(|only| only != "0")));
    }
    if !listener.flag("fork") && kind != Kind::Udp {
        draft.differs(at, "without fork socat serves one connection and exits; a route serves all of them");
    }
    if kind == Kind::Tls {
        tls(id, "tls", &mut listener, at, draft);
    }
    for (option, value) in std::mem::take(&mut listener.options) {
        listener_option(id, &option, value.as_deref(), at, draft);
    }
}

fn listener_option(id: RouteId, option: &str, value: Option<&str>, at: &At, draft: &mut Draft) {
    let at = at.with(value.map_or(option.to_owned(), |value| format!("{option}={value}")));
    match (option, value) {
        ("reuseaddr" | "so-reuseaddr" | "unlink-early" | "unlink-close", _) => {
            draft.idle(
                &at,
                "a route can always listen again, and replaces the socket file of a process that has exited",
            );
        }
        ("reuseport" | "so-reuseport", _) => {
            draft.idle(&at, "Loopgate gives each worker its own listener where that is faster")
        }
        ("range", Some(range)) => match network(range.trim_matches(['[', ']'])) {
            Some(network) => draft.set(id, &at, "allow", Toml::List(written(&[network]))),
            None => draft.leave_out(id, &at, "this is not a network; write allow as in 10.0.0.0/8"),
        },
        ("max-children", Some(count)) => match count.parse() {
            Ok(count) => draft.set(id, &at, "max_connections", Toml::Number(count)),
            Err(_) => draft.lost(Some(id), &at, "this is not a number"),
        },
        ("mode" | "perm", Some(mode)) => draft.set(id, &at, "socket_mode", Toml::text(format!("{mode:0>4}"))),
        ("user" | "uid" | "owner", Some(user)) => draft.set(id, &at, "socket_owner", Toml::text(user)),
        ("group" | "gid", Some(group)) => draft.set(id, &at, "socket_group", Toml::text(group)),
        ("su" | "setuid" | "setgid" | "su-d" | "substuser" | "chroot" | "chroot-early", _) => {
            draft.lost(
                Some(id),
                &at,
                "Loopgate does not change its user; start it as the intended user, in systemd with User=",
            );
        }
        ("tcpwrap" | "tcpwrapper" | "sourceport" | "sp" | "lowport", _) => {
            draft.leave_out(
                id,
                &at,
                "list the clients it accepts in allow; without it more clients could connect",
            );
        }
        ("interface" | "so-bindtodevice" | "if", _) => {
            draft.leave_out(id, &at, "a listener binds to an address, not to an interface; write the interface's address in listen");
        }
        _ => common_option(id, option, value, &at, draft),
    }
}
