//! `[tunnel]`, this machine's end of every tunnel, and `[tunnels.NAME]`, a link to one other Loopgate.

use super::settings::Settings;
use crate::acl::May;
use crate::address::{ListenAddress, Run, TargetAddress};
use crate::config::decode::FileName;
use crate::config::key::Given::{InWords, Required, Value};
use crate::config::key::Range::Between;
use crate::config::key::{Form, Key, Range, Section};
use crate::config::kind::{Count, CountTo, Kind, List, ListOrOff, One, OneOrOff, Placed, Time, Truth, Word};
use crate::config::problem::Place;
use crate::config::public_key::KeyText;
use crate::config::table::Table;
use crate::proxy_protocol::Sender;
use crate::transport::CongestionChoice;
use crate::transport::proxied::ProxyWord;
use crate::transport::tunnel::line::FlowsBy;
use crate::transport::tunnel::pairing::Invite;

/// `[tunnels.NAME]`, none of which is without the key of its other end, or an invite in its place.
pub(in crate::config) static TUNNEL_OF_NAME: Section =
    Section { doc: link::LINK.doc, keys: link::LINK.keys, needs: &[&["public_key", "invite"]] };

/// Every tunnel.
pub(in crate::config) const TUNNELS: Key = Key {
    name: "tunnels",
    doc: "Links to other Loopgates, each with its own name, by which routes listen or dial at the other end.",
    ..Key::of(Form::Named(&TUNNEL_OF_NAME), Range::Any)
};

/// `[tunnel]`
mod own {
    use super::*;

    table! {
        /// This machine's end of every tunnel.
        WrittenTunnel, KEYS, TUNNEL: "This machine's end of every tunnel: its key, and where other Loopgates connect.";

        listen: List<Run<ListenAddress>> {
            doc: "where other Loopgates connect to; without a host it is loopback",
            takes: "address",
            default: InWords("nowhere"),
            example: r#""0.0.0.0:4433""#,
            aliases: &["bind", "bind_addr", "address", "port", "accept"],
        }
        private_key: One<FileName> {
            doc: "this machine's key, a file that `loopgate tunnel key` makes and nobody else may read",
            takes: "path",
            default: InWords("`tunnel.key` in `$CREDENTIALS_DIRECTORY`, beside this file, in `$STATE_DIRECTORY`, or in \
                              `$XDG_STATE_HOME/loopgate`"),
            example: r#""tunnel.key""#,
            aliases: &["key", "key_file", "keyfile", "identity", "identity_file", "secret_key", "secret"],
        }
        accept_proxy: ListOrOff<Sender> {
            doc: "who may name the address of a connecting Loopgate in a PROXY header, as a route in front of `listen`",
            takes: "networks, addresses, `\"localhost\"`, `\"unix\"`",
            default: InWords("`\"off\"`, nobody"),
            example: r#"["127.0.0.1"]"#,
            aliases: &["proxy_protocol"],
        }
        datagrams: Word<FlowsBy> {
            doc: "what carries datagrams: `\"quic\"`, and TLS connections where it does not pass; `\"tls\"` alone opens no UDP port",
            takes: "`\"quic\"` or `\"tls\"`",
            default: Value("quic"),
            aliases: &["udp", "quic"],
        }
    }
}

/// `[tunnels.NAME]`
mod link {
    use super::*;

    table! {
        /// A link to one other Loopgate.
        WrittenLink, KEYS, LINK:
        "A link to one other Loopgate, known by its key. Either end may let the other's clients in; nothing is permitted \
         that is not written.";

        connect: List<Run<TargetAddress>> {
            doc: "where to connect: a host and a port, or a list of them, the next when one does not answer; without it the \
                  other end connects to `listen` of `[tunnel]`",
            takes: "address",
            default: InWords("the other end connects"),
            example: r#""vps.example.com:4433""#,
            aliases: &[
                "peer", "remote", "remote_addr", "server", "server_addr", "address", "host", "endpoint", "dial", "to",
                "target", "url", "hub",
            ],
        }
        proxy_url: OneOrOff<ProxyWord> {
            doc: "the proxy that `connect` is dialled through: `socks5://` or `http://` (CONNECT), as \
                  `http://user:password@host:3128`, or `env`, that of `HTTPS_PROXY` or `ALL_PROXY` unless `NO_PROXY` exempts the \
                  address; the proxy looks names up",
            takes: "URL, `\"env\"`",
            default: InWords("`\"off\"`, the other end is dialled directly"),
            example: r#""http://proxy.example:3128""#,
            aliases: &["proxy", "http_proxy", "https_proxy", "all_proxy", "socks_proxy", "socks5", "socks", "via"],
        }
        public_key: List<KeyText> {
            doc: "the key of the other end, which `loopgate tunnel key --public` prints there; a list while it is being \
                  changed",
            takes: "key",
            default: Required(""),
            example: r#""ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw""#,
            aliases: &["key", "peer_key", "remote_key", "server_key", "client_key", "pubkey", "publickey", "token"],
        }
        invite: One<Invite> {
            doc: "in place of `public_key`, until the other end has joined: what `loopgate tunnel invite` writes",
            takes: "invite",
            default: InWords("nobody is invited"),
            by_hand: false,
        }
        private_key: One<FileName> {
            doc: "this machine's key towards this one, so that servers cannot tell that it is the same machine; for tunnels \
                  with `connect`",
            takes: "path",
            default: InWords("that of `[tunnel]`"),
            example: r#""tunnel.key""#,
            aliases: &["identity", "identity_file", "secret_key"],
        }
        may_listen: List<May> {
            doc: "where the other end may have us listen: `0.0.0.0:8080`, `127.0.0.1:9000-9010`, `0.0.0.0:27015/udp`; the routes are its own, \
                  under `defaults`",
            takes: "addresses or networks with ports, Unix sockets",
            default: InWords("nowhere"),
            example: r#"["0.0.0.0:8080", "127.0.0.1:9000-9010"]"#,
            aliases: &["allow_listen", "permit_listen", "listen", "allow_ports", "ports"],
        }
        may_dial: List<May> {
            doc: "what the other end may have us dial: `10.0.0.0/8:5432`, `db.internal:5432`, `10.0.0.53:53/udp`; this machine, its link and the \
                  metadata of a cloud only by an entry wholly inside them",
            takes: "addresses or networks with ports, names with a port, Unix sockets",
            default: InWords("nothing"),
            example: r#"["10.0.0.0/8:5432"]"#,
            aliases: &["allow_dial", "permit_open", "allow_connect", "may_connect"],
        }
        max_connections: Count {
            doc: "sessions that the other end may have here at one time",
            default: Value("10000"),
            aliases: &["max_sessions", "sessions", "connections", "maxconn"],
        }
        max_listeners: Count {
            doc: "addresses that the other end may have us listen on",
            default: Value("64"),
            aliases: &["listeners", "max_ports", "max_ports_per_client"],
        }
        max_flows: CountTo<8192> {
            doc: "flows of datagrams that each end may have through the tunnel at one time; beyond them, the one that was idle for \
                  the longest ends",
            default: Value("4096"),
            aliases: &["flows", "udp_max_connections"],
        }
        ping: Time {
            doc: "how often the other end is asked whether it is there; three pings without an answer end the link",
            range: Between("1s", "60s"),
            default: Value("10s"),
            aliases: &["heartbeat", "heartbeat_interval", "keepalive", "keep_alive", "interval", "persistent_keepalive"],
        }
        pool: CountTo<64> {
            doc: "connections that are kept ready at least for sessions that begin; more where more are used",
            default: Value("2"),
            aliases: &["pool_count", "pool_size", "min_idle", "ready"],
        }
        congestion: One<CongestionChoice> {
            doc: "the congestion control of its connections, for what this end sends, as `bbr` for ways that lose packets; \
                  `\"auto\"` is the host's default, and on loopback as of routes; `\"off\"` is always the host's default",
            takes: "`\"auto\"`, `\"off\"` or a name",
            default: Value("auto"),
            aliases: &["tcp_congestion", "congestion_control", "tcp_congestion_control", "tcp_cc", "cc"],
        }
        trust_client: Truth {
            doc: "whether the other end's word counts for who its clients are; `false` makes the tunnel itself the client, for \
                  `allow`, limits and records",
            default: Value("true"),
        }
        defaults: Settings {
            doc: "Settings of the routes that the other end asks for here, as `[defaults]`, which applies to them where this \
                  table is silent. The other end cannot change them.",
        }
    }
}

pub(crate) use link::WrittenLink;
pub(crate) use own::WrittenTunnel;
