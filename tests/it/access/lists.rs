//! Who may connect: `allow` and `deny`, decided by the client's address alone.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::thread;

use loopgate::outcome::{Denial, End, Limit, Phase, Way};
use rustix::process::Signal;

use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent, socket};
use crate::harness::{Close, Config, Connection, Program, Proxy, Target, wait_until};

fn proxy(target: SocketAddr, more: &str) -> Proxy {
    Proxy::builder().with(&format!("[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '{target}'\n{more}\n"))
}

fn is_served(mut client: Connection) -> bool {
    // A reset may meet the write or the read.
    let mut received = [0; 4];
    matches!(client.try_send(b"here"), Ok(4))
        && matches!(client.try_receive(&mut received), Ok(4))
        && received == *b"here"
}

#[test]
fn a_denied_client_is_reset_and_recorded_and_another_is_served() {
    let target = Target::echo();
    let proxy = proxy(target.address, "deny = ['127.0.0.2', '10.0.0.0/8']");

    assert!(Connection::is_reset_at_once("127.0.0.2", proxy.address));
    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::Denied(Denial::Listed), Phase::Admit));
    assert!(record.client.to_string().starts_with("127.0.0.2:"));
    assert_eq!(record.hint(), Some("its address is in deny"));
    assert!(is_served(proxy.connect()));
    assert!(is_served(Connection::from_to("127.0.0.3", proxy.address)));
}

#[test]
fn where_there_is_an_allow_nobody_else_comes_in() {
    let target = Target::echo();
    let proxy = proxy(target.address, "allow = ['127.0.0.0/30', '::1']\ndeny = '127.0.0.2'");

    assert!(is_served(Connection::from_to("127.0.0.1", proxy.address)));
    assert!(Connection::is_reset_at_once("127.0.0.2", proxy.address), "deny goes first");
    assert!(Connection::is_reset_at_once("127.0.0.4", proxy.address));

    let ends: Vec<End> = (0..3).map(|_| proxy.record().outcome.end).collect();
    assert!(ends.contains(&End::Denied(Denial::Listed)) && ends.contains(&End::Denied(Denial::Unlisted)));
}

#[test]
fn a_listener_for_both_families_knows_its_ipv4_clients_by_their_address() {
    let target = Target::echo();
    let config = format!(
        "[routes.test]\nlisten = '[::]:0'\nv6only = false\ntarget = '{}'\nallow = '127.0.0.0/8'\ndeny = '127.0.0.2'",
        target.address
    );
    let proxy = Proxy::builder().with(&config);
    let address = SocketAddr::from(([127, 0, 0, 1], proxy.address.port()));

    assert!(is_served(Connection::to(address)));
    assert!(Connection::is_reset_at_once("127.0.0.2", address));
    assert!(Connection::is_reset_at_once("[::1]", ([0, 0, 0, 0, 0, 0, 0, 1], address.port()).into()));
}

#[test]
fn a_client_of_a_unix_socket_has_no_address_to_be_denied() {
    use std::io::{Read, Write};
    let target = Target::echo();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy");
    let config = format!(
        "[routes.test]\nlisten = ['127.0.0.1:0', 'unix:{}']\ntarget = '{}'\nallow = '192.0.2.1'",
        path.display(),
        target.address
    );
    let proxy = Proxy::builder().with(&config);

    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"here").unwrap();
    let mut received = [0; 4];
    client.read_exact(&mut received).unwrap();

    assert_eq!(received, *b"here");
    assert!(Connection::is_reset_at_once("127.0.0.1", proxy.address));
}

#[test]
fn a_flood_of_denied_clients_is_a_few_records_and_nobody_else_waits_for_it() {
    const FLOOD: u64 = 4_000;
    let target = Target::echo();
    let proxy = proxy(target.address, "deny = '127.0.0.2'");
    let address = proxy.address;

    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..FLOOD / 2 {
                    assert!(Connection::is_reset_at_once("127.0.0.2", address));
                }
            });
        }
        for _ in 0..50 {
            assert!(is_served(Connection::to(address)));
        }
    });

    let mut denied = Vec::new();
    wait_until("every denied client is counted", || {
        denied.extend(proxy.records().into_iter().filter(|it| matches!(it.outcome.end, End::Denied(_))));
        (denied.iter().map(|record| record.count).sum::<u64>() == FLOOD).then_some(())
    });
    assert!(denied.len() < FLOOD as usize / 10, "{} records", denied.len());
}

#[test]
fn denied_datagrams_are_counted_and_recorded_once_in_a_while() {
    let echo = EchoDatagrams::start();
    let proxy = proxy(echo.address, "protocol = 'udp'\ndeny = '127.0.0.2'");
    let denied = socket("127.0.0.2:0");

    for _ in 0..100 {
        denied.send_to(b"let me in", proxy.address).unwrap();
    }
    let other = client(proxy.address);
    assert_eq!(ask(&other, b"and me"), b"and me");

    let record = proxy.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::Denied(Denial::Listed), Phase::Admit));
    assert!(is_silent(&denied));
    assert!(proxy.records().len() < 10);
}

#[test]
fn whom_a_proxy_names_is_asked_about_and_counted_as_if_he_had_come_himself() {
    let target = Target::echo();
    let rules = "accept_proxy = '127.0.0.1'\ndeny = '192.0.2.9'\nmax_connections_per_client = 1";
    let proxy = proxy(target.address, rules);
    let named = |client: &str| {
        let mut connection = proxy.connect();
        connection.send(format!("PROXY TCP4 {client} 127.0.0.1 1000 80\r\nhere").as_bytes());
        connection
    };
    let mut first = named("192.0.2.1");
    assert_eq!(first.receive(4), b"here");

    assert_eq!(named("192.0.2.9").receive_close(), Close::Reset);
    let denied = proxy.record();
    assert_eq!((denied.outcome.end, denied.outcome.phase), (End::Denied(Denial::Listed), Phase::Admit));
    assert!(denied.client.to_string().starts_with("192.0.2.9:"));
    assert_eq!(named("192.0.2.1").receive_close(), Close::Reset);
    assert_eq!(proxy.record().outcome.end, End::Limited(Limit::PerClient));

    let mut other = named("192.0.2.2");
    assert_eq!(other.receive(4), b"here");
    first.send(b"still");
    assert_eq!(first.receive(5), b"still");
}

#[test]
fn streams_are_spliced_whatever_lists_and_limits_there_are() {
    const LENGTH: usize = 4 << 20;
    let target = Target::sending(1, LENGTH);
    let limits = "allow = 'localhost'\nmax_connections = 5\nconnection_rate_per_client = '100/s'";
    for full in ["refuse", "queue", "evict_idle"] {
        let proxy = proxy(target.address, &format!("{limits}\nwhen_full = '{full}'"));

        let mut client = proxy.connect();
        client.receive_stream(1, LENGTH);
        client.finish();

        assert_eq!(client.receive_close(), Close::Fin);
        assert_eq!(proxy.record().outcome.way, Way::Splice, "{full}");
    }
}

#[test]
fn a_list_in_a_file_is_read_again_when_it_changes() {
    let target = Target::echo();
    let config = Config::new("");
    let list = config.path.with_file_name("blocked");
    fs::write(&list, "# nobody yet\n").unwrap();
    fs::write(
        &config.path,
        format!(
            "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\ndeny = 'file:blocked'\n",
            target.address
        ),
    )
    .unwrap();
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let address = program.address();
    let mut old = Connection::from_to("127.0.0.2", address);
    old.send(b"here");
    assert_eq!(old.receive(4), b"here");

    fs::write(&list, "127.0.0.2 # for now\n").unwrap();
    program.wait_for("reload added=0 replaced=1 removed=0");

    assert!(Connection::is_reset_at_once("127.0.0.2", address));
    old.send(b"still");
    assert_eq!(old.receive(5), b"still", "who is in is not asked again");

    fs::write(&list, "127.0.0.2\nnobody\n").unwrap();
    program.wait_for("reload refused, nothing has changed");
    program.wait_for("blocked:2: this is a name, and a client is known by its address alone");
    assert!(Connection::is_reset_at_once("127.0.0.2", address));

    fs::write(&list, "").unwrap();
    program.wait_for("reload added=0 replaced=1 removed=0");
    assert!(is_served(Connection::from_to("127.0.0.2", address)));
    drop(old);
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn a_route_that_is_open_to_the_network_is_warned_of_unless_it_says_to_whom() {
    let config = |allow: &str| {
        Config::new(&format!("[routes.web]\nlisten = '0.0.0.0:0'\ntarget = '127.0.0.1:9'\n{allow}\n"))
    };
    let (open, closed) = (config(""), config("allow = '192.168.0.0/16'"));

    let mut program = Program::run(&open.path);
    let warning = program.wait_for("WARN route web listens beyond this machine");
    assert!(warning.contains("allow = "), "{warning}");

    let mut program = Program::run(&closed.path);
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    assert!(!program.log().iter().any(|line| line.contains("beyond this machine")));
}
