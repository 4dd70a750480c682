//! Datagrams through a tunnel: what players, a game server and the reader of two logs see.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;

use crate::harness::{TIMEOUT, wait_until};
use crate::pair::{Pair, message, says};

/// What the accepting end permits: the UDP ports of loopback.
const PERMITS: &str = "may_listen = [\"127.0.0.1:1024-65535/udp\"]";

/// A service that sends back each datagram that it gets. It ends with the test.
fn echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    address
}

fn game(target: SocketAddr) -> String {
    format!("[routes.game]\nlisten = \"tunnel:vps/127.0.0.1:0\"\nprotocol = \"udp\"\ntarget = \"{target}\"\n")
}

fn player(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(TIMEOUT / 40)).unwrap();
    socket
}

/// Asks until there is this answer: datagrams may be lost while a way is.
fn ask(player: &UdpSocket, question: &[u8]) {
    let mut buffer = vec![0; 65_536];
    wait_until("an answer", || {
        player.send(question).unwrap();
        let length = player.recv(&mut buffer).ok()?;
        (buffer[..length] == *question).then_some(())
    });
}

#[test]
fn players_of_a_public_server_reach_the_game_at_home() {
    let mut pair = Pair::start(PERMITS, "", &game(echo()));
    let at = pair.there("game");
    let players: Vec<UdpSocket> = (0..20).map(|_| player(at)).collect();

    for length in [1, 1200, 65_507] {
        for (n, player) in players.iter().enumerate() {
            ask(player, &vec![n as u8; length]);
        }
    }

    let line = "listening route=game at=vps address=";
    let told = pair.home.line("where it listens", |it| says(it, line));
    assert!(message(&told).ends_with(&format!("{line}{at}/udp")), "{told}");
}

#[test]
fn a_flow_whose_connections_are_cut_ends_with_the_tunnel_and_the_player_plays_on() {
    let mut pair = Pair::start(PERMITS, "", &game(echo()));
    let player = player(pair.there("game"));
    ask(&player, b"before");

    pair.relay.cut();
    ask(&player, b"after");

    let lost = pair.vps.line("the flow before", |line| line["end"] == "tunnel_lost");
    let there = pair.home.line("its record there", |line| line["end"] == "tunnel_lost");
    assert_eq!(lost["id"], there["id"]);
    assert_eq!(there["route"], "game");
}

#[test]
fn a_restart_of_either_end_takes_no_player_from_the_game() {
    let mut pair = Pair::start(PERMITS, "", &game(echo()));
    let at = pair.there("game");
    let player = player(at);
    ask(&player, b"before");

    pair.home.kill();
    pair.home.restart();
    ask(&player, b"home is back");
    pair.vps.kill();
    pair.vps.restart();

    assert_eq!(pair.there("game"), at, "the port is the same");
    ask(&player, b"vps is back");
}

#[test]
fn a_name_server_there_is_asked_from_here_and_refused_without_a_permission() {
    let dns = echo();
    let routes = format!(
        "[routes.dns]\nlisten = \"127.0.0.1:0\"\nprotocol = \"udp\"\ntarget = \"tunnel:vps/{dns}\"\n"
    );
    let mut pair = Pair::start(&format!("may_dial = [\"{dns}/udp\"]"), "", &routes);
    let asker = player(pair.home.forwarding(&format!("tunnel:vps/{dns}")));
    ask(&asker, b"who is it?");

    pair.permit(&format!("may_dial = [\"{dns}\"]"), "");

    let ended = pair.home.line("the end of the flow", |line| line["end"] == "revoked");
    assert_eq!(ended["route"], "dns");
    asker.send(b"again?").unwrap();
    let refused = pair.home.line("a refusal", |line| line["cause"] == "tunnel_refused");
    assert_eq!(refused["end"], "no_target");
    let line = format!("may_dial = [\"{dns}\", \"{dns}/udp\"]");
    pair.vps.line("the line that permits it", |it| says(it, &line));
}

#[test]
fn a_way_that_stands_still_drops_the_oldest_and_the_record_says_so() {
    let (to, got) = mpsc::channel();
    let service = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = service.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(length) = service.recv(&mut buffer) {
            let number: [u8; 4] = buffer[..4].try_into().unwrap();
            let _ = to.send((u32::from_be_bytes(number), length));
        }
    });
    // By QUIC they would go another way than the one that stands still, and large ones in any order.
    let mut pair = Pair::start_as("datagrams = \"tls\"", PERMITS, "", &game(target));
    let player = player(pair.there("game"));
    let numbered = |n: u32| [&n.to_be_bytes()[..], &[7; 8000]].concat();
    player.send(&numbered(0)).unwrap();
    assert_eq!(got.recv_timeout(TIMEOUT).unwrap().0, 0);

    pair.relay.hold();
    // More than every buffer on the way has room for.
    for n in 1..=3000 {
        player.send(&numbered(n)).unwrap();
    }
    pair.relay.release();

    let mut arrived = vec![0];
    wait_until("the newest arrives", || {
        player.send(&numbered(3001)).unwrap();
        for (number, length) in got.try_iter() {
            assert_eq!(length, 8004, "whole");
            assert!(number > *arrived.last().unwrap() || number == 3001, "once and in their order");
            arrived.push(number);
        }
        (*arrived.last().unwrap() == 3001).then_some(())
    });
    assert!(arrived.len() < 2900, "{} arrived", arrived.len());
    pair.vps.program.signal(Signal::TERM);
    let record = pair.vps.line("the record", |line| line["route"] == "game@home");
    assert!(record["up_dropped"].to_string().contains("tunnel_full"), "{record}");
}
