//! One session is ended from outside, in whatever step it is, and no other with it.

use std::net::SocketAddr;
use std::time::Duration;

use loopgate::ledger::OrderRefused;
use loopgate::outcome::{End, Phase};

use crate::harness::datagrams::{EchoDatagrams, ask, client};
use crate::harness::tls::{Authority, TlsConnection};
use crate::harness::{Close, ClosedPort, Connection, Proxy, Target, wait_until};

/// The number of the session whose client is this one.
fn number_of(proxy: &Proxy, client: SocketAddr) -> u64 {
    wait_until("it is there", || {
        proxy.sessions().iter().find(|live| live.client.to_string() == client.to_string()).map(|live| live.id)
    })
}

/// The line of a route that speaks TLS with its clients.
fn secured(authority: &Authority) -> String {
    format!("tls = {{{}}}", authority.tls("server"))
}

/// Kills the only session, whose client has sent its data and waits, and checks that it ends.
fn kill_the_only_one(proxy: &Proxy, client: &mut Connection, in_phase: Phase) {
    proxy.kill(number_of(proxy, client.local())).unwrap();

    assert_eq!(client.receive_close(), Close::Reset);
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::Killed, in_phase));
    proxy.wait_until_empty();
}

#[test]
fn one_session_of_a_thousand_is_killed_and_the_others_go_on() {
    const SESSIONS: usize = 1000;
    let (target, proxy) = {
        let target = Target::manual();
        let proxy = Proxy::builder().workers(2).to(target.address);
        (target, proxy)
    };
    let mut crowd: Vec<(Connection, Connection)> = (0..SESSIONS)
        .map(|_| {
            let mut client = proxy.connect();
            let mut served = target.accept();
            client.send(b"?");
            assert_eq!(served.receive(1), b"?");
            (client, served)
        })
        .collect();
    let (mut client, mut served) = crowd.swap_remove(500);

    proxy.kill(number_of(&proxy, client.local())).unwrap();

    assert_eq!((client.receive_close(), served.receive_close()), (Close::Reset, Close::Reset));
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::Killed);
    assert!(record.to_string().contains("end=killed phase=relay up=1 down=0"), "{record}");
    for (client, served) in &mut crowd {
        client.send(b"ping");
        assert_eq!(served.receive(4), b"ping");
        served.send(b"pong");
        assert_eq!(client.receive(4), b"pong");
    }
    assert_eq!((proxy.live().len(), proxy.records().len()), (SESSIONS - 1, 0));
}

#[test]
fn a_session_is_killed_in_the_middle_of_a_stream() {
    let target = Target::manual();
    let proxy = Proxy::to(target.address);
    let mut client = proxy.connect();
    let mut served = target.accept();
    // More than both sockets can buffer: the session holds bytes that it cannot deliver.
    served.stream().set_nonblocking(true).unwrap();
    wait_until("nothing more is taken", || served.try_send(&[7; 1 << 16]).is_err().then_some(()));

    proxy.kill(number_of(&proxy, client.local())).unwrap();

    assert_eq!(client.receive_all().1, Close::Reset);
    let record = proxy.record();
    let down = record.outcome.traffic.down;
    assert_eq!(record.outcome.end, End::Killed);
    assert!(down.read > 0 && down.delivered <= down.read, "{record}");
}

#[test]
fn a_client_that_waits_in_the_queue_is_killed_and_the_next_moves_up() {
    let target = Target::manual();
    let proxy = Proxy::builder().with(&format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\nmax_connections = 1\nwhen_full = 'queue'",
        target.address
    ));
    let seated = proxy.connect();
    let served = target.accept();
    let mut first = proxy.connect();
    let first_number = number_of(&proxy, first.local());
    let mut second = proxy.connect();
    number_of(&proxy, second.local());

    proxy.kill(first_number).unwrap();

    assert_eq!(first.receive_close(), Close::Reset);
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::Killed, Phase::Admit));
    drop((seated, served));
    let mut served = target.accept();
    second.send(b"?");
    assert_eq!(served.receive(1), b"?");
}

#[test]
fn a_session_is_killed_while_its_proxy_has_not_said_who_the_client_is() {
    let target = Target::manual();
    let proxy = Proxy::builder().with(&format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\naccept_proxy = ['127.0.0.1']",
        target.address
    ));
    let mut client = proxy.connect();

    kill_the_only_one(&proxy, &mut client, Phase::Identify);
}

#[test]
fn a_session_is_killed_in_its_handshake() {
    let (target, authority) = (Target::manual(), Authority::new());
    authority.issue("server", &["localhost"]);
    let proxy = Proxy::builder().with(&format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n{}",
        target.address,
        secured(&authority)
    ));
    let mut client = proxy.connect();
    client.send(&[22, 3, 1]);

    kill_the_only_one(&proxy, &mut client, Phase::Secure);
}

#[test]
fn a_session_is_killed_while_its_target_does_not_answer() {
    let closed = ClosedPort::port();
    let proxy = Proxy::builder().with(&format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\nconnect_timeout = '60s'",
        closed.address
    ));
    let _full = closed.fill_up();
    let mut client = proxy.connect();
    kill_the_only_one(&proxy, &mut client, Phase::Connect);
}

#[test]
fn a_client_that_waits_for_its_target_is_killed() {
    let closed = ClosedPort::port();
    let proxy = Proxy::builder().with(&format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\nwait_for_target = '60s'",
        closed.address
    ));
    let mut client = proxy.connect();

    kill_the_only_one(&proxy, &mut client, Phase::Connect);
}

#[test]
fn a_session_is_killed_in_every_way_its_bytes_move() {
    let target = Target::manual();
    for more in
        ["idle_timeout = '1h'", "bandwidth = '800mbit'", "max_connections = 9\nwhen_full = 'evict_idle'"]
    {
        let proxy = Proxy::builder()
            .with(&format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n{more}", target.address));
        let (mut client, mut served) = (proxy.connect(), target.accept());
        client.send(b"?");
        assert_eq!(served.receive(1), b"?");

        kill_the_only_one(&proxy, &mut client, Phase::Relay);

        assert_eq!(served.receive_close(), Close::Reset, "{more}");
    }
}

#[test]
fn a_secured_session_is_killed() {
    let (target, authority) = (Target::manual(), Authority::new());
    authority.issue("server", &["localhost"]);
    let proxy = Proxy::builder().with(&format!(
        "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n{}",
        target.address,
        secured(&authority)
    ));
    let mut client = TlsConnection::to(proxy.address, &authority.client(None));
    client.send(b"?");
    let mut served = target.accept();
    assert_eq!(served.receive(1), b"?");

    proxy.kill(proxy.only_session().id).unwrap();

    assert_eq!((client.receive_all().1, served.receive_close()), (Close::Reset, Close::Reset));
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::Killed, Phase::Relay));
}

#[test]
fn to_kill_who_is_not_there_says_so() {
    let target = Target::echo();
    let proxy = Proxy::to(target.address);
    let mut client = proxy.connect();
    client.send(b"?");
    client.receive(1);
    let id = proxy.only_session().id;

    assert_eq!(proxy.kill(id + 1), Err(OrderRefused::NoSuchSession(id + 1)));
    proxy.kill(id).unwrap();
    proxy.wait_until_empty();
    assert_eq!(proxy.kill(id), Err(OrderRefused::NoSuchSession(id)));
}

#[test]
fn a_stop_that_insists_ends_all_that_are_left_as_drained() {
    let target = Target::manual();
    let proxy = Proxy::builder().workers(2).to(target.address);
    let mut crowd: Vec<(Connection, Connection)> =
        (0..50).map(|_| (proxy.connect(), target.accept())).collect();
    proxy.kill(number_of(&proxy, crowd[0].0.local())).unwrap();
    assert_eq!(proxy.record().outcome.end, End::Killed);

    assert_eq!(proxy.stop(Duration::ZERO), 49);

    let ends: Vec<End> = proxy.records().iter().map(|record| record.outcome.end).collect();
    assert_eq!(ends, [End::Drained; 49]);
    for (client, served) in &mut crowd {
        assert_eq!((client.receive_close(), served.receive_close()), (Close::Reset, Close::Reset));
    }
}

#[test]
fn one_flow_of_several_is_killed_and_its_client_may_come_again() {
    let target = EchoDatagrams::start();
    let proxy = Proxy::builder().with(&format!(
        "[routes.dns]\nprotocol = 'udp'\nlisten = '127.0.0.1:0'\ntarget = '{}'",
        target.address
    ));
    let (first, second) = (client(proxy.address), client(proxy.address));
    assert_eq!((ask(&first, b"1"), ask(&second, b"2")), (b"1".to_vec(), b"2".to_vec()));

    proxy.kill(number_of(&proxy, first.local_addr().unwrap())).unwrap();

    let record = proxy.record();
    assert_eq!(
        (record.outcome.end, record.client.to_string()),
        (End::Killed, first.local_addr().unwrap().to_string())
    );
    assert_eq!(ask(&second, b"3"), b"3");
    assert_eq!(proxy.live().len(), 1);
    assert_eq!(ask(&first, b"4"), b"4");
    assert_eq!(proxy.live().len(), 2);
}
