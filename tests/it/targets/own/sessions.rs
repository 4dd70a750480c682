//! What is carried to a target of an embedder's own, and how it ends.

use std::net::SocketAddr;
use std::time::Duration;

use loopgate::engine::{RouteId, Source};
use loopgate::outcome::{End, Phase, Side, Way};
use loopgate::transport::{Custom, Incoming, Via};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{Inside, block_on, name, proxy_to, taken, to};
use crate::harness::tls::{Authority, TlsConnection};
use crate::harness::{Close, Connection, pattern};

const MIB: usize = 1 << 20;

#[test]
fn a_target_inside_this_process_echoes_every_byte_and_the_end() {
    let inside = Inside::echo();
    let (proxy, address) = proxy_to("source = '127.0.0.9'", to(&inside));

    Connection::to(address).expect_whole_echo(7, MIB);

    let record = proxy.record();
    let traffic = record.outcome.traffic;
    assert_eq!((record.outcome.end, record.outcome.closed_by), (End::Done, Some(Side::Client)));
    assert_eq!((traffic.up.read, traffic.up.delivered), (MIB as u64, MIB as u64));
    assert_eq!((traffic.down.read, traffic.down.delivered), (MIB as u64, MIB as u64));
    assert!(record.to_string().contains(" target=inside end=done phase=relay "), "{record}");
    assert_eq!(inside.resets(), 0);
    assert_eq!(
        inside.0.from.lock().unwrap().as_ref().unwrap().sources,
        ["127.0.0.9".parse::<std::net::IpAddr>().unwrap()]
    );
}

#[test]
fn a_client_and_a_target_inside_this_process_speak_with_each_other() {
    let inside = Inside::echo();
    let (proxy, _) = proxy_to("", to(&inside));
    let (client, handed_over) = duplex(1000);
    let somebody: SocketAddr = "192.0.2.7:1".parse().unwrap();
    let incoming = Incoming::new(
        Custom::new(handed_over, || panic!("cut")),
        somebody.into(),
        Via::HandedOver("test".into()),
    );
    proxy.carry(&RouteId { source: Source::file(), name: name() }, incoming).unwrap();

    let said: Vec<u8> = (0..MIB).map(|n| pattern::at(1, n, 1)[0]).collect();
    let (mut from, mut to) = tokio::io::split(client);
    let heard = block_on(async {
        let say = async {
            to.write_all(&said).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut heard = Vec::new();
        tokio::join!(say, from.read_to_end(&mut heard)).1.unwrap();
        heard
    });

    assert!(heard == said, "{} bytes", heard.len());
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::Done);
    assert_eq!(record.outcome.traffic.down.delivered, MIB as u64);
    assert_eq!(inside.resets(), 0);
}

#[test]
fn a_target_that_says_all_first_hears_the_rest() {
    let (inside, mut served) = Inside::manual();
    let (proxy, address) = proxy_to("", to(&inside));
    let mut client = Connection::to(address);
    let mut served = taken(&mut served);

    block_on(async {
        served.write_all(b"welcome").await.unwrap();
        served.shutdown().await.unwrap();
    });
    assert_eq!(client.receive_all(), (b"welcome".to_vec(), Close::Fin));
    client.send(b"thanks");
    client.finish();

    let mut heard = String::new();
    block_on(served.read_to_string(&mut heard)).unwrap();
    assert_eq!(heard, "thanks");
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.closed_by), (End::Done, Some(Side::Target)));
}

#[test]
fn a_reset_of_the_client_reaches_a_target_inside_this_process() {
    let (inside, mut served) = Inside::manual();
    let (proxy, address) = proxy_to("", to(&inside));
    let mut client = Connection::to(address);
    let mut served = taken(&mut served);
    client.send(b"hello");
    let mut heard = [0; 5];
    block_on(served.read_exact(&mut heard)).unwrap();

    client.reset();

    assert_eq!(block_on(served.read(&mut [0; 1])).unwrap(), 0);
    assert_eq!((proxy.record().outcome.end, inside.resets()), (End::ClientReset, 1));
}

#[test]
fn tls_of_a_client_ends_before_a_target_inside_this_process() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    let (proxy, address) = proxy_to(&format!("tls = {{{}}}", authority.tls("server")), to(&Inside::echo()));
    let mut client = TlsConnection::to(address, &authority.client(None));

    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
    client.finish();
    assert_eq!(client.receive_all(), (Vec::new(), Close::Fin));

    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.way), (End::Done, Way::Tls));
}

#[test]
fn a_target_that_drops_its_stream_is_one_that_reset() {
    let (inside, mut served) = Inside::manual();
    let (proxy, address) = proxy_to("", to(&inside));
    let mut client = Connection::to(address);
    let served = taken(&mut served);

    drop(served);
    assert_eq!(client.receive_close(), Close::Fin);
    client.send(b"to nobody");

    assert_eq!(proxy.record().outcome.end, End::TargetReset);
    assert_eq!(inside.resets(), 1);
}

#[test]
fn a_session_with_a_target_inside_is_killed_and_drained_like_any_other() {
    let (inside, mut served) = Inside::manual();
    let (proxy, address) = proxy_to("idle_timeout = '1h'", to(&inside));
    let mut killed = Connection::to(address);
    let _first = taken(&mut served);
    let id = proxy.only_session().id;
    let mut drained = Connection::to(address);
    let _second = taken(&mut served);

    proxy.kill(id).unwrap();

    assert_eq!(killed.receive_close(), Close::Reset);
    assert_eq!((proxy.record().outcome.end, inside.resets()), (End::Killed, 1));
    assert_eq!(proxy.stop(Duration::ZERO), 1);
    assert_eq!(drained.receive_close(), Close::Reset);
    assert_eq!((proxy.record().outcome.end, inside.resets()), (End::Drained, 2));
}

#[test]
fn a_target_inside_that_got_half_a_header_sees_a_cut_and_no_end() {
    let (inside, mut served) = Inside::narrow(8);
    let (proxy, address) = proxy_to("send_proxy = 'v2'", to(&inside));
    let client = Connection::to(address);
    let _waits = taken(&mut served);
    let id = proxy.only_session().id;

    proxy.kill(id).unwrap();

    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::Killed, Phase::Greet));
    assert_eq!(inside.resets(), 1);
    drop(client);
}

#[test]
fn a_check_of_a_target_inside_resets_nothing() {
    let (inside, mut served) = Inside::manual();
    let (_proxy, _) = proxy_to("health = { check = 'connect', interval = '100ms' }", to(&inside));

    drop([taken(&mut served), taken(&mut served), taken(&mut served)]);

    assert_eq!(inside.resets(), 0);
}
