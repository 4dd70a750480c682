//! Datagrams between two ends: by QUIC where it is wanted.

use tokio::net::UdpSocket;

use super::*;
use crate::outcome::Way;
use crate::transport::tunnel::line::{Direction, FlowsBy};

/// A service that sends back what it gets.
async fn udp_echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::runtime::Handle::current().spawn(async move {
        let mut room = vec![0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut room).await {
            let _ = socket.send_to(&room[..length], from).await;
        }
    });
    address
}

fn game(target: SocketAddr) -> String {
    format!("[routes.game]\nlisten = \"tunnel:vps/127.0.0.1:0\"\nprotocol = \"udp\"\ntarget = \"{target}\"\n")
}

fn server_for_udp(keys: &Keys, more: &str) -> String {
    server(keys, NEEDED).replace("127.0.0.1:1024-65535", "127.0.0.1:1024-65535/udp") + more
}

/// Waits until datagrams of this tunnel go this way from here.
async fn goes_by(end: &End, tunnel: &str, way: Way) {
    let line = end.engine.lines().get(&tunnel.parse().unwrap());
    let goes = async {
        while line.flows().map(|flows| flows.way()) != Some(way) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, goes).await.unwrap_or_else(|_| panic!("not by {way:?}"));
}

async fn ask(at: SocketAddr, question: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(at).await.unwrap();
    let mut room = vec![0; 65_536];
    let asked = async {
        // The flow may be refused for a moment after it listens: a datagram may be lost.
        loop {
            socket.send(question).await.unwrap();
            if let Ok(Ok(length)) = timeout(Duration::from_secs(2), socket.recv(&mut room)).await {
                return length;
            }
        }
    };
    let length = timeout(PATIENCE, asked).await.expect("no answer");
    room.truncate(length);
    room
}

fn counted(end: &End, tunnel: &str, by: FlowsBy) -> [u64; 2] {
    let line = end.engine.lines().get(&tunnel.parse().unwrap());
    Direction::ALL.map(|direction| line.numbers().datagrams(direction, by).get())
}

#[tokio::test]
async fn a_visitor_there_reaches_a_udp_service_here_by_quic() {
    let keys = Keys::make();
    let service = udp_echo().await;
    let there = End::start(&server_for_udp(&keys, "")).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &game(service))).await;
    let at = there.listening_for("home", "game").await;
    goes_by(&there, "home", Way::Quic).await;
    goes_by(&here, "vps", Way::Quic).await;

    for length in [1, 1000, 1400, 20_000, 65_507] {
        let sent = vec![length as u8; length];
        assert_eq!(ask(at, &sent).await, sent);
    }

    let (theirs, ours) = (counted(&there, "home", FlowsBy::Quic), counted(&here, "vps", FlowsBy::Quic));
    assert!(theirs[0] >= 5 && ours[1] >= 5, "{theirs:?} {ours:?}");
    assert_eq!(counted(&there, "home", FlowsBy::Tls), [0, 0]);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn without_quic_there_datagrams_go_by_tls_and_a_reload_brings_it() {
    let keys = Keys::make();
    let service = udp_echo().await;
    let text = server_for_udp(&keys, "");
    let by_tls = text.replace("[tunnel]\n", "[tunnel]\ndatagrams = \"tls\"\n");
    let mut there = End::start(&by_tls).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &game(service))).await;
    let at = there.listening_for("home", "game").await;

    goes_by(&there, "home", Way::Tls).await;
    assert_eq!(ask(at, b"by tls").await, b"by tls");
    assert_eq!(counted(&there, "home", FlowsBy::Quic), [0, 0]);

    there.reload(&text).await;
    // The dialling end asks once a minute, and whenever the network may have changed.
    here.tunnels.running().thread.as_ref().unwrap().nudge();
    tokio::time::sleep(Duration::from_secs(2)).await;
    here.tunnels.running().thread.as_ref().unwrap().nudge();
    goes_by(&there, "home", Way::Quic).await;
    assert_eq!(ask(at, b"by quic").await, b"by quic");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_key_that_is_withdrawn_there_ends_quic_with_the_tunnel() {
    let keys = Keys::make();
    let service = udp_echo().await;
    let text = server_for_udp(&keys, "");
    let mut there = End::start(&text).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &game(service))).await;
    let at = there.listening_for("home", "game").await;
    goes_by(&here, "vps", Way::Quic).await;
    assert_eq!(ask(at, b"hello").await, b"hello");

    let other = key(&keys.folder.path().join("other.key"));
    there.reload(&text.replace(&keys.home.public, &other.public)).await;

    let line = here.engine.lines().get(&"vps".parse().unwrap());
    let ended = async {
        while line.flows().is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, ended).await.unwrap();
    here.stop().await;
    there.stop().await;
}
