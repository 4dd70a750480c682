//! When a flow ends, and how many there may be.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loopgate::engine::{self, Settings, Source};
use loopgate::ledger::{Ledger, Record, Sink};
use loopgate::limits::Budget;
use loopgate::outcome::End;
use loopgate::plan;
use tokio::runtime::Builder;

use super::{proxy, route};
use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent, receive, receive_from, socket};
use crate::harness::{Program, Proxy, wait_until};

#[test]
fn a_flow_that_is_quiet_ends_as_idle_with_its_counts() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "idle_timeout = '200ms'");
    let client = client(proxy.address);

    ask(&client, b"four");
    ask(&client, b"seven..");

    let record = proxy.record();
    let datagrams = record.outcome.datagrams.clone().unwrap();
    assert_eq!((record.outcome.end, datagrams.up, datagrams.down), (End::Idle, 2, 2));
    assert_eq!((record.outcome.traffic.up.delivered, record.outcome.traffic.down.delivered), (11, 11));
    assert!(record.outcome.timing.total >= Duration::from_millis(200));
    proxy.wait_until_empty();
}

#[test]
fn a_flow_as_old_as_may_be_ends_however_busy_it_is_and_its_client_gets_another() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "max_session_age = '300ms'");
    let client = client(proxy.address);

    let record = wait_until("the first flow has ended", || {
        client.send(b"busy").unwrap();
        receive_from(&target);
        proxy.records().into_iter().next()
    });

    assert_eq!(record.outcome.end, End::Expired);
    assert!(record.outcome.datagrams.as_ref().is_some_and(|datagrams| datagrams.up > 1), "{record}");
    assert!(record.outcome.timing.total >= Duration::from_millis(300));
    client.send(b"again").unwrap();
    receive_from(&target);
    assert_eq!(proxy.record().outcome.end, End::Expired, "and that ends without a further datagram");
}

#[test]
fn either_direction_alone_keeps_a_flow() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "idle_timeout = '2s'");
    let client = client(proxy.address);
    client.send(b"first").unwrap();
    let (_, flow) = receive_from(&target);

    // Three seconds of each direction, which is longer than a flow lives that one of them does not keep.
    let speak = |say: &mut dyn FnMut()| {
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            say();
            thread::sleep(Duration::from_millis(100));
        }
    };
    speak(&mut || {
        client.send(b"only the client speaks").unwrap();
        assert_eq!(receive_from(&target).1, flow, "its source port never changes");
    });
    speak(&mut || {
        target.send_to(b"only the target speaks", flow).unwrap();
        receive(&client);
    });

    client.send(b"still").unwrap();
    assert_eq!(receive_from(&target).1, flow);
}

#[test]
fn a_question_that_has_its_answer_is_done() {
    let target = socket("127.0.0.1:0");
    let proxy = proxy(target.local_addr().unwrap(), "preset = 'dns'");
    let client = client(proxy.address);

    client.send(b"A?").unwrap();
    client.send(b"AAAA?").unwrap();
    let [(_, flow), _] = [receive_from(&target), receive_from(&target)];
    target.send_to(b"A!", flow).unwrap();
    assert_eq!(receive(&client), b"A!");
    target.send_to(b"AAAA!", flow).unwrap();
    assert_eq!(receive(&client), b"AAAA!", "the second question has its answer too");

    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.datagrams.unwrap().down), (End::Done, 2));
}

#[test]
fn a_client_too_many_takes_the_place_of_the_flow_idle_longest() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "max_flows = 3");
    let clients: Vec<_> = (0..3).map(|_| client(proxy.address)).collect();
    for one in &clients {
        ask(one, b"x");
    }
    ask(&clients[0], b"no longer the oldest");

    let late = client(proxy.address);
    assert_eq!(ask(&late, b"late"), b"late");

    let record = proxy.record();
    assert_eq!(record.outcome.end, End::Evicted);
    assert_eq!(record.client.to_string(), clients[1].local_addr().unwrap().to_string());
    assert_eq!(proxy.live().len(), 3);
}

#[test]
fn with_refuse_a_client_too_many_is_dropped_and_the_old_live() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "max_flows = 2\nflows_full = 'refuse'");
    let clients: Vec<_> = (0..2).map(|_| client(proxy.address)).collect();
    for one in &clients {
        ask(one, b"x");
    }

    let late = client(proxy.address);
    late.send(b"late").unwrap();

    // An earlier client's answer arrives after the proxy has handled the later client's datagram.
    for one in &clients {
        assert_eq!(ask(one, b"still here"), b"still here");
    }
    assert!(is_silent(&late));
    assert_eq!(proxy.live().len(), 2);
}

#[test]
fn the_bound_of_the_process_holds_over_all_routes() {
    let echo = EchoDatagrams::start();
    let two = route(echo.address, "") + &route(echo.address, "").replace("routes.test", "routes.more");
    let proxy = Proxy::builder().flows(4).with(&two);
    let ports: Vec<SocketAddr> =
        proxy.declared.listening.iter().map(|it| it.address.net().unwrap()).collect();

    for n in 0..20 {
        let client = client(ports[n % 2]);
        assert_eq!(ask(&client, b"x"), b"x");
        assert!(proxy.live().len() <= 4);
    }

    assert_eq!(proxy.record().outcome.end, End::Evicted);
}

#[test]
fn at_the_descriptor_limit_new_clients_are_served_and_the_oldest_say_evicted() {
    let echo = EchoDatagrams::start();
    let before = ["sh", "-c", r#"ulimit -n 64; exec "$@""#, "sh"];
    let spec = format!("127.0.0.1:0:{}/udp", echo.address);
    let mut program = Program::start_under(&before, ["run", "-L", &spec]);
    let address = program.address();

    let clients: Vec<_> = (0..100).map(|_| client(address)).collect();
    for client in &clients {
        assert_eq!(ask(client, b"x"), b"x");
    }

    assert!(program.wait_for(" end=").contains(" end=evicted"));
    assert_eq!(ask(&clients[99], b"y"), b"y");
    assert!(program.is_running());
}

/// The first record meets a bug.
#[derive(Default)]
struct Bug(AtomicBool);

impl Sink for Bug {
    fn record(&self, _: &Record) {
        assert!(self.0.swap(true, Ordering::Relaxed), "a bug, on purpose");
    }
}

#[test]
fn a_bug_ends_flows_and_no_route() {
    let echo = EchoDatagrams::start();
    let plan = plan::parse("test", &route(echo.address, "preset = 'dns'"), &[]).unwrap();
    let ledger = Ledger::new(Box::new(Bug::default()));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let budget = Budget { connections: 5, flows: 5, pipes: 0, watches: 0 };
    let (_engine, declared) = runtime.block_on(async {
        let engine = engine::start(Settings { workers: 1, budget }, ledger.clone()).unwrap();
        let declared = engine.declare(Source::file(), plan.routes).await.unwrap();
        (engine, declared)
    });
    let address = declared.listening[0].address.net().unwrap();

    for _ in 0..10 {
        let client = client(address);
        client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        // A datagram that came with the bug may be gone with it.
        wait_until("an answer", || {
            client.send(b"x").unwrap();
            client.recv(&mut [0; 8]).ok()
        });
    }

    assert!(ledger.totals().closed >= 1);
}
