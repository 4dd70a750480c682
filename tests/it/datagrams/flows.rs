//! Flows: when each ends and what its record says, how many there may be, and what a reload and a stop do to them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loopgate::engine::{self, Settings, Source};
use loopgate::ledger::{Ledger, Record, Sink};
use loopgate::limits::Budget;
use loopgate::outcome::End;
use loopgate::plan;
use tokio::runtime::Builder;

use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent, receive, receive_from, socket};
use crate::harness::{Program, Proxy, Target, wait_until};

fn route(target: SocketAddr, more: &str) -> String {
    format!("[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '{target}'\nprotocol = 'udp'\n{more}\n")
}

fn proxy(target: SocketAddr, more: &str) -> Proxy {
    Proxy::builder().with(&route(target, more))
}

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

    // An old client's answer comes after the late one's datagram was looked at.
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

#[test]
fn a_reload_keeps_sockets_and_flows() {
    let (before, after) = (EchoDatagrams::start(), socket("127.0.0.1:0"));
    let proxy = proxy(before.address, "");
    let listen = proxy.address;
    let declare = |target: SocketAddr| {
        let fixed = route(target, "").replace("127.0.0.1:0", &listen.to_string());
        proxy.declare(&fixed).unwrap()
    };
    declare(before.address);
    let old = client(listen);
    ask(&old, b"x");

    declare(after.local_addr().unwrap());

    assert_eq!(ask(&old, b"the old flow"), b"the old flow", "it keeps its target");
    let new = client(listen);
    new.send(b"the new").unwrap();
    assert_eq!(receive(&after), b"the new");
}

#[test]
fn a_removed_route_takes_no_new_client_and_lets_its_flows_live() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "");
    let listen = proxy.address;
    let old = client(listen);
    ask(&old, b"x");
    let other = route(echo.address, "").replace("routes.test", "routes.other");

    proxy.declare(&other).unwrap();
    let new = client(listen);
    let _ = new.send(b"new");
    assert_eq!(ask(&old, b"lives"), b"lives");
    assert!(is_silent(&new));

    let again = route(echo.address, "").replace("127.0.0.1:0", &listen.to_string());
    proxy.declare(&again).unwrap_or_else(|refused| panic!("{refused}"));
    let late = client(listen);
    assert_eq!(ask(&late, b"back in service"), b"back in service");
}

#[test]
fn the_port_of_a_removed_route_is_free_once_its_flows_have_ended() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "idle_timeout = '200ms'");
    let listen = proxy.address;
    ask(&client(listen), b"x");
    let other = route(echo.address, "").replace("routes.test", "routes.other");

    proxy.declare(&other).unwrap();

    assert_eq!(proxy.record().outcome.end, End::Idle);
    wait_until("the port is free", || std::net::UdpSocket::bind(listen).ok());
}

#[test]
fn a_wildcard_takes_over_from_a_specific_address_without_a_gap() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "");
    let specific = proxy.address;
    let wildcard = route(echo.address, "").replace("127.0.0.1:0", &format!("0.0.0.0:{}", specific.port()));
    ask(&client(specific), b"x");

    proxy.declare(&wildcard).unwrap_or_else(|refused| panic!("{refused}"));
    let elsewhere = SocketAddr::new("127.0.0.9".parse().unwrap(), specific.port());
    let new = client(elsewhere);

    assert_eq!(ask(&new, b"new"), b"new");
}

#[test]
fn a_stop_waits_for_the_answer_that_is_due_and_not_for_quiet_flows() {
    let target = socket("127.0.0.1:0");
    let proxy = Arc::new(proxy(target.local_addr().unwrap(), ""));
    let client = client(proxy.address);
    client.send(b"question").unwrap();
    let (_, flow) = receive_from(&target);

    let stopping = proxy.clone();
    let stop = thread::spawn(move || stopping.stop(Duration::from_secs(60)));
    target.send_to(b"answer", flow).unwrap();

    assert_eq!(receive(&client), b"answer");
    assert_eq!(stop.join().unwrap(), 0, "nothing had to be cut off");
    assert_eq!(proxy.record().outcome.end, End::Drained);
}

#[test]
fn a_taken_port_is_exit_4_and_tells_its_holder() {
    let taken = socket("127.0.0.1:0");
    let spec = format!("{}:9/udp", taken.local_addr().unwrap());

    let mut program = Program::start(["run", "-L", &spec]);

    assert_eq!(program.exit_code(), Some(4));
    let said = program.received().join("\n");
    assert!(said.contains(&format!("pid {}", std::process::id())), "{said}");
}

#[test]
fn tcp_and_udp_share_a_port() {
    let (datagrams, stream) = (EchoDatagrams::start(), Target::echo());
    // Another test's connection may have the number of the port: then another is tried.
    let proxy = wait_until("a port that is free for both", || {
        let proxy = proxy(datagrams.address, "");
        let tcp = format!("[routes.tcp]\nlisten = '{}'\ntarget = '{}'\n", proxy.address, stream.address);
        let udp = route(datagrams.address, "").replace("127.0.0.1:0", &proxy.address.to_string());
        proxy.declare(&(tcp + &udp)).ok().map(|_| proxy)
    });

    let mut connection = proxy.connect();
    connection.send(b"bytes");
    assert_eq!(connection.receive(5), b"bytes");
    assert_eq!(ask(&client(proxy.address), b"datagram"), b"datagram");
}

/// Sends to `to` as fast as it can, until told to stop.
struct Flood {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Flood {
    fn of(to: SocketAddr) -> Flood {
        let over = Arc::new(AtomicBool::new(false));
        let (is_over, sender) = (over.clone(), client(to));
        let thread = thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let _ = sender.send(&[0; 64]);
            }
        });
        Flood { over, thread: Some(thread) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn a_flooding_client_does_not_starve_a_quiet_one() {
    // It answers the quiet one alone: what the flood sends is read and left.
    let target = socket("127.0.0.1:0");
    let address = target.local_addr().unwrap();
    let proxy = proxy(address, "");
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    let answering = thread::spawn(move || {
        let mut buffer = [0; 100];
        target.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        while !is_over.load(Ordering::Relaxed) {
            if let Ok((5, from)) = target.recv_from(&mut buffer) {
                target.send_to(&buffer[..5], from).unwrap();
            }
        }
    });
    let quiet = client(proxy.address);
    quiet.send(b"quiet").unwrap();
    receive(&quiet);
    let flood = Flood::of(proxy.address);

    // The target's own receive buffer overflows too, which is not the route's doing: ask until it is answered.
    quiet.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut answers = 0;
    wait_until("a hundred answers beside the flood", || {
        quiet.send(b"quiet").unwrap();
        answers += u32::from(quiet.recv(&mut [0; 100]).is_ok());
        (answers >= 100).then_some(())
    });

    drop(flood);
    over.store(true, Ordering::Relaxed);
    answering.join().unwrap();
}

#[test]
fn a_flood_of_datagrams_does_not_starve_connections() {
    let (sink, echo) = (socket("127.0.0.1:0"), Target::echo());
    let tcp = format!("[routes.a]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", echo.address);
    let proxy = Proxy::builder().with(&(tcp + &route(sink.local_addr().unwrap(), "")));
    let udp = proxy
        .declared
        .listening
        .iter()
        .find(|it| &*it.route.name.0 == "test")
        .unwrap()
        .address
        .net()
        .unwrap();
    let _floods = [Flood::of(udp), Flood::of(udp)];

    let mut connection = proxy.connect();

    for _ in 0..200 {
        connection.send(b"x");
        assert_eq!(connection.receive(1), b"x");
    }
}

#[test]
fn a_target_that_reads_too_slowly_is_told_and_counted() {
    let slow = socket("127.0.0.1:0");
    nix::sys::socket::setsockopt(&slow, nix::sys::socket::sockopt::RcvBuf, &4096).unwrap();
    let spec = format!("127.0.0.1:0:{}/udp", slow.local_addr().unwrap());
    let mut program = Program::start(["run", "-L", &spec]);
    let client = client(program.address());

    for _ in 0..500 {
        client.send(&[0; 500]).unwrap();
    }

    let line = program.wait_for("udp-receiver-drops");
    assert!(line.contains(&slow.local_addr().unwrap().to_string()), "{line}");
    program.signal(rustix::process::Signal::TERM);
    let record = program.wait_for(" end=drained");
    assert!(record.contains(" target_dropped=") && record.contains("udp-receiver-drops"), "{record}");
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
