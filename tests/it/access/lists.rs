//! Who may connect: `allow` and `deny`, decided by the client's address alone.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::thread;

use loopgate::outcome::{Denial, End, Limit, Phase, Way};
use rustix::process::Signal;

use crate::harness::datagrams::{EchoDatagrams, ask, client, is_silent, socket};
use crate::harness::{Config, Ending, Gate, Program, Target, Wire, until};

fn gate(target: SocketAddr, more: &str) -> Gate {
    Gate::builder().with(&format!("[routes.test]\nlisten = '127.0.0.1:0'\ntarget = '{target}'\n{more}\n"))
}

fn is_served(mut client: Wire) -> bool {
    // A reset may meet the write or the read.
    let mut heard = [0; 4];
    matches!(client.try_say(b"here"), Ok(4))
        && matches!(client.try_hear(&mut heard), Ok(4))
        && heard == *b"here"
}

#[test]
fn a_denied_client_is_reset_and_recorded_and_another_is_served() {
    let target = Target::echo();
    let gate = gate(target.address, "deny = ['127.0.0.2', '10.0.0.0/8']");

    assert!(Wire::is_turned_away("127.0.0.2", gate.address));
    let record = gate.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::Denied(Denial::Listed), Phase::Admit));
    assert!(record.client.to_string().starts_with("127.0.0.2:"));
    assert_eq!(record.hint(), Some("its address is in deny"));
    assert!(is_served(gate.connect()));
    assert!(is_served(Wire::from_to("127.0.0.3", gate.address)));
}

#[test]
fn where_there_is_an_allow_nobody_else_comes_in() {
    let target = Target::echo();
    let gate = gate(target.address, "allow = ['127.0.0.0/30', '::1']\ndeny = '127.0.0.2'");

    assert!(is_served(Wire::from_to("127.0.0.1", gate.address)));
    assert!(Wire::is_turned_away("127.0.0.2", gate.address), "deny goes first");
    assert!(Wire::is_turned_away("127.0.0.4", gate.address));

    let ends: Vec<End> = (0..3).map(|_| gate.record().outcome.end).collect();
    assert!(ends.contains(&End::Denied(Denial::Listed)) && ends.contains(&End::Denied(Denial::Unlisted)));
}

#[test]
fn a_listener_for_both_families_knows_its_ipv4_clients_by_their_address() {
    let target = Target::echo();
    let config = format!(
        "[routes.test]\nlisten = '[::]:0'\nv6only = false\ntarget = '{}'\nallow = '127.0.0.0/8'\ndeny = '127.0.0.2'",
        target.address
    );
    let gate = Gate::builder().with(&config);
    let address = SocketAddr::from(([127, 0, 0, 1], gate.address.port()));

    assert!(is_served(Wire::to(address)));
    assert!(Wire::is_turned_away("127.0.0.2", address));
    assert!(Wire::is_turned_away("[::1]", ([0, 0, 0, 0, 0, 0, 0, 1], address.port()).into()));
}

#[test]
fn a_client_of_a_unix_socket_has_no_address_to_be_denied() {
    use std::io::{Read, Write};
    let target = Target::echo();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate");
    let config = format!(
        "[routes.test]\nlisten = ['127.0.0.1:0', 'unix:{}']\ntarget = '{}'\nallow = '192.0.2.1'",
        path.display(),
        target.address
    );
    let gate = Gate::builder().with(&config);

    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"here").unwrap();
    let mut heard = [0; 4];
    client.read_exact(&mut heard).unwrap();

    assert_eq!(heard, *b"here");
    assert!(Wire::is_turned_away("127.0.0.1", gate.address));
}

#[test]
fn a_flood_of_denied_clients_is_a_few_records_and_nobody_else_waits_for_it() {
    const FLOOD: u64 = 4_000;
    let target = Target::echo();
    let gate = gate(target.address, "deny = '127.0.0.2'");
    let address = gate.address;

    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..FLOOD / 2 {
                    assert!(Wire::is_turned_away("127.0.0.2", address));
                }
            });
        }
        for _ in 0..50 {
            assert!(is_served(Wire::to(address)));
        }
    });

    let mut denied = Vec::new();
    until("every denied client is counted", || {
        denied.extend(gate.records().into_iter().filter(|it| matches!(it.outcome.end, End::Denied(_))));
        (denied.iter().map(|record| record.count).sum::<u64>() == FLOOD).then_some(())
    });
    assert!(denied.len() < FLOOD as usize / 10, "{} records", denied.len());
}

#[test]
fn denied_datagrams_are_counted_and_recorded_once_in_a_while() {
    let echo = EchoDatagrams::start();
    let gate = gate(echo.address, "protocol = 'udp'\ndeny = '127.0.0.2'");
    let denied = socket("127.0.0.2:0");

    for _ in 0..100 {
        denied.send_to(b"let me in", gate.address).unwrap();
    }
    let other = client(gate.address);
    assert_eq!(ask(&other, b"and me"), b"and me");

    let record = gate.record();
    assert_eq!((record.outcome.end, record.outcome.phase), (End::Denied(Denial::Listed), Phase::Admit));
    assert!(is_silent(&denied));
    assert!(gate.records().len() < 10);
}

#[test]
fn whom_a_proxy_names_is_asked_about_and_counted_as_if_he_had_come_himself() {
    let target = Target::echo();
    let rules = "accept_proxy = '127.0.0.1'\ndeny = '192.0.2.9'\nmax_connections_per_client = 1";
    let gate = gate(target.address, rules);
    let named = |client: &str| {
        let mut wire = gate.connect();
        wire.say(format!("PROXY TCP4 {client} 127.0.0.1 1000 80\r\nhere").as_bytes());
        wire
    };
    let mut first = named("192.0.2.1");
    assert_eq!(first.hear(4), b"here");

    assert_eq!(named("192.0.2.9").hear_end(), Ending::Reset);
    let denied = gate.record();
    assert_eq!((denied.outcome.end, denied.outcome.phase), (End::Denied(Denial::Listed), Phase::Admit));
    assert!(denied.client.to_string().starts_with("192.0.2.9:"));
    assert_eq!(named("192.0.2.1").hear_end(), Ending::Reset);
    assert_eq!(gate.record().outcome.end, End::Limited(Limit::PerClient));

    let mut other = named("192.0.2.2");
    assert_eq!(other.hear(4), b"here");
    first.say(b"still");
    assert_eq!(first.hear(5), b"still");
}

#[test]
fn streams_are_spliced_whatever_lists_and_limits_there_are() {
    const LENGTH: usize = 4 << 20;
    let target = Target::sending(1, LENGTH);
    let limits = "allow = 'localhost'\nmax_connections = 5\nconnection_rate_per_client = '100/s'";
    for full in ["refuse", "queue", "evict_idle"] {
        let gate = gate(target.address, &format!("{limits}\nwhen_full = '{full}'"));

        let mut client = gate.connect();
        client.hear_stream(1, LENGTH);
        client.finish();

        assert_eq!(client.hear_end(), Ending::Fin);
        assert_eq!(gate.record().outcome.way, Way::Splice, "{full}");
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
    let mut old = Wire::from_to("127.0.0.2", address);
    old.say(b"here");
    assert_eq!(old.hear(4), b"here");

    fs::write(&list, "127.0.0.2 # for now\n").unwrap();
    program.wait_for("reload added=0 replaced=1 removed=0");

    assert!(Wire::is_turned_away("127.0.0.2", address));
    old.say(b"still");
    assert_eq!(old.hear(5), b"still", "who is in is not asked again");

    fs::write(&list, "127.0.0.2\nnobody\n").unwrap();
    program.wait_for("reload refused, nothing has changed");
    program.wait_for("blocked:2: \"nobody\" is a name");
    assert!(Wire::is_turned_away("127.0.0.2", address));

    fs::write(&list, "").unwrap();
    program.wait_for("reload added=0 replaced=1 removed=0");
    assert!(is_served(Wire::from_to("127.0.0.2", address)));
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
    assert!(!program.heard().iter().any(|line| line.contains("beyond this machine")));
}
