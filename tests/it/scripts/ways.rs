//! The ways from a client to a target: one proxy or a chain of them, so that both ends are sockets without TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use loopgate::ledger::Record;

use super::end::{Closed, View};
use super::play::PATIENCE;
use super::tunnel::{Opener, Tunnel};
use crate::harness::tls::Authority;
use crate::harness::{Connection, Proxy, Target, wait_until};

/// A way, as its routes are written.
pub(super) struct Way {
    pub(super) name: &'static str,
    /// Whether the route dials only when the client has written something.
    pub(super) is_client_first: bool,
    kind: Kind,
    pipes: usize,
    /// Of each hop, from the client on: keys of its route. PLACE stands for the folder of the certificates and the socket.
    pub(super) hops: &'static [&'static str],
}

/// What connects the hops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Tls,
    Unix,
    /// A tunnel between the two, at whose end of this role the client connects.
    Tunnel(Opener),
}

const PLAIN: Way = Way { name: "", is_client_first: false, kind: Kind::Tcp, pipes: 16, hops: &[""] };

const TO_TLS: &str = "target_tls = {name = 'localhost', ca = 'PLACE/ca.pem'}";
const FROM_TLS: &str = "tls = {certificate = 'PLACE/end.pem', key = 'PLACE/end.key'}";

pub(super) const WAYS: [Way; 15] = [
    Way { name: "copy", pipes: 0, ..PLAIN },
    Way { name: "splice", ..PLAIN },
    Way { name: "paced", hops: &["bandwidth_per_connection = '800mbit'\nbandwidth = '2gbit'"], ..PLAIN },
    Way { name: "idle", hops: &["idle_timeout = '1h'"], ..PLAIN },
    Way { name: "client-first", is_client_first: true, hops: &["client_timeout = '1h'"], ..PLAIN },
    Way {
        name: "names",
        is_client_first: true,
        hops: &["names = {'a.example' = '127.0.0.1:1'}\nnot_tls = 'TARGET'\nhello_timeout = '1h'"],
        ..PLAIN
    },
    Way { name: "proxy-header", hops: &["send_proxy = 'v2'", "accept_proxy = ['127.0.0.1']"], ..PLAIN },
    Way { name: "tls", kind: Kind::Tls, hops: &[TO_TLS, FROM_TLS], ..PLAIN },
    Way {
        name: "tls-both",
        kind: Kind::Tls,
        hops: &[
            TO_TLS,
            "tls = {certificate = 'PLACE/end.pem', key = 'PLACE/end.key'}\ntarget_tls = {name = 'localhost', ca = 'PLACE/ca.pem'}",
            FROM_TLS,
        ],
        ..PLAIN
    },
    Way {
        name: "tls-paced",
        kind: Kind::Tls,
        hops: &[
            "bandwidth_per_connection = '800mbit'\ntarget_tls = {name = 'localhost', ca = 'PLACE/ca.pem'}",
            "idle_timeout = '1h'\ntls = {certificate = 'PLACE/end.pem', key = 'PLACE/end.key'}",
        ],
        ..PLAIN
    },
    Way { name: "unix", kind: Kind::Unix, hops: &["UNIX", ""], ..PLAIN },
    Way { name: "two-hops", hops: &["", ""], ..PLAIN },
    Way { name: "tunnel-forward", kind: Kind::Tunnel(Opener::Dialling), hops: &["", ""], ..PLAIN },
    Way { name: "tunnel-reverse", kind: Kind::Tunnel(Opener::Accepting), hops: &["", ""], ..PLAIN },
    Way {
        name: "tunnel-paced",
        kind: Kind::Tunnel(Opener::Dialling),
        hops: &["bandwidth_per_connection = '800mbit'", "idle_timeout = '1h'\nbandwidth = '2gbit'"],
        ..PLAIN
    },
];

impl Way {
    pub(super) fn called(name: &str) -> Option<&'static Way> {
        WAYS.iter().find(|way| way.name == name)
    }

    pub(super) fn has_tls(&self) -> bool {
        self.kind == Kind::Tls
    }

    pub(super) fn is_tunnel(&self) -> bool {
        matches!(self.kind, Kind::Tunnel(_))
    }

    /// Whether a reset may be no more than an end on this way, of a client that has closed like that, or not yet.
    pub(super) fn resets_are_ends(&self, closed: Option<Closed>, at_close: Option<View>) -> bool {
        match self.kind {
            Kind::Tcp | Kind::Tunnel(_) => false,
            // Many clients of TLS close so, without reading the target's close_notify: that is no break.
            Kind::Tls => {
                let has_end = matches!(at_close, Some(View::Open { fin: true, .. }));
                has_end && matches!(closed, Some(Closed::Reset | Closed::OverUnread))
            }
            // A Unix socket has no reset: what comes behind one is read to its end, and then closed.
            Kind::Unix => true,
        }
    }
}

/// A way that is open, with a target at its end.
pub(super) struct Road {
    pub(super) target: Target,
    /// From the client on.
    hops: Vec<Proxy>,
    client_at: SocketAddr,
    _authority: Authority,
    _tunnel: Option<Tunnel>,
}

impl Road {
    pub(super) fn open(way: &Way) -> Road {
        let authority = Authority::new();
        authority.issue("end", &["localhost"]);
        let target = Target::manual();
        if let Kind::Tunnel(opener) = way.kind {
            let builder = Proxy::builder().pipes(way.pipes);
            let (hops, tunnel) = Tunnel::up(builder, opener, way.hops, target.address, authority.folder());
            let client_at = tunnel.client_at();
            let road = Road { target, hops, client_at, _authority: authority, _tunnel: Some(tunnel) };
            road.begin();
            return road;
        }
        let mut hops: Vec<Proxy> = Vec::new();
        // The hop behind is there before the one that dials it.
        let mut next = target.address.to_string();
        for (n, keys) in way.hops.iter().enumerate().rev() {
            let is_behind_unix = n > 0 && way.hops[n - 1] == "UNIX";
            let socket = format!("unix:{}", socket(authority.folder()));
            let listen = if is_behind_unix { &socket } else { "127.0.0.1:0" };
            let keys = keys.replace("PLACE", &authority.folder().display().to_string());
            let keys = keys.replace("TARGET", &next).replace("UNIX", "");
            let route = format!("[routes.test]\nlisten = '{listen}'\ntarget = '{next}'\n{keys}\n");
            let hop = Proxy::builder().pipes(way.pipes).with(&route);
            next = if is_behind_unix { socket } else { hop.address.to_string() };
            hops.insert(0, hop);
        }
        Road { target, client_at: hops[0].address, hops, _authority: authority, _tunnel: None }
    }

    /// Waits until a client reaches the target.
    fn begin(&self) {
        let client = wait_until("somebody listens", || Connection::try_to(self.client_at).ok());
        drop((self.target.accept(), client));
        assert_eq!(self.records().len(), self.hops.len());
    }

    pub(super) fn connect(&self) -> Connection {
        Connection::to(self.client_at)
    }

    /// The record of each hop of the session that was played, from the client on; fewer if some do not come.
    pub(super) fn records(&self) -> Vec<Record> {
        let deadline = Instant::now() + PATIENCE;
        let mut records = Vec::new();
        for hop in &self.hops {
            while Instant::now() < deadline {
                let mut come = hop.records();
                if let Some(record) = come.pop() {
                    records.push(record);
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        records
    }
}

fn socket(folder: &Path) -> String {
    folder.join("hop.sock").display().to_string()
}
