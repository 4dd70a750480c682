//! Two ends in one process, over loopback: tunnels that live, and sessions through them.

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
use crate::address::There;
use crate::engine::{self, Declaration, Handle, Settings};
use crate::ledger::{Ledger, Record};
use crate::outcome::Cause;
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

#[tokio::test]
async fn a_visitor_there_reaches_a_service_here_again_and_again() {
    let keys = Keys::make();
    let service = echo().await;
    let there = End::start(&server(&keys, NEEDED)).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &web(service))).await;
    let at = there.listening_for("home", "web").await;

    for n in 0..30 {
        let sent = vec![n; 1 + 5000 * usize::from(n)];
        assert!(exchange(at, &sent).await.unwrap() == sent, "session {n}");
    }

    let (theirs, ours) = (there.records(30).await, here.records(30).await);
    let ids = |records: &[String]| {
        let mut ids: Vec<_> = records.iter().map(|record| word(record, "id").to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&theirs), ids(&ours));
    assert!(theirs.iter().chain(&ours).all(|record| word(record, "end") == "done"), "{theirs:#?}{ours:#?}");
    assert_eq!(word(&ours[0], "tunnel"), "vps", "{}", ours[0]);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_client_here_reaches_a_service_there_by_its_name_and_no_other() {
    let keys = Keys::make();
    let service = echo().await;
    let offered = format!("[routes.db]\nlisten = \"tunnel:home\"\ntarget = \"{service}\"\n");
    let hidden = format!("[routes.secret]\nlisten = \"127.0.0.1:0\"\ntarget = \"{service}\"\n");
    let there = End::start(&server(&keys, &(offered + &hidden))).await;
    let route = |name: &str, more: &str| {
        format!("[routes.{name}]\nlisten = \"127.0.0.1:0\"\ntarget = \"tunnel:vps/{name}\"\n{more}")
    };
    // The first may come before the tunnel is up.
    let routes = route("db", "wait_for_target = \"20s\"\n") + &route("secret", "") + &route("none", "");
    let here = End::start(&home(&keys, there.listens.unwrap(), &routes)).await;
    let at = |name: &str| here.routes[name];

    assert_eq!(exchange(at("db"), b"hello").await.unwrap(), b"hello");
    for refused in ["secret", "none"] {
        assert!(exchange(at(refused), b"hello").await.is_err(), "{refused}");
    }

    let records = here.records(3).await;
    // A record is written once its carrier is free, and that may be after the next one's.
    let mut ends: Vec<_> =
        records.iter().map(|record| ["route", "end", "cause"].map(|key| word(record, key))).collect();
    ends.sort();
    let refused = |route| [route, "no_target", "tunnel_refused"];
    assert_eq!(ends, [["db", "done", ""], refused("none"), refused("secret")], "{records:#?}");
    assert_eq!(there.records(1).await.len(), 1, "what is not offered has no session there");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_reload_here_changes_what_listens_there_and_nothing_else() {
    let keys = Keys::make();
    let service = echo().await;
    let there = End::start(&server(&keys, NEEDED)).await;
    let listens = there.listens.unwrap();
    let api = format!("[routes.api]\nlisten = \"tunnel:vps/127.0.0.1:0\"\ntarget = \"{service}\"\n");
    let mut here = End::start(&home(&keys, listens, &web(service))).await;
    let web_at = there.listening_for("home", "web").await;
    let mut open = TcpStream::connect(web_at).await.unwrap();
    open.write_all(b"still ").await.unwrap();

    here.reload(&home(&keys, listens, &(web(service) + &api))).await;
    let api_at = there.listening_for("home", "api").await;
    assert_eq!(exchange(api_at, b"new").await.unwrap(), b"new");
    assert_eq!(there.listening_for("home", "web").await, web_at);
    here.reload(&home(&keys, listens, &api)).await;
    there.not_listening_for("home", "web").await;

    assert!(TcpStream::connect(web_at).await.is_err(), "the route is gone");
    open.write_all(b"here").await.unwrap();
    open.shutdown().await.unwrap();
    let mut back = Vec::new();
    timeout(PATIENCE, open.read_to_end(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, b"still here", "its session lives on");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_server_that_starts_anew_is_dialled_again_and_listens_for_the_same_routes() {
    let keys = Keys::make();
    let service = echo().await;
    let first = End::start(&server(&keys, NEEDED)).await;
    let listens = first.listens.unwrap();
    let here = End::start(&home(&keys, listens, &web(service))).await;
    let before = first.listening_for("home", "web").await;
    first.stop().await;

    let text =
        server(&keys, NEEDED).replace("127.0.0.1:0\"\nprivate_key", &format!("{listens}\"\nprivate_key"));
    let second = End::start(&text).await;

    let after = second.listening_for("home", "web").await;
    assert_eq!(after, before, "the same port is chosen again");
    assert_eq!(exchange(after, b"again").await.unwrap(), b"again");
    here.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_service_that_is_down_here_is_down_there_and_is_back_once_it_is() {
    let keys = Keys::make();
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = service.local_addr().unwrap();
    let there = End::start(&server(&keys, NEEDED)).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &web(target))).await;
    let at = there.listening_for("home", "web").await;
    drop(service);
    // The process that has listened lives on, so that only a client shows it.
    assert!(exchange(at, b"in vain").await.is_err());
    let name = There::service("web").unwrap();
    let mut state = there.engine.lines().get(&"home".parse().unwrap()).watch();

    let down = timeout(PATIENCE, state.wait_for(|state| state.fault(&name).is_some())).await.unwrap();
    assert_eq!(
        down.unwrap().fault(&name).map(|fault| (fault.cause, fault.far)),
        Some((Cause::Refused, true))
    );

    let back = TcpListener::bind(target).await.unwrap();
    timeout(PATIENCE, state.wait_for(|state| state.fault(&name).is_none())).await.unwrap().unwrap();
    let visitor = TcpStream::connect(at).await.unwrap();
    timeout(PATIENCE, back.accept()).await.unwrap().unwrap();
    drop(visitor);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_key_that_is_taken_away_here_ends_the_tunnel_and_another_one_begins_it() {
    let keys = Keys::make();
    let service = echo().await;
    let there = End::start(&server(&keys, NEEDED)).await;
    let listens = there.listens.unwrap();
    let mut here = End::start(&home(&keys, listens, &web(service))).await;
    let at = there.listening_for("home", "web").await;
    let line = here.engine.lines().get(&"vps".parse().unwrap());
    let mut state = line.watch();
    assert!(state.borrow_and_update().is_up());

    let other = key(&keys.folder.path().join("other.key"));
    here.reload(&home(&keys, listens, &web(service)).replace(&keys.server.public, &other.public)).await;
    timeout(PATIENCE, state.wait_for(|state| !state.is_up())).await.unwrap().unwrap();

    here.reload(&home(&keys, listens, &web(service))).await;
    timeout(PATIENCE, state.wait_for(|state| state.is_up())).await.unwrap().unwrap();
    assert_eq!(exchange(at, b"back").await.unwrap(), b"back");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_hundred_visitors_at_once_are_all_carried_and_one_more_than_the_tunnel_may_have_is_not() {
    let keys = Keys::make();
    let service = echo().await;
    // A handshake of these builds takes its time.
    let defaults = format!("[tunnels.home.defaults]\nconnect_timeout = \"20s\"\n{NEEDED}");
    let there = End::start(&server(&keys, &defaults)).await;
    let text = home(&keys, there.listens.unwrap(), &web(service));
    let here = End::start(&text.replace("[routes", "max_connections = 100\n[routes")).await;
    let at = there.listening_for("home", "web").await;
    let mut open = Vec::new();
    for n in 0..100_u8 {
        let mut visitor = TcpStream::connect(at).await.unwrap();
        visitor.write_all(&[n]).await.unwrap();
        open.push(visitor);
    }
    for (n, visitor) in open.iter_mut().enumerate() {
        let echoed = timeout(PATIENCE, visitor.read_u8()).await.unwrap();
        assert_eq!(echoed.unwrap(), n as u8);
    }

    assert!(exchange(at, b"one more").await.is_err());
    drop(open.pop());
    // Its end has to reach this end before there is room.
    there.records(2).await;
    here.records(1).await;
    assert_eq!(exchange(at, b"room").await.unwrap(), b"room");
    drop(open);
    here.stop().await;
    there.stop().await;
}
