//! Along which routes the flows of tunnels go: one that listens in a tunnel alone, one whose target is in a further tunnel, one
//! whose target has a name, one that leads back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use loopgate::engine::Source;
use loopgate::outcome::{Cause, Client, End};
use loopgate::plan::{self, Routes};
use loopgate::transport::tunnel::identity::PrivateKey;

use super::link::Link;
use super::{Ends, declare, declare_to, far_route, id};
use crate::harness::Proxy;
use crate::harness::datagrams::{EchoDatagrams, ask, client, receive, socket};

/// A proxy that clients send to, and the tunnel to the route `game` of `there`.
fn into(there: &Proxy) -> (Proxy, SocketAddr, Arc<Link>) {
    let here = Proxy::builder().with("routes.other = {listen = '127.0.0.1:0', target = '1'}");
    let address = declare(&here, "127.0.0.1:0", "", &["tunnel:home/game"]);
    let link = Link::between(here.engine(), there.engine(), id("game"), true);
    (here, address, link)
}

#[test]
fn a_route_that_listens_nowhere_here_carries_what_a_tunnel_brings() {
    let echo = EchoDatagrams::start();
    let ends = Ends::to(echo.address);
    let hidden = format!(
        "[tunnels.office]\nconnect = 'vps:4433'\npublic_key = 'ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw'\n\
         [routes.game]\nlisten = ['tunnel:office/27015', 'tunnel:office']\ntarget = '{}'\nprotocol = 'udp'\n",
        echo.address
    );
    let folder = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate().unwrap();
    key.write_new(&folder.path().join("tunnel.key")).unwrap();
    let file = folder.path().join("f.toml").display().to_string();
    let plan = plan::parse(&file, &hidden, &[]).unwrap_or_else(|problems| panic!("{problems}"));

    let declared = ends.there.declare_from(Source::file(), plan.routes).unwrap();

    assert!(declared.listening.is_empty(), "{:?}", declared.listening);
    assert_eq!(ask(&client(ends.address), b"1"), b"1");
    ends.there.declare_from(Source::file(), Routes::new()).unwrap();
    client(ends.address).send(b"2").unwrap();
    assert_eq!(ends.here.record().outcome.end, End::NoTarget(Cause::TunnelRefused));
}

#[test]
fn a_flow_goes_through_two_tunnels_under_one_id() {
    let echo = EchoDatagrams::start();
    let last = Proxy::builder().with(&far_route(echo.address, ""));
    let between = Proxy::builder().with("routes.other = {listen = '127.0.0.1:0', target = '1'}");
    let game = far_route(echo.address, "");
    declare_to(&between, &game, &[("game", &["tunnel:home/game"])]);
    let _further = Link::between(between.engine(), last.engine(), id("game"), true);
    let (here, address, _link) = into(&between);
    let client = client(address);

    for length in [1, 1_400, 65_507] {
        let datagram: Vec<u8> = (0..length).map(|n| (n * 3) as u8).collect();
        assert_eq!(ask(&client, &datagram), datagram, "{length} bytes");
    }

    here.kill(here.only_session().id).unwrap();
    let records = [here.record(), between.record(), last.record()];
    assert_eq!(records.each_ref().map(|record| record.outcome.end), [End::Killed; 3]);
    assert!(records.iter().all(|record| record.id == records[0].id));
    let named = Client::Net(client.local_addr().unwrap());
    assert!(records.iter().all(|record| record.client == named));
    let datagrams = records.map(|record| record.outcome.datagrams.unwrap());
    assert!(datagrams.iter().all(|it| (it.up, it.down) == (3, 3)), "{datagrams:?}");
}

#[test]
fn the_first_datagrams_of_a_visitor_wait_for_the_name_of_the_target() {
    let echo = EchoDatagrams::start();
    let named = format!("localhost:{}", echo.address.port());
    let text = format!("[routes.game]\nlisten = '127.0.0.1:0'\ntarget = '{named}'\nprotocol = 'udp'\n");
    let there = Proxy::builder().with(&text);
    let (_here, address, _link) = into(&there);
    let client = client(address);

    for n in 1..4_u8 {
        client.send(&[n]).unwrap();
    }

    assert_eq!([(); 3].map(|()| receive(&client)), [[1], [2], [3]]);
    there.stop(Duration::ZERO);
    assert_eq!(there.record().outcome.datagrams.unwrap().up, 3);
}

#[test]
fn a_loop_through_a_tunnel_ends() {
    let front = socket("127.0.0.1:0");
    let address = front.local_addr().unwrap();
    drop(front);
    // One engine at both ends: what comes out of the tunnel is sent to where it went in.
    let game = far_route(address, "");
    let proxy = Proxy::builder().flows(100).with(&game);
    let text = format!("{game}[routes.test]\nlisten = '{address}'\ntarget = '1'\nprotocol = 'udp'\n");
    declare_to(&proxy, &text, &[("test", &["tunnel:home/game"])]);
    let link = Link::between(proxy.engine(), proxy.engine(), id("game"), true);

    client(address).send(b"round and round").unwrap();

    let denied = (0..200).map(|_| proxy.record()).find(|record| {
        record.outcome.end == End::NoTarget(Cause::Denied) && record.hint().unwrap().contains("forward-loop")
    });
    assert!(denied.is_some());
    assert!(link.opened.lock().unwrap().len() < 50, "it went round few times");
}
