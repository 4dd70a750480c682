//! What a hostile opener cannot have: more idle carriers than are held, and a session behind the sweep of a reload.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::waiting::{Arrivals, MAX_HELD, Waiting};
use crate::address::{Protocol, There};
use crate::engine::{self, Declaration, Settings};
use crate::ledger::{Ledger, Record};
use crate::outcome::{End, SessionId};
use crate::plan::{self, Plan, Source};
use crate::proxy_protocol::{Ends, Header, Tlvs};
use crate::transport::tunnel::carrier::testing::{links, until};
use crate::transport::tunnel::carrier::{Carrier, FrameLink};
use crate::transport::tunnel::message;
use crate::transport::tunnel::open::Open;
use crate::tunnel::asked;
use crate::tunnel::datagrams::Hub;
use crate::tunnel::link::{Link, Terms};

const PATIENCE: Duration = Duration::from_secs(20);

/// The secret key of the first test of RFC 8032, section 7.1, and the public key of the second.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const HOME: &str = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

/// A plan that offers the service at this port to the tunnel `home`.
fn plan(service: u16) -> Arc<Plan> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("tunnel.key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "tunnel.listen = '127.0.0.1:4433'\n[tunnels.home]\npublic_key = '{HOME}'\n[routes.web]\nlisten = \
         'tunnel:home'\ntarget = '127.0.0.1:{service}'\n"
    );
    let name = folder.path().join("f.toml").display().to_string();
    Arc::new(plan::parse(&name, &text, &[]).unwrap_or_else(|problems| panic!("{}", problems.render(false))))
}

/// The tunnel `home`, its carriers, and the ends of its sessions.
struct Tunnel {
    link: Arc<Link>,
    plan: Arc<Plan>,
    waiting: Arc<Waiting>,
    arrivals: Arrivals,
    ends: mpsc::Receiver<End>,
}

fn tunnel(service: u16) -> Tunnel {
    let plan = plan(service);
    let (record, ends) = mpsc::channel();
    let ledger = Ledger::new(Box::new(move |it: &Record| {
        let _ = record.send(it.outcome.end);
    }));
    let engine = engine::start(Settings::fitting(&plan), ledger).unwrap();
    let line = engine.lines().get(&"home".parse().unwrap());
    let terms = Terms::new(plan.clone(), plan.tunnels.links[&"home".parse().unwrap()].clone());
    let (link, _) = Link::new(engine, line, CancellationToken::new(), terms, Arc::default());
    let link = Arc::new(link);
    let pass = link.pass(&HOME.parse().unwrap()).unwrap();
    let (hub, _) = Hub::new(link.clone(), pass.clone(), message::End::Accepting);
    let (waiting, arrivals) = Waiting::new(link.clone(), pass, hub);
    Tunnel { link, plan, waiting, arrivals, ends }
}

/// A carrier, and its opener.
async fn carrier(waiting: &Waiting) -> (Carrier, FrameLink) {
    let (opener, frames) = links().await;
    let peer = frames.peer().unwrap();
    (Carrier { link: frames.park().unwrap().into(), peer, carried: 0, home: waiting.home() }, opener)
}

#[tokio::test]
async fn an_opener_has_so_many_idle_carriers_and_one_more_is_closed() {
    let Tunnel { waiting, arrivals, .. } = tunnel(1);
    let mut running = JoinSet::new();
    running.spawn(waiting.clone().run(arrivals));
    let mut openers = Vec::new();

    for _ in 0..MAX_HELD + 2 {
        let (carrier, opener) = carrier(&waiting).await;
        waiting.add(carrier);
        openers.push(opener);
    }

    assert_eq!(waiting.idle(), MAX_HELD);
    for mut opener in openers.split_off(MAX_HELD) {
        assert!(timeout(PATIENCE, opener.receive(1)).await.unwrap().is_err());
    }
    openers.pop();
    until("there is room for another", || waiting.idle() < MAX_HELD).await;
    let (carrier, _opener) = carrier(&waiting).await;
    waiting.add(carrier);
    assert_eq!(waiting.idle(), MAX_HELD);
}

#[tokio::test]
async fn a_session_that_begins_while_its_key_is_withdrawn_is_revoked() {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let Tunnel { link, plan, waiting, ends, .. } = tunnel(service.local_addr().unwrap().port());
    link.engine.declare(Source::file(), Declaration::from(plan.routes.clone())).await.unwrap();
    let (carrier, _opener) = carrier(&waiting).await;
    let open = Open {
        id: SessionId([7; 10]),
        to: There::Service("web".into()),
        protocol: Protocol::Tcp,
        came: SystemTime::now(),
        header: Header { ends: Ends::Unnamed, tlvs: Tlvs::default() },
    };
    let route = asked::route_for(&link, &open.to, open.protocol).await.unwrap();

    // The key was looked up by now. The sweep meets no session.
    link.retire();
    waiting.carry(carrier, open, &route);

    assert_eq!(ends.recv_timeout(PATIENCE), Ok(End::Revoked));
}
