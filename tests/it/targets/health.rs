//! Health checks, observed by the targets to which clients are carried.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use loopgate::outcome::End;
use loopgate::probe::sockets;

use crate::harness::{Close, ClosedPort, Connection, Program, Proxy, Target, listening_inode, wait_until};

/// A proxy to these targets, the first that is well, with this table of health.
fn proxy(targets: &[SocketAddr], health: &str) -> Proxy {
    Proxy::builder().with(&config(targets, health))
}

fn config(targets: &[SocketAddr], health: &str) -> String {
    let targets: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
    format!(
        "[routes.test]\nlisten = '127.0.0.1:0'\ntarget = [{}]\nbalance = 'first'\nhealth = {{{health}}}\n",
        targets.join(", ")
    )
}

/// The target that a new client is carried to.
fn carried_to(proxy: &Proxy) -> SocketAddr {
    let client = proxy.connect();
    client.finish();
    let mut client = client;
    client.receive_all();
    let record = proxy.record();
    assert_ne!(record.outcome.end.code(), "no_target", "{record}");
    record.outcome.target.as_ref().and_then(|it| it.net()).unwrap()
}

/// A service that answers PING, and while it is unhealthy answers with an error and closes.
struct Service {
    target: Target,
    is_well: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Service {
    fn start() -> Service {
        let (is_well, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (its_own, count) = (is_well.clone(), asked.clone());
        let target = Target::serving_anywhere(move |mut connection: Connection| {
            let mut buffer = [0; 64];
            while let Ok(n @ 1..) = connection.try_receive(&mut buffer) {
                if &buffer[..n] == b"PING\r\n" {
                    count.fetch_add(1, SeqCst);
                }
                if !its_own.load(SeqCst) {
                    let _ = connection.try_send(b"-LOADING\x1b[2J\r\n");
                    return;
                }
                let _ = connection.try_send(b"+PONG\r\n");
            }
        });
        Service { target, is_well, asked }
    }
}

const PING: &str =
    r#"check = "connect", send = "PING\r\n", expect = "+PONG", interval = "20ms", timeout = "10s""#;

#[test]
fn a_service_that_does_not_answer_as_it_should_has_no_clients_until_it_does() {
    let (ailing, well) = (Service::start(), Service::start());
    let [first, second] = [&ailing, &well].map(|service| service.target.address);
    let proxy = proxy(&[first, second], PING);
    wait_until("both are asked", || {
        (ailing.asked.load(SeqCst) > 1 && well.asked.load(SeqCst) > 1).then_some(())
    });
    assert_eq!(carried_to(&proxy), first);

    ailing.is_well.store(false, SeqCst);
    wait_until("the other has the clients", || (carried_to(&proxy) == second).then_some(()));
    for _ in 0..10 {
        assert_eq!(carried_to(&proxy), second);
    }

    ailing.is_well.store(true, SeqCst);
    wait_until("it has its clients again", || (carried_to(&proxy) == first).then_some(()));
}

#[test]
fn a_wrong_answer_to_a_check_is_logged_and_a_lone_target_still_used() {
    let ailing = Service::start();
    ailing.is_well.store(false, SeqCst);
    let listen = ClosedPort::port();
    let text = config(&[ailing.target.address], PING).replace("127.0.0.1:0", &listen.address.to_string());
    let file = crate::harness::Config::new(&text);
    let mut program = Program::run(&file.path);

    let line = program.wait_for("DOWN bad_answer");

    assert!(line.contains(r"it answered '-LOADING\u{1b}[2J\r\n', and closed"), "{line}");
    assert!(line.contains("'+PONG' was expected"), "{line}");
    let mut client = Connection::to(listen.address);
    client.send(b"GET");
    client.wait_for_something();
    ailing.is_well.store(true, SeqCst);
    program.wait_for("UP after");
}

#[test]
fn three_bad_signs_in_a_row_take_a_target_out_and_two_good_ones_bring_it_back() {
    let (ailing, well) = (Service::start(), Service::start());
    let [first, second] = [&ailing, &well].map(|service| service.target.address);
    let proxy = proxy(&[first, second], &format!("{PING}, rise = 2, fall = 3"));
    wait_until("it is asked", || (ailing.asked.load(SeqCst) > 1).then_some(()));

    let before = ailing.asked.load(SeqCst);
    ailing.is_well.store(false, SeqCst);
    wait_until("the other has the clients", || (carried_to(&proxy) == second).then_some(()));

    // A check begun while it was healthy may still be in progress; two more failures are not enough to mark it down.
    assert!(ailing.asked.load(SeqCst) >= before + 3, "three checks failed");
}

#[test]
fn without_checks_nobody_but_clients_connects_and_one_of_them_finds_it_back() {
    let (away, stand_in) = (ClosedPort::port(), Target::echo());
    let proxy = proxy(&[away.address, stand_in.address], "check = 'none', interval = '1ms'");
    assert_eq!(carried_to(&proxy), stand_in.address);

    let back = Target::manual_on(away.address);
    let mut clients = Vec::new();
    wait_until("a client is sent to it", || {
        clients.push(proxy.connect());
        let live = proxy.live();
        live.iter().any(|it| it.target().to_string() == back.address.to_string()).then_some(())
    });

    drop(back.accept());
}

#[test]
fn a_lone_target_that_nobody_checks_still_gets_the_clients_that_wait_for_it() {
    let away = ClosedPort::port();
    let text = config(&[away.address], "check = 'none', interval = '1ms'");
    let proxy = Proxy::builder().with(&text.replace("balance", "wait_for_target = '1h'\nbalance"));
    let mut client = proxy.connect();
    client.send(b"x");
    wait_until("it waits", || (proxy.live().len() == 1).then_some(()));

    let _target = Target::echo_on(away.address);

    assert_eq!(client.receive(1), b"x");
}

/// A process that listens and never accepts, ended when dropped.
struct Listening(Child);

impl Listening {
    fn on(address: SocketAddr) -> Listening {
        let listener = TcpListener::bind(address).unwrap();
        let child = Command::new("sleep").arg("600").stdin(Stdio::from(OwnedFd::from(listener))).spawn();
        let child = child.unwrap();
        // Before it is `sleep`, it holds copies of this process's descriptors that exec has not closed yet.
        let command = format!("/proc/{}/comm", child.id());
        wait_until("it runs", || {
            std::fs::read_to_string(&command).is_ok_and(|it| it.trim() == "sleep").then_some(())
        });
        Listening(child)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_kernels_table_shows_a_target_gone_and_back_without_a_connection() {
    let (port, listen) = (ClosedPort::port(), ClosedPort::port());
    let service = Listening::on(port.address);
    let text =
        config(&[port.address], "interval = '1ms'").replace("127.0.0.1:0", &listen.address.to_string());
    let file = crate::harness::Config::new(&text);
    let mut program = Program::run(&file.path);
    wait_until("the proxy listens", || listening_inode(listen.address));

    drop(service);
    program.wait_for("DOWN refused");
    let _service = Listening::on(port.address);
    program.wait_for("UP after");

    let queue = sockets::listener(port.address).unwrap().map(|listener| listener.receive_queue);
    assert_eq!(queue, Some(0), "connections nobody has accepted");
}

#[test]
fn a_target_that_is_back_starts_with_few_clients() {
    let (away, steady) = (ClosedPort::port(), Target::echo());
    let text = format!(
        "[routes.test]\nlisten = '127.0.0.1:0'\ntarget = ['{}', '{}']\nhealth.slow_start = '1h'\n",
        away.address, steady.address
    );
    let proxy = Proxy::builder().with(&text);
    assert_eq!(carried_to(&proxy), steady.address);
    let back = Target::echo_on(away.address);
    wait_until("it is back", || (carried_to(&proxy) == back.address).then_some(()));

    let to_it = (0..50).filter(|_| carried_to(&proxy) == back.address).count();

    // Its share is one hundredth.
    assert!(to_it <= 2, "{to_it} of 50");
}

#[test]
fn the_health_of_a_target_that_stays_is_kept_over_a_reload() {
    let (ailing, well) = (Service::start(), Service::start());
    ailing.is_well.store(false, SeqCst);
    let [first, second] = [&ailing, &well].map(|service| service.target.address);
    // After a change of state the next check runs at once, and may find it healthy already: one passed check is not
    // enough to bring it back.
    let checks = format!("{}, rise = 1000", PING.replace("20ms", "1h"));
    let proxy = proxy(&[first, second], &checks);
    wait_until("it is known to ail", || (carried_to(&proxy) == second).then_some(()));
    ailing.is_well.store(true, SeqCst);

    let third = Target::echo();
    let changed = config(&[first, second, third.address], &checks);
    let declared = proxy.declare(&changed).unwrap();

    let address = declared.listening[0].address.net().unwrap();
    let mut client = Connection::to(address);
    client.send(b"PING\r\n");
    assert_eq!(client.receive(7), b"+PONG\r\n");
    client.finish();
    assert_eq!(client.receive_close(), Close::Fin);
    assert_eq!(proxy.record().outcome.target, Some(second.into()), "one of 1000 checks has passed at most");
}

/// redis, ended when dropped.
struct Redis(Child);

impl Redis {
    fn on(address: SocketAddr) -> Redis {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &address.port().to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Redis(child)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs redis"]
fn nobody_notices_that_one_of_two_redis_is_killed() {
    let ports = [ClosedPort::port(), ClosedPort::port()];
    let [first, second] = ports.each_ref().map(|port| port.address);
    let (dying, _living) = (Redis::on(first), Redis::on(second));
    let proxy = proxy(&[first, second], PING);
    let ping = |proxy: &Proxy| {
        let mut client = proxy.connect();
        client.send(b"PING\r\n");
        assert_eq!(client.receive(7), b"+PONG\r\n");
        client.finish();
        assert_eq!(client.receive_close(), Close::Fin);
        let record = proxy.record();
        assert_eq!(record.outcome.end, End::Done);
        record.outcome.target
    };
    wait_until("the first listens", || Connection::try_to(first).ok());
    wait_until("the second listens", || Connection::try_to(second).ok());
    wait_until("the first is well", || (ping(&proxy) == Some(first.into())).then_some(()));

    drop(dying);

    for _ in 0..20 {
        assert_eq!(ping(&proxy), Some(second.into()));
    }
    let _again = Redis::on(first);
    wait_until("it has its clients again", || (ping(&proxy) == Some(first.into())).then_some(()));
}
