//! Datagrams between two ends: flows that each of them opens.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;

use super::*;

/// A service that sends back each datagram that it gets.
async fn echo_datagrams() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::runtime::Handle::current().spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..length], from).await;
        }
    });
    address
}

/// A client of this address.
async fn client(of: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect(of).await.unwrap();
    socket
}

/// Sends a datagram until it is answered, as datagrams may be lost; returns the answer.
async fn asks(client: &UdpSocket, datagram: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let asked = async {
        loop {
            client.send(datagram).await.unwrap();
            if let Ok(Ok(length)) = timeout(Duration::from_millis(500), client.recv(&mut buffer)).await {
                return length;
            }
        }
    };
    let length = timeout(PATIENCE, asked).await.expect("an answer");
    buffer.truncate(length);
    buffer
}

/// A server that permits datagrams, too.
fn udp_server(keys: &Keys, more: &str) -> String {
    let both = "65535\", \"127.0.0.1:1024-65535/udp\"]";
    server(keys, more).replace("65535\"]", both).replace("private_key", "datagrams = \"tls\"\nprivate_key")
}

fn game(target: SocketAddr) -> String {
    format!("[routes.game]\nlisten = \"tunnel:vps/127.0.0.1:0\"\nprotocol = \"udp\"\ntarget = \"{target}\"\n")
}

#[tokio::test]
async fn players_there_reach_a_game_server_here_with_datagrams_of_any_length() {
    let keys = Keys::make();
    let there = End::start(&udp_server(&keys, NEEDED)).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &game(echo_datagrams().await))).await;
    let at = there.listening_for("home", "game").await;
    let (one, other) = (client(at).await, client(at).await);

    for length in [0, 1, 2, 1200, 1500, 9000, 65_507] {
        let sent: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        assert!(asks(&one, &sent).await == sent, "{length}");
        assert_eq!(asks(&other, b"beside it").await, b"beside it");
    }

    let numbers = [&there, &here].map(|end| {
        let name = if std::ptr::eq(end, &there) { "home" } else { "vps" };
        end.engine.lines().get(&name.parse().unwrap()).numbers().flows.get()
    });
    assert_eq!(numbers, [2, 2], "a flow for each player");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_client_here_asks_a_name_server_there_by_the_route_or_the_address_that_it_may_dial() {
    let keys = Keys::make();
    let dns = echo_datagrams().await;
    let offered = format!("[routes.dns]\nlisten = \"tunnel:home\"\nprotocol = \"udp\"\ntarget = \"{dns}\"\n");
    let text =
        udp_server(&keys, &offered).replace("may_listen", &format!("may_dial = [\"{dns}/udp\"]\nmay_listen"));
    let there = End::start(&text).await;
    let route = |name: &str, to: &str| {
        format!(
            "[routes.{name}]\nlisten = \"127.0.0.1:0\"\nprotocol = \"udp\"\ntarget = \"tunnel:vps/{to}\"\n"
        )
    };
    let routes = route("by-name", "dns") + &route("by-address", &dns.to_string());
    let here = End::start(&home(&keys, there.listens.unwrap(), &routes)).await;

    for name in ["by-name", "by-address"] {
        let client = client(here.routes[name]).await;
        assert_eq!(asks(&client, b"who is it?").await, b"who is it?", "{name}");
    }

    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn what_is_not_permitted_or_of_the_other_protocol_is_refused_the_same_way() {
    let keys = Keys::make();
    let dns = echo_datagrams().await;
    let tcp_only = format!("[routes.web]\nlisten = \"tunnel:home\"\ntarget = \"{dns}\"\n");
    // A permission for connections is none for datagrams.
    let text =
        udp_server(&keys, &tcp_only).replace("may_listen", &format!("may_dial = [\"{dns}\"]\nmay_listen"));
    let there = End::start(&text).await;
    let route = |name: &str, to: &str| {
        format!(
            "[routes.{name}]\nlisten = \"127.0.0.1:0\"\nprotocol = \"udp\"\ntarget = \"tunnel:vps/{to}\"\n"
        )
    };
    let routes = route("other", "web") + &route("none", "nobody") + &route("address", &dns.to_string());
    let here = End::start(&home(&keys, there.listens.unwrap(), &routes)).await;
    let line = here.engine.lines().get(&"vps".parse().unwrap());
    timeout(PATIENCE, line.watch().wait_for(|state| state.is_up())).await.unwrap().unwrap();

    for name in ["other", "none", "address"] {
        client(here.routes[name]).await.send(b"let me in").await.unwrap();
    }

    let records = here.records(3).await;
    let mut ends: Vec<_> =
        records.iter().map(|record| ["route", "end", "cause"].map(|key| word(record, key))).collect();
    ends.sort();
    let refused = |route| [route, "no_target", "tunnel_refused"];
    assert_eq!(ends, [refused("address"), refused("none"), refused("other")], "{records:#?}");
    assert!(there.records.lock().unwrap().is_empty(), "nothing was carried there");
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn three_hundred_players_at_once_share_the_connections_beyond_256() {
    let keys = Keys::make();
    let there = End::start(&udp_server(&keys, NEEDED)).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &game(echo_datagrams().await))).await;
    let at = there.listening_for("home", "game").await;
    let mut players = Vec::new();
    for _ in 0..300 {
        players.push(client(at).await);
    }

    for (n, player) in players.iter().enumerate() {
        player.send(&[n as u8, 7]).await.unwrap();
    }
    for (n, player) in players.iter().enumerate() {
        assert_eq!(asks(player, &[n as u8, 7]).await, [n as u8, 7], "player {n}");
    }

    let numbers = there.engine.lines().get(&"home".parse().unwrap());
    assert_eq!(numbers.numbers().flows.get(), 300);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_server_that_starts_anew_carries_the_datagrams_of_the_same_players_again() {
    let keys = Keys::make();
    let first = End::start(&udp_server(&keys, NEEDED)).await;
    let listens = first.listens.unwrap();
    let here = End::start(&home(&keys, listens, &game(echo_datagrams().await))).await;
    let at = first.listening_for("home", "game").await;
    let player = client(at).await;
    assert_eq!(asks(&player, b"before").await, b"before");
    first.stop().await;

    let second = End::start(
        &udp_server(&keys, NEEDED)
            .replace("listen = \"127.0.0.1:0\"\ndata", &format!("listen = \"{listens}\"\ndata")),
    )
    .await;
    assert_eq!(second.listening_for("home", "game").await, at, "the same port is chosen again");

    let again = client(at).await;
    assert_eq!(asks(&again, b"after").await, b"after");
    let ended = here.records(1).await;
    assert_eq!(word(&ended[0], "end"), "tunnel_lost", "{}", ended[0]);
    here.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_key_that_is_withdrawn_there_ends_the_flows_at_once() {
    let keys = Keys::make();
    let mut there = End::start(&udp_server(&keys, NEEDED)).await;
    let here = End::start(&home(&keys, there.listens.unwrap(), &game(echo_datagrams().await))).await;
    let player = client(there.listening_for("home", "game").await).await;
    assert_eq!(asks(&player, b"before").await, b"before");

    let other = key(&keys.folder.path().join("other.key"));
    there.reload(&udp_server(&keys, NEEDED).replace(&keys.home.public, &other.public)).await;

    let records = there.records(1).await;
    assert_eq!(word(&records[0], "end"), "revoked", "{}", records[0]);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn an_address_that_may_no_longer_be_dialled_ends_its_flows() {
    let keys = Keys::make();
    let dns = echo_datagrams().await;
    let text = udp_server(&keys, NEEDED);
    let may = text.replace("may_listen", &format!("may_dial = [\"{dns}/udp\"]\nmay_listen"));
    let mut there = End::start(&may).await;
    let route = format!(
        "[routes.dns]\nlisten = \"127.0.0.1:0\"\nprotocol = \"udp\"\ntarget = \"tunnel:vps/{dns}\"\n"
    );
    let here = End::start(&home(&keys, there.listens.unwrap(), &route)).await;
    let line = here.engine.lines().get(&"vps".parse().unwrap());
    timeout(PATIENCE, line.watch().wait_for(|state| state.is_up())).await.unwrap().unwrap();
    let asker = client(here.routes["dns"]).await;
    assert_eq!(asks(&asker, b"before").await, b"before");

    there.reload(&text).await;

    let records = there.records(1).await;
    assert_eq!(word(&records[0], "end"), "revoked", "{}", records[0]);
    let records = here.records(1).await;
    assert_eq!(word(&records[0], "end"), "revoked", "{}", records[0]);
    here.stop().await;
    there.stop().await;
}
