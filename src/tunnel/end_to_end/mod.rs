//! Two ends in one process, over loopback: tunnels that live, and sessions through them.

mod by_quic;
mod cases;
mod datagrams;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::Tunnels;
use crate::engine::{self, Declaration, Handle, Settings};
use crate::ledger::{Ledger, Record};
use crate::plan::{self, Plan};
use crate::transport::tunnel::identity::PrivateKey;
use crate::transport::tunnel::message::{Fate, RouteIs};

/// A file needs a route.
const NEEDED: &str = "[routes.own]\nlisten = \"127.0.0.1:0\"\ntarget = \"127.0.0.1:1\"\n";

const PATIENCE: Duration = Duration::from_secs(20);

/// One end.
struct End {
    engine: Handle,
    tunnels: Tunnels,
    records: Arc<Mutex<Vec<String>>>,
    /// Where others may dial it.
    listens: Option<SocketAddr>,
    /// Where its own routes listen here.
    routes: BTreeMap<String, SocketAddr>,
}

impl End {
    async fn start(text: &str) -> End {
        let plan = plan::parse("end.toml", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let records = Arc::<Mutex<Vec<String>>>::default();
        let book = records.clone();
        let ledger =
            Ledger::new(Box::new(move |record: &Record| book.lock().unwrap().push(record.to_string())));
        let engine = engine::start(Settings::fitting(&plan), ledger).unwrap();
        let tunnels = Tunnels::new(engine.clone());
        let mut end = End { engine, tunnels, records, listens: None, routes: BTreeMap::new() };
        end.apply(&plan).await;
        end
    }

    async fn apply(&mut self, plan: &Plan) {
        let services = self.tunnels.services(plan).unwrap();
        let mut declaration = Declaration::from(plan.routes.clone());
        declaration.services = services;
        let declared = self.engine.declare(plan.source.clone(), declaration).await.unwrap();
        self.tunnels.apply(plan);
        let service = declared.listening.iter().find(|it| it.owner.route().is_none());
        self.listens = service.and_then(|it| it.address.net()).or(self.listens);
        let routes = declared
            .listening
            .iter()
            .filter_map(|it| Some((it.owner.route()?.name.to_string(), it.address.net()?)));
        self.routes = routes.collect();
    }

    async fn reload(&mut self, text: &str) {
        let plan = plan::parse("end.toml", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        self.apply(&plan).await;
    }

    /// Waits until a route of the other end listens here, and returns where.
    async fn listening_for(&self, tunnel: &str, route: &str) -> SocketAddr {
        let link = self.tunnels.running().links[&tunnel.parse().unwrap()].link.clone();
        let mut fates = link.asked.fates();
        let listens = |fates: &Arc<[RouteIs]>| {
            fates.iter().find_map(|it| match &it.fate {
                Fate::Listening { address } if it.name == route => address.parse().ok(),
                _ => None,
            })
        };
        let found = timeout(PATIENCE, fates.wait_for(|fates| listens(fates).is_some())).await;
        let found = found.unwrap_or_else(|_| panic!("{route} does not listen")).unwrap().clone();
        listens(&found).unwrap()
    }

    /// Waits until it no longer does.
    async fn not_listening_for(&self, tunnel: &str, route: &str) {
        let link = self.tunnels.running().links[&tunnel.parse().unwrap()].link.clone();
        let mut fates = link.asked.fates();
        let is_gone = |fates: &Arc<[RouteIs]>| fates.iter().all(|it| it.name != route);
        timeout(PATIENCE, fates.wait_for(is_gone)).await.unwrap().unwrap();
    }

    /// Waits for this many records.
    async fn records(&self, count: usize) -> Vec<String> {
        for _ in 0..PATIENCE.as_millis() {
            let records = self.records.lock().unwrap().clone();
            if records.len() >= count {
                return records;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("not {count} records: {:?}", self.records.lock().unwrap());
    }

    async fn stop(self) {
        self.tunnels.stop(PATIENCE).await;
        self.engine.stop(Duration::ZERO).await.unwrap();
    }
}

/// Two keys in files.
struct Keys {
    folder: TempDir,
    server: Key,
    home: Key,
}

struct Key {
    path: String,
    public: String,
}

impl Keys {
    fn make() -> Keys {
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str| key(&folder.path().join(name));
        Keys { server: key("server.key"), home: key("home.key"), folder }
    }
}

fn key(path: &Path) -> Key {
    use std::os::unix::fs::PermissionsExt;
    let key = PrivateKey::generate().unwrap();
    std::fs::write(path, &**key.to_pem()).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Key { path: path.display().to_string(), public: key.public().to_string() }
}

/// A service that sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::runtime::Handle::current().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::runtime::Handle::current().spawn(async move {
                let (mut from, mut to) = socket.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn exchange(to: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let exchanged = async {
        let mut socket = TcpStream::connect(to).await?;
        socket.write_all(bytes).await?;
        socket.shutdown().await?;
        let mut back = Vec::new();
        socket.read_to_end(&mut back).await?;
        Ok(back)
    };
    timeout(PATIENCE, exchanged).await.expect("an answer")
}

fn server(keys: &Keys, more: &str) -> String {
    let (own, home) = (&keys.server.path, &keys.home.public);
    format!(
        "[tunnel]\nlisten = \"127.0.0.1:0\"\nprivate_key = \"{own}\"\n\
         [tunnels.home]\npublic_key = \"{home}\"\nmay_listen = [\"127.0.0.1:1024-65535\"]\n{more}"
    )
}

fn home(keys: &Keys, at: SocketAddr, routes: &str) -> String {
    let (own, server) = (&keys.home.path, &keys.server.public);
    format!(
        "[tunnel]\nprivate_key = \"{own}\"\n\
         [tunnels.vps]\nconnect = \"{at}\"\npublic_key = \"{server}\"\n{routes}"
    )
}

fn web(target: SocketAddr) -> String {
    format!("[routes.web]\nlisten = \"tunnel:vps/127.0.0.1:0\"\ntarget = \"{target}\"\n")
}

/// The word after `key=` in a record.
fn word<'r>(record: &'r str, key: &str) -> &'r str {
    record.split(' ').find_map(|field| field.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
}
