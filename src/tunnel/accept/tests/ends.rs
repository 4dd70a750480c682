//! Ends of tunnels in this process.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle as Runtime;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::engine::{self, Declaration, Handle, Settings};
use crate::ledger::{Ledger, Record};
use crate::plan::{self, Plan};
use crate::transport::tunnel::identity::PrivateKey;
use crate::transport::tunnel::line::Line;
use crate::transport::tunnel::message::{Fate, RouteIs};
use crate::tunnel::Tunnels;

/// A file needs a route.
pub(super) const NEEDED: &str = "[routes.own]\nlisten = \"127.0.0.1:0\"\ntarget = \"127.0.0.1:1\"\n";

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// One end.
pub(super) struct End {
    pub(super) engine: Handle,
    pub(super) tunnels: Tunnels,
    pub(super) records: Arc<(Mutex<Vec<String>>, Notify)>,
    /// Where others may dial it.
    pub(super) listens: Option<SocketAddr>,
    /// Where its own routes listen here.
    pub(super) routes: BTreeMap<String, SocketAddr>,
}

impl End {
    pub(super) async fn start(text: &str) -> End {
        let plan = parsed(text);
        let records = Arc::<(Mutex<Vec<String>>, Notify)>::default();
        let book = records.clone();
        let ledger = Ledger::new(Box::new(move |record: &Record| {
            book.0.lock().unwrap().push(record.to_string());
            book.1.notify_one();
        }));
        let engine = engine::start(Settings::fitting(&plan), ledger).unwrap();
        let tunnels = Tunnels::new(engine.clone());
        let mut end = End { engine, tunnels, records, listens: None, routes: BTreeMap::new() };
        end.apply(&plan).await;
        end
    }

    pub(super) async fn apply(&mut self, plan: &Plan) {
        let mut declaration = Declaration::from(plan.routes.clone());
        declaration.services = self.tunnels.services(plan).unwrap();
        let declared = self.engine.declare(plan.source.clone(), declaration).await.unwrap();
        self.tunnels.apply(plan);
        for it in declared.listening {
            match (it.owner.route(), it.address.net()) {
                (Some(id), Some(at)) => drop(self.routes.insert(id.to_string(), at)),
                (_, at) => self.listens = at,
            }
        }
    }

    pub(super) async fn reload(&mut self, text: &str) {
        self.apply(&parsed(text)).await;
    }

    /// Waits until what became of a route of the tunnel `home` is as `wanted` says, and returns where it listens.
    pub(super) async fn until(&self, wanted: impl Fn(Option<SocketAddr>) -> bool) -> Option<SocketAddr> {
        let link = self.tunnels.running().links[&"home".parse().unwrap()].link.clone();
        let mut fates = link.asked.fates();
        let at = |fates: &Arc<[RouteIs]>| {
            fates.iter().find_map(|it| match &it.fate {
                Fate::Listening { address } if it.name == "web" => address.parse().ok(),
                _ => None,
            })
        };
        let found = timeout(PATIENCE, fates.wait_for(|fates| wanted(at(fates)))).await.unwrap().unwrap();
        at(&found)
    }

    pub(super) async fn listening(&self) -> SocketAddr {
        self.until(|at| at.is_some()).await.unwrap()
    }

    /// The line of a tunnel.
    pub(super) fn line(&self, tunnel: &str) -> Arc<Line> {
        self.tunnels.running().links[&tunnel.parse().unwrap()].link.line.clone()
    }

    /// The first record.
    pub(super) async fn record(&self) -> String {
        let written = async {
            loop {
                if let Some(first) = self.records.0.lock().unwrap().first() {
                    return first.clone();
                }
                self.records.1.notified().await;
            }
        };
        timeout(PATIENCE, written).await.unwrap()
    }

    pub(super) async fn stop(self) {
        self.tunnels.stop(PATIENCE).await;
        self.engine.stop(Duration::ZERO).await.unwrap();
    }
}

pub(super) fn parsed(text: &str) -> Plan {
    plan::parse("end.toml", text, &[]).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

/// Waits for what no event tells.
pub(super) async fn until(is_so: impl Fn() -> bool) {
    let asked = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, asked).await.unwrap();
}

/// Two keys in files.
pub(super) struct Keys {
    pub(super) folder: TempDir,
    pub(super) server: Key,
    pub(super) home: Key,
}

pub(super) struct Key {
    pub(super) path: String,
    pub(super) public: String,
}

impl Keys {
    pub(super) fn make() -> Keys {
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str| key(&folder.path().join(name));
        Keys { server: key("server.key"), home: key("home.key"), folder }
    }
}

pub(super) fn key(path: &Path) -> Key {
    let key = PrivateKey::generate().unwrap();
    fs::write(path, &**key.to_pem()).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    Key { path: path.display().to_string(), public: key.public().to_string() }
}

/// A service that sends back what it gets.
pub(super) async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Runtime::current().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            Runtime::current().spawn(async move {
                let (mut from, mut to) = socket.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

/// One byte there and back.
pub(super) async fn echoes(visitor: &mut TcpStream) -> bool {
    let exchanged = async {
        visitor.write_all(b"x").await?;
        visitor.read_u8().await
    };
    timeout(PATIENCE, exchanged).await.unwrap().is_ok_and(|byte| byte == b'x')
}

pub(super) async fn visitor(to: SocketAddr) -> TcpStream {
    TcpStream::connect(to).await.unwrap()
}

pub(super) fn server(keys: &Keys, more: &str) -> String {
    let (own, home) = (&keys.server.path, &keys.home.public);
    format!(
        "[tunnel]\nlisten = \"127.0.0.1:0\"\nprivate_key = \"{own}\"\n\
         [tunnels.home]\npublic_key = \"{home}\"\nmay_listen = [\"127.0.0.1:1024-65535\"]\n{more}"
    )
}

pub(super) fn home(keys: &Keys, at: SocketAddr, routes: &str) -> String {
    let (own, server) = (&keys.home.path, &keys.server.public);
    format!(
        "[tunnel]\nprivate_key = \"{own}\"\n\
         [tunnels.vps]\nconnect = \"{at}\"\npublic_key = \"{server}\"\n{routes}"
    )
}

pub(super) fn web(target: SocketAddr) -> String {
    format!("[routes.web]\nlisten = \"tunnel:vps/127.0.0.1:0\"\ntarget = \"{target}\"\n")
}

/// Whether a record has this end.
pub(super) fn is_end(record: &str, end: &str) -> bool {
    record.split(' ').any(|field| field.strip_prefix("end=") == Some(end))
}
