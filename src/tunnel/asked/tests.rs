//! What the other end asks for, carried out by an engine that runs.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Times, keep, route_for, withdraw, would_be};
use crate::address::{ListenAddress, Protocol, Run, TargetAddress, There};
use crate::engine::{self, Handle, Settings};
use crate::ledger::{Ledger, Record};
use crate::outcome::Cause;
use crate::plan::{self, Plan};
use crate::transport::tunnel::message::{Fate, RouteIs, WantedRoute};
use crate::tunnel::link::{Link, Terms};

/// The secret key of the first test of RFC 8032, section 7.1, and the public key of the second.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const HOME: &str = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

/// A plan whose tunnel `home` has these lines, and with these other lines.
fn plan(tunnel: &str, rest: &str) -> Arc<Plan> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("tunnel.key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "tunnel.listen = '127.0.0.1:4433'\n{rest}\n[tunnels.home]\npublic_key = '{HOME}'\n{tunnel}\n"
    );
    let name = folder.path().join("f.toml").display().to_string();
    Arc::new(plan::parse(&name, &text, &[]).unwrap_or_else(|problems| panic!("{}", problems.render(false))))
}

fn terms(plan: &Arc<Plan>) -> Terms {
    let tunnel = plan.tunnels.links[&"home".parse().unwrap()].clone();
    Terms::new(plan.clone(), tunnel)
}

const LINGER: Duration = Duration::from_millis(200);

/// A tunnel whose wishes are carried out.
struct Kept {
    link: Arc<Link>,
    engine: Handle,
    _keeping: JoinSet<()>,
}

fn kept(plan: &Arc<Plan>) -> Kept {
    kept_for(plan, Duration::from_secs(60))
}

fn kept_for(plan: &Arc<Plan>, linger: Duration) -> Kept {
    let ledger = Ledger::new(Box::new(|_: &Record| {}));
    let engine = engine::start(Settings::fitting(plan), ledger).unwrap();
    let line = engine.lines().get(&"home".parse().unwrap());
    let (link, inbox) =
        Link::new(engine.clone(), line, CancellationToken::new(), terms(plan), Arc::default());
    let link = Arc::new(link);
    let mut keeping = JoinSet::new();
    let times = Times { linger, retry: Duration::from_millis(20) };
    keeping.spawn(keep(link.clone(), inbox, times));
    Kept { link, engine, _keeping: keeping }
}

impl Kept {
    /// What becomes of these routes.
    async fn want(&self, routes: &[WantedRoute]) -> Vec<RouteIs> {
        let mut fates = self.link.asked.fates();
        self.link.asked.want(routes.to_vec());
        fates.changed().await.unwrap();
        fates.borrow_and_update().to_vec()
    }

    async fn dial(&self, to: &str) -> Result<String, Cause> {
        let address = to.parse::<Run<TargetAddress>>().unwrap().first().clone();
        let id = route_for(&self.link, &There::Address(Box::new(address)), Protocol::Tcp).await;
        id.map(|id| id.to_string())
    }
}

fn wants(name: &str, listen: &[&str]) -> WantedRoute {
    let listen = listen.iter().map(|text| (*text).to_owned()).collect();
    WantedRoute { name: name.to_owned(), protocol: Protocol::Tcp, listen }
}

fn shown(fates: &[RouteIs]) -> String {
    let one = |it: &RouteIs| match &it.fate {
        Fate::Offered => format!("{} offered", it.name),
        Fate::Listening { address } => format!("{} {address}", it.name),
        Fate::Refused { code } => format!("{} {code:?}", it.name),
    };
    fates.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A port that is free now.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn accepts(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[tokio::test]
async fn what_is_permitted_listens_and_nothing_else_is_bound() {
    let (open, closed) = (free(), free());
    let kept = kept(&plan(&format!("may_listen = '127.0.0.1:{open}'"), ""));

    let fates =
        kept.want(&[wants("web", &[&open.to_string(), &closed.to_string()]), wants("shop", &[])]).await;

    assert_eq!(shown(&fates), format!("web 127.0.0.1:{open}, web NotPermitted, shop offered"));
    assert!(accepts(open) && !accepts(closed));
    let fates = kept.want(&[]).await;
    assert!(fates.is_empty() && !accepts(open));
}

#[tokio::test]
async fn a_taken_port_closes_no_other_and_is_had_once_it_is_free() {
    let (one, other) = (free(), free());
    let holder = TcpListener::bind(("127.0.0.1", one)).unwrap();
    let kept = kept(&plan("may_listen = '127.0.0.1'", ""));

    let fates = kept.want(&[wants("web", &[&one.to_string(), &other.to_string()])]).await;
    assert_eq!(shown(&fates), format!("web Taken, web 127.0.0.1:{other}"));

    drop(holder);
    let mut fates = kept.link.asked.fates();
    fates.changed().await.unwrap();
    assert_eq!(shown(&fates.borrow()), format!("web 127.0.0.1:{one}, web 127.0.0.1:{other}"));
}

#[tokio::test]
async fn a_port_of_our_choice_is_the_same_after_a_restart_and_another_if_it_is_taken() {
    let plan = plan("may_listen = '127.0.0.1'", "");
    let wanted = [wants("web", &["0"])];
    let chosen = |fates: &[RouteIs]| shown(fates).rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let first = {
        let kept = kept(&plan);
        let first = chosen(&kept.want(&wanted).await);
        kept.engine.stop(Duration::ZERO).await.unwrap();
        first
    };

    let again = kept(&plan);
    assert_eq!(chosen(&again.want(&wanted).await), first);
    again.engine.stop(Duration::ZERO).await.unwrap();

    let _holder = TcpListener::bind(("127.0.0.1", first)).unwrap();
    let other = chosen(&kept(&plan).want(&wanted).await);
    assert!(other != first && other >= 1024, "{other}");
}

#[tokio::test]
async fn listeners_of_a_control_that_has_gone_are_closed_in_the_end_and_those_of_one_that_is_back_are_not() {
    let (one, other) = (free(), free());
    let plan = plan("may_listen = '127.0.0.1'", "");
    let (back, away) = (kept_for(&plan, LINGER), kept_for(&plan, LINGER));
    let wanted = [wants("web", &[&one.to_string()])];
    back.want(&wanted).await;
    away.want(&[wants("web", &[&other.to_string()])]).await;
    let (mut fates, begun) = (away.link.asked.fates(), Instant::now());

    back.link.asked.lose();
    tokio::task::yield_now().await;
    back.want(&wanted).await;
    away.link.asked.lose();
    fates.changed().await.unwrap();

    assert!(begun.elapsed() >= LINGER && fates.borrow().is_empty());
    assert!(accepts(one) && !accepts(other));
}

#[tokio::test]
async fn a_narrower_permission_closes_the_listener_and_a_wider_one_opens_it() {
    let port = free();
    let (wide, narrow) = (plan("may_listen = '127.0.0.1'", ""), plan("", ""));
    let kept = kept(&wide);
    kept.want(&[wants("web", &[&port.to_string()])]).await;
    let mut fates = kept.link.asked.fates();

    kept.link.follow(terms(&narrow));
    fates.changed().await.unwrap();
    assert_eq!(shown(&fates.borrow_and_update()), "web NotPermitted");
    assert!(!accepts(port));

    kept.link.follow(terms(&wide));
    fates.changed().await.unwrap();
    assert!(accepts(port));
}

#[tokio::test]
async fn an_address_that_the_file_needs_is_given_up() {
    let port = free();
    let kept = kept(&plan("may_listen = '127.0.0.1'", ""));
    kept.want(&[wants("web", &[&port.to_string()])]).await;
    let mut fates = kept.link.asked.fates();
    let needed = |text: &str| (Protocol::Tcp, text.parse::<Run<ListenAddress>>().unwrap().first().clone());

    assert!(!kept.link.asked.yield_to(&[needed("127.0.0.1:1")]).await);
    assert!(kept.link.asked.yield_to(&[needed(&format!("0.0.0.0:{port}"))]).await);

    assert_eq!(shown(&fates.borrow_and_update()), "web Taken");
    assert!(!accepts(port));
}

#[tokio::test]
async fn what_is_withdrawn_no_longer_listens() {
    let port = free();
    let kept = kept(&plan("may_listen = '127.0.0.1'", ""));
    kept.want(&[wants("web", &[&port.to_string()])]).await;

    withdraw(&kept.link).await;

    assert!(!accepts(port));
}

#[tokio::test]
async fn a_question_binds_nothing() {
    let port = free();
    let kept = kept(&plan("may_listen = '127.0.0.1'", ""));

    let fates = would_be(&kept.link, &[wants("web", &[&port.to_string(), "0.0.0.0:80"])]);

    assert_eq!(shown(&fates), format!("web 127.0.0.1:{port}, web NotPermitted"));
    assert!(!accepts(port));
}

#[tokio::test]
async fn only_what_may_be_dialled_is_dialled_and_never_where_tunnels_connect() {
    let may = "may_dial = ['10.0.0.0/8:5432', '127.0.0.1', 'localhost:81']";
    let kept = kept(&plan(may, ""));

    assert_eq!(kept.dial("10.0.0.5:5432").await, Ok("10.0.0.5:5432@home".to_owned()));
    assert_eq!(kept.dial("[::ffff:10.0.0.5]:5432").await.map(|_| ()), Ok(()));
    assert_eq!(kept.dial("127.0.0.1:80").await, Ok("127.0.0.1:80@home".to_owned()));
    assert_eq!(kept.dial("localhost:81").await, Ok("localhost:81@home".to_owned()));
    for refused in ["10.0.0.5:80", "11.0.0.5:5432", "127.0.0.1:4433", "db:5432", "localhost:82", "unix:/x"] {
        assert_eq!(kept.dial(refused).await, Err(Cause::TunnelRefused), "{refused}");
    }
}

#[tokio::test]
async fn a_name_reaches_only_a_route_that_listens_in_this_very_tunnel() {
    let other = format!("[tunnels.office]\nconnect = '127.0.0.1:1'\npublic_key = '{HOME}'\n");
    let routes = "[routes.db]\nlisten = 'tunnel:home'\ntarget = '1'\n[routes.other]\nlisten = 'tunnel:office'\ntarget = '2'\n\
                  [routes.own]\nlisten = '127.0.0.1:0'\ntarget = '3'\n";
    let kept = kept(&plan("", &format!("{other}{routes}")));
    let ask = async |name: &str, protocol| {
        let route = route_for(&kept.link, &There::Service(name.into()), protocol).await;
        route.map(|id| id.to_string())
    };

    assert_eq!(ask("db", Protocol::Tcp).await, Ok("db".to_owned()));
    for (name, protocol) in
        [("db", Protocol::Udp), ("other", Protocol::Tcp), ("own", Protocol::Tcp), ("none", Protocol::Tcp)]
    {
        assert_eq!(ask(name, protocol).await, Err(Cause::TunnelRefused), "{name}");
    }
}
