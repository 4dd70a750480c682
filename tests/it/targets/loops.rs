//! Forwards that lead back to themselves in a way that no configuration shows: by a name, through another instance, after
//! its reload. One client takes a few sessions, not all there are, and is told why.

use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;

use loopgate::ledger::Record;
use loopgate::outcome::{Cause, End};
use rustix::net::sockopt::ip_multicast_ttl;

use crate::harness::{ClosedPort, Connection, Program, Proxy, TIMEOUT, Target, wait_until};

/// The most sessions that one client may make in one instance: a loop of one hop goes round this often.
const MOST: usize = 20;

fn to(listen: impl std::fmt::Display, target: impl std::fmt::Display) -> String {
    format!("[routes.test]\nlisten = '{listen}'\ntarget = '{target}'\n")
}

/// A port that is free for the moment.
fn free() -> SocketAddr {
    ClosedPort::port().address
}

/// The program with one route, where `here.example` is this machine; with its records so far once one is of a loop.
struct Named {
    program: Program,
    _hosts: tempfile::TempDir,
}

impl Named {
    fn start(spec: &str) -> Named {
        let hosts = tempfile::tempdir().unwrap();
        let file = hosts.path().join("hosts");
        std::fs::write(&file, "127.0.0.1 localhost here.example\n").unwrap();
        let ready = format!("mount --bind {} /etc/hosts && exec \"$@\"", file.display());
        let under = ["unshare", "--mount", "--", "sh", "-c", &ready, "sh"];
        let mut program = Program::start_under(&under, [spec]);
        program.address();
        Named { program, _hosts: hosts }
    }

    fn until_refused(&mut self) -> usize {
        self.program.wait_for("cause=denied");
        let records = self.program.log().iter().filter(|line| line.contains(" end="));
        let records: Vec<&String> = records.collect();
        assert!(records.iter().any(|line| line.contains("[forward-loop]\"")), "{records:?}");
        records.len()
    }
}

fn is_loop(record: &Record) -> bool {
    let is_told = record.hint().is_some_and(|hint| hint.contains("[forward-loop]"));
    is_told && record.outcome.end == End::NoTarget(Cause::Denied)
}

#[test]
#[ignore = "needs root"]
fn a_client_of_a_name_that_means_this_machine_does_not_take_every_session() {
    let at = free();
    let mut named = Named::start(&format!("{at}:here.example:{}", at.port()));
    let before = named.program.descriptors();

    Connection::to(at).receive_close();

    assert!(named.until_refused() <= MOST);
    wait_until("all are closed", || (named.program.descriptors() <= before + 4).then_some(()));
}

#[test]
fn a_reload_of_the_other_instance_makes_a_loop_and_another_one_ends_it() {
    let (target, at) = (Target::echo(), free());
    let first = Proxy::builder().with(&to(at, target.address));
    let second = Proxy::to(at);
    let carries = || {
        // Who is refused may be reset before it has seen that it was connected.
        let Ok(mut client) = Connection::try_to(second.address) else { return false };
        client.try_send(b"hello").is_ok() && matches!(client.try_receive(&mut [0; 5]), Ok(5))
    };
    assert!(carries());

    first.declare(&to(at, second.address)).unwrap();
    let _ = Connection::try_to(second.address).map(|mut client| client.receive_close());
    let told = wait_until("either refuses", || {
        let records = [first.records(), second.records()].concat();
        records.iter().any(is_loop).then_some(records.len())
    });
    assert!(told <= 2 * MOST, "{told}");

    first.declare(&to(at, target.address)).unwrap();
    wait_until("it carries again", || carries().then_some(()));
}

#[test]
fn two_processes_that_lead_to_each_other_do_not_use_up_their_descriptors() {
    let [a, b] = [free(), free()];
    let start = |from: SocketAddr, to: SocketAddr| Program::start([format!("{from}:{to}")]);
    let (mut first, mut second) = (start(a, b), start(b, a));
    first.address();
    second.address();
    let before = first.descriptors();

    let mut client = Connection::to(a);
    client.receive_close();

    // It is told by whichever of them met the end of the way.
    let mut log = Vec::new();
    wait_until("one of them tells", || {
        log = [first.log().to_vec(), second.log().to_vec()].concat();
        log.iter().any(|line| line.contains("leads back to itself")).then_some(())
    });
    assert!(first.descriptors() <= before + 2 * MOST, "{} after {before}", first.descriptors());
    assert!(log.iter().filter(|line| line.contains(" end=")).count() <= 2 * MOST, "{}", log.join("\n"));
}

#[test]
fn two_instances_that_are_each_others_proxy_are_a_loop_too() {
    for speaks in ["http", "socks5"] {
        let [a, b] = [free(), free()];
        let by = |listen, proxy| to(listen, "db.invalid:1") + &format!("proxy_url = '{speaks}://{proxy}'\n");
        let (first, second) = (Proxy::builder().with(&by(a, b)), Proxy::builder().with(&by(b, a)));

        let client = Connection::try_to(a).map(|mut client| client.receive_close());

        drop(client);
        let told = wait_until("either refuses", || {
            let records = [first.records(), second.records()].concat();
            records.iter().any(is_loop).then_some(records.len())
        });
        assert!(told <= 2 * MOST, "{told}");
    }
}

#[test]
fn unix_sockets_that_lead_to_each_other_are_a_loop_too() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| format!("unix:{}", folder.path().join(name).display()));
    let (first, second) = (Proxy::builder().with(&to(&a, &b)), Proxy::builder().with(&to(&b, &a)));

    for _ in 0..2 {
        let mut client = UnixStream::connect(folder.path().join("a")).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        // The end of the stream, or an error; but an end.
        let _ = client.read(&mut [0]);
    }

    let told = wait_until("either refuses", || {
        let records = [first.records(), second.records()].concat();
        records.iter().any(is_loop).then_some(records.len())
    });
    assert!(told <= 4 * MOST, "{told}");
}

#[test]
#[ignore = "needs root"]
fn a_datagram_to_a_name_that_means_this_machine_does_not_take_every_flow() {
    let at = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut named = Named::start(&format!("{at}:here.example:{}/udp", at.port()));
    let before = named.program.descriptors();

    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", at).unwrap();

    named.until_refused();
    assert!(named.program.descriptors() <= before + MOST, "{}", named.program.descriptors());
}

#[test]
fn a_chain_of_instances_carries_and_a_service_sees_no_mark() {
    let service = Target::manual();
    let mut first = Program::start([format!("127.0.0.1:0:{}", service.address)]);
    let mut second = Program::start([format!("127.0.0.1:0:{}", first.address())]);
    let mut third = Program::start([format!("127.0.0.1:0:{}", second.address())]);
    let address = third.address();

    // Who holds the service's socket is found out beside the first connections.
    wait_until("a connection bears no mark", || {
        let _client = Connection::to(address);
        (ip_multicast_ttl(service.accept().stream()).unwrap() < 128).then_some(())
    });
}
