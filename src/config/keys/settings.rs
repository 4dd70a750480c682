//! The settings of a route, which `[defaults]` has as well; tables come last.

use super::bandwidth::BandwidthOrOff;
use super::connection_rate::AllowanceOrOff;
use super::health::WrittenHealth;
use super::tls::{WrittenTargetTls, WrittenTls};
use crate::acl::Listed;
use crate::address::Protocol::{self, Tcp, Udp};
use crate::address::{Interface, SourceAddress};
use crate::balance::Balance;
use crate::config::key::Given::{InWords, Value};
use crate::config::key::Range::{Between, MoreThanZero, UpTo};
use crate::config::key::{Form, Key, Range, Section};
use crate::config::kind::{
    AllowOrOff, Bind, Count, CountOrOff, Kind, ListOrOff, NumberOrOff, One, OneOrOff, Placed, Time,
    TimeOrOff, Truth, Word,
};
use crate::config::problem::Place;
use crate::config::table::Table;
use crate::limits::{FlowPreset, FlowsFull, WhenFull};
use crate::proxy_protocol::{SendProxy, Sender};
use crate::transport::proxied::ProxyUrl;
use crate::transport::{Account, CongestionChoice, FileMode};

/// The topic of the keys that bound a route.
const ENTRY: &str = "Who may connect, how many, how fast";

table! {
    /// The settings of a route, or of `[defaults]`. A list that is written and empty is switched off.
    Settings, SETTINGS, DEFAULTS: "Settings for every route that does not set them itself.";

    protocol: Word<Protocol> {
        doc: "what the route forwards",
        default: Value("tcp"),
    }
    connect_timeout: Time {
        doc: "one attempt to reach the target, over all its addresses",
        range: MoreThanZero("1h"),
        default: Value("2s"),
        aliases: &["timeout", "dial_timeout", "proxy_connect_timeout"],
    }
    resolve: TimeOrOff {
        doc: "how often the name of a target is looked up again while clients use it; `\"off\"` only after a failure",
        range: Between("1s", "24h"),
        default: Value("30s"),
        aliases: &["resolve_interval", "dns_interval", "dns_refresh", "dns_ttl", "valid"],
    }
    wait_for_target: Time {
        doc: "how long a client is held while the target is down; `0s` resets it at once",
        range: UpTo("1h"),
        default: Value("0s"),
        only: Some(Tcp),
    }
    source: ListOrOff<SourceAddress> {
        doc: "the address to connect from; each has its own 28,000 ports",
        takes: "address",
        default: InWords("`\"off\"`, the kernel's choice"),
        example: r#""127.0.0.2""#,
    }
    interface: OneOrOff<Interface> {
        doc: "the interface to connect through",
        takes: "name",
        default: InWords("`\"off\"`, as the routing says"),
        example: r#""eth0""#,
    }
    bind: Bind {
        doc: "if an address cannot be listened on: `\"strict\"` starts nothing, `\"retry\"` keeps trying",
        default: Value("strict"),
    }
    v6only: Truth {
        doc: "whether a listener on `[::]` takes IPv6 only; `false` takes IPv4 as well, as one socket",
        default: Value("true"),
        only: Some(Tcp),
    }
    socket_mode: One<FileMode> {
        doc: "who may connect to a Unix socket the route listens on; `\"0660\"` adds the group",
        form: Form::FileMode,
        default: Value("0600"),
    }
    socket_owner: One<Account> {
        doc: "who owns the socket file; needs root",
        takes: "name or number",
        default: InWords("the user Loopgate runs as"),
        example: r#""www-data""#,
    }
    socket_group: One<Account> {
        doc: "the group of the socket file",
        takes: "name or number",
        default: InWords("Loopgate's own"),
        example: r#""www-data""#,
    }
    reset_linger: Time {
        doc: "how long a reset waits for bytes that the other side has not taken yet",
        range: UpTo("1h"),
        default: Value("5s"),
        only: Some(Tcp),
    }
    allow: AllowOrOff<Listed> {
        doc: "who may connect; a file has one entry per line and is read again when it changes",
        takes: "networks, addresses, `\"localhost\"`, `\"file:PATH\"`, and for Unix sockets `\"uid:1000\"`, `\"gid:www-data\"`",
        topic: ENTRY,
        default: InWords("`\"off\"`, every client that `deny` does not name"),
        example: r#"["10.0.0.0/8", "::1"]"#,
        aliases: &["whitelist", "allowlist", "allowed", "allow_from", "sourcerange", "permit"],
    }
    deny: ListOrOff<Listed> {
        doc: "who may not connect, even if `allow` lists it",
        takes: "as `allow`",
        topic: ENTRY,
        default: InWords("`\"off\"`, no client"),
        example: r#""192.0.2.0/24""#,
        aliases: &["blacklist", "blocklist", "denylist", "denied", "deny_from", "block", "reject"],
    }
    max_connections: CountOrOff {
        doc: "sessions of the route at one time; of TCP routes alone, as are `when_full` and `queue` (UDP: \
          `max_flows`, `flows_full`)",
        topic: ENTRY,
        default: InWords("`\"off\"`"),
        example: "200",
        aliases: &["maxconn", "max_conns", "connections", "connection_limit"],
    }
    max_connections_per_client: CountOrOff {
        doc: "sessions, or flows of a UDP route, of one client at one time; a client is an IPv4 address, or the \
          /64 network of an IPv6 address",
        topic: ENTRY,
        default: InWords("`\"off\"`"),
        example: "20",
        aliases: &["limit_conn", "max_connections_per_ip", "connections_per_ip", "per_ip"],
    }
    connection_rate: AllowanceOrOff {
        doc: "new sessions or flows: that many at once, then evenly spaced; a table has `rate` and `burst`",
        topic: ENTRY,
        default: InWords("`\"off\"`"),
        example: r#""100/s""#,
        aliases: &["rate_limit", "ratelimit", "connections_per_second", "limit_req", "burst"],
    }
    connection_rate_per_client: AllowanceOrOff {
        doc: "new sessions or flows of one client, as `connection_rate`",
        topic: ENTRY,
        default: InWords("`\"off\"`"),
        example: r#""10/s""#,
    }
    when_full: Word<WhenFull> {
        doc: "at `max_connections` of the route or of all its targets: `\"refuse\"` resets the new client, `\"queue\"` \
              lets it wait, `\"evict_idle\"` (of the route alone) ends the session idle longest",
        topic: ENTRY,
        default: Value("refuse"),
    }
    queue: Count {
        doc: "clients that may wait; one more is reset",
        topic: ENTRY,
        default: Value("100"),
        aliases: &["maxqueue", "queue_length", "backlog"],
    }
    queue_timeout: Time {
        doc: "how long a client may wait for a place before it is reset",
        topic: ENTRY,
        range: MoreThanZero("1h"),
        default: Value("5s"),
        aliases: &["timeout_queue", "queue_deadline"],
    }
    limits_dry_run: Truth {
        doc: "whether clients over a limit of the route's connections or connection rates are let in all the same and only \
              noted in their records",
        topic: ENTRY,
        default: Value("false"),
        aliases: &["dry_run", "limit_conn_dry_run", "limit_req_dry_run", "log_only", "report_only"],
    }
    client_timeout: TimeOrOff {
        doc: "how long a client may take to send its first byte; until then the target is not dialled",
        range: Between("1ms", "1h"),
        default: InWords("`\"off\"`, as it must be where the service speaks first"),
        example: r#""5s""#,
        aliases: &["first_byte_timeout", "preread_timeout", "slow_client", "defer_accept"],
        only: Some(Tcp),
    }
    keepalive: TimeOrOff {
        doc: "silence after which the peer is probed",
        range: Between("1s", "2h"),
        default: InWords("`\"1m\"`, on loopback `\"off\"`"),
        example: r#""1m""#,
        aliases: &["tcp_keepalive", "keepalive_secs", "so_keepalive", "tcpka"],
        only: Some(Tcp),
    }
    user_timeout: TimeOrOff {
        doc: "a peer that acknowledges nothing for this long is given up; below 30s, so is one that reads nothing",
        range: Between("1s", "24h"),
        default: InWords("`\"10m\"`, on loopback `\"off\"`"),
        example: r#""10m""#,
        aliases: &["tcp_user_timeout", "tcp_timeout", "tcp-ut"],
        only: Some(Tcp),
    }
    congestion: One<CongestionChoice> {
        doc: "the congestion control of sockets on loopback: `\"auto\"` is `reno` where the host's default paces, as \
              `bbr`, which is slow there; `\"off\"` is the host's default; other sockets always have that",
        takes: "`\"auto\"`, `\"off\"` or a name",
        default: Value("auto"),
        aliases: &["tcp_congestion", "congestion_control", "tcp_congestion_control", "tcp_cc", "cc"],
        only: Some(Tcp),
    }
    bandwidth: BandwidthOrOff {
        doc: "what all sessions or flows of the route together may move, in each direction; a table has `up`, `down` and \
              `burst`; datagrams beyond it are dropped",
        topic: ENTRY,
        default: InWords("`\"off\"`"),
        example: r#""100mbit""#,
        aliases: &["rate", "rate_limit", "limit_rate", "bwlim", "speed", "throughput"],
    }
    bandwidth_per_connection: BandwidthOrOff {
        doc: "what each session or flow may move, in each direction, as `bandwidth`",
        topic: ENTRY,
        default: InWords("`\"off\"`"),
        example: r#""10mbit""#,
        aliases: &["proxy_upload_rate", "proxy_download_rate", "rate_per_connection"],
    }
    preset: Word<FlowPreset> {
        doc: "`\"dns\"` sets `idle_timeout = \"10s\"` and `answers = 1`; a key that is written out wins",
        default: Value("any"),
        only: Some(Udp),
    }
    max_flows: Count {
        doc: "flows of the route at one time",
        default: Value("10000"),
        aliases: &["max_sessions", "udp_max_connections"],
        only: Some(Udp),
    }
    flows_full: Word<FlowsFull> {
        doc: "a client beyond that: `\"evict\"` ends the flow idle longest, `\"refuse\"` drops the new client's \
          datagrams",
        default: Value("evict"),
        only: Some(Udp),
    }
    idle_timeout: TimeOrOff {
        doc: "a session without a byte, or a flow without a datagram, in either direction for this long ends",
        range: Between("1ms", "24h"),
        default: InWords("`\"off\"` for TCP, `\"2m\"` for UDP"),
        example: r#""2m""#,
        aliases: &["udp_timeout", "proxy_timeout", "session_timeout", "ttl", "timeout_client", "timeout_server"],
    }
    max_session_age: TimeOrOff {
        doc: "a session or flow as old as this ends, however busy it is",
        range: Between("1ms", "8760h"),
        default: InWords("`\"off\"`"),
        example: r#""8h""#,
        aliases: &["max_connection_age", "max_connection_duration", "max_lifetime", "max_age", "lifetime"],
    }
    answers: NumberOrOff {
        doc: "answers to each datagram after which a flow is done; with `0` it is done once its datagrams are sent",
        default: InWords("`\"off\"`, only time ends it"),
        example: "1",
        aliases: &["proxy_responses", "responses"],
        only: Some(Udp),
    }
    requests: CountOrOff {
        doc: "datagrams of the client that a flow carries, the next one opens another; with `answers`, a flow is done only \
              once it has had them all",
        default: InWords("`\"off\"`, any number"),
        example: "1",
        aliases: &["proxy_requests", "udp_requests", "max_requests"],
        only: Some(Udp),
    }
    max_amplification: CountOrOff {
        doc: "bytes per byte received, for a client that never continued after an answer",
        default: InWords("`\"off\"`"),
        example: "3",
        only: Some(Udp),
    }
    balance: Word<Balance> {
        doc: "how one of several targets is chosen: `\"round_robin\"` each in turn, `\"least_connections\"` the one with \
              the fewest sessions, `\"random\"` the better of two, `\"source_hash\"` one for each client's address, \
              `\"first\"` the first that is up; all others go by weight",
        default: Value("round_robin"),
        aliases: &["algorithm", "lb_algorithm", "strategy", "policy", "load_balancing"],
    }
    next_target: CountOrOff {
        doc: "how many other targets are tried for a client that one has failed; `\"off\"` tries none. A target that is \
              known to be down and is only tried to see whether it is back does not count",
        default: InWords("each of the others, once"),
        example: "1",
        aliases: &["proxy_next_upstream", "proxy_next_upstream_tries", "redispatch", "retries", "max_retries", "tries"],
    }
    accept_proxy: ListOrOff<Sender> {
        doc: "the proxies, which alone may connect, each with a PROXY header (v1 or v2)",
        takes: "networks, addresses, `\"localhost\"`, `\"unix\"`",
        default: InWords("`\"off\"`, no header"),
        example: r#"["10.0.0.7"]"#,
        aliases: &["set_real_ip_from", "expect_proxy", "trusted_proxies"],
        only: Some(Tcp),
    }
    accept_proxy_timeout: Time {
        doc: "how long the header may take, from the connection on",
        range: MoreThanZero("1h"),
        default: Value("5s"),
        aliases: &["proxy_protocol_timeout"],
        only: Some(Tcp),
    }
    proxy_url: OneOrOff<ProxyUrl> {
        doc: "the proxy that targets are dialled through, checks included: `socks5://` or `http://` (CONNECT), as \
              `socks5://user:password@host:1080`; the proxy looks names up, and `localhost` is its own machine",
        takes: "URL",
        default: InWords("`\"off\"`, targets are dialled directly"),
        example: r#""socks5://127.0.0.1:1080""#,
        aliases: &["proxy", "http_proxy", "https_proxy", "all_proxy", "socks_proxy", "socks5", "socks", "socks4", "via"],
        only: Some(Tcp),
    }
    send_proxy: Word<SendProxy> {
        doc: "the PROXY header to send to the target first",
        default: Value("off"),
        aliases: &["proxy_protocol", "send_proxy_v2", "send_proxy_protocol"],
        only: Some(Tcp),
    }
    hello_timeout: Time {
        doc: "on routes with `names`, `alpn` or `not_tls`: how long a client's hello may take",
        range: MoreThanZero("1h"),
        default: Value("5s"),
        aliases: &["inspect_delay", "preread_timeout", "sni_timeout"],
    }
    health: WrittenHealth {
        only: Some(Tcp),
    }
    tls: WrittenTls {
        aliases: &["ssl", "https", "starttls", "listen_transport"],
        only: Some(Tcp),
    }
    target_tls: WrittenTargetTls {
        aliases: &["proxy_ssl", "target_ssl", "remote_transport"],
        only: Some(Tcp),
    }
}
