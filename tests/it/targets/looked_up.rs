//! Targets with a name: how it is looked up, and what a name server that does not answer does to others.

use std::time::{Duration, Instant};

use loopgate::outcome::{Cause, End};

use rustix::process::Signal;

use crate::harness::datagrams::{client, receive, socket};
use crate::harness::namespace::{SilentServer, alone_with_names, write_hosts};
use crate::harness::{Close, ClosedPort, Connection, Program, Proxy, Target, wait_until};

/// What is not to take longer than this, although the name server of another route takes ten seconds.
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
#[ignore = "needs root"]
fn clients_of_names_whose_server_hangs_do_not_keep_other_routes_from_their_targets() {
    let name =
        "targets::looked_up::clients_of_names_whose_server_hangs_do_not_keep_other_routes_from_their_targets";
    alone_with_names(name, "127.0.0.1 here.example", || {
        let (_server, target) = (SilentServer::start(), Target::echo());
        let port = target.address.port();
        let dead: String = (0..16)
            .map(|n| format!("routes.dead{n} = {{listen = '127.0.0.1:0', target = 'db{n}.example:80'}}\n"))
            .collect();
        let others =
            [format!("localhost:{port}"), format!("here.example:{port}"), target.address.to_string()];
        let alive: String = others
            .iter()
            .enumerate()
            .map(|(n, target)| format!("routes.z{n} = {{listen = '127.0.0.1:0', target = '{target}'}}\n"))
            .collect();
        let proxy = Proxy::builder().with(&format!("defaults.connect_timeout = '9s'\n{dead}{alive}"));
        let listening: Vec<_> = proxy.declared.listening.iter().map(|it| it.address.net().unwrap()).collect();
        let (dead, alive) = listening.split_at(16);
        let _waiting: Vec<Vec<Connection>> =
            (0..4).map(|_| dead.iter().map(|address| Connection::to(*address)).collect()).collect();
        while proxy.live().len() < 64 {
            std::thread::yield_now();
        }

        for address in alive {
            let begun = Instant::now();
            let mut client = Connection::to(*address);
            client.send(b"x");
            assert_eq!(client.receive(1), b"x");
            assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        }
    });
}

#[test]
#[ignore = "needs root"]
fn a_look_up_that_ran_out_of_time_is_timed_out_and_not_no_address() {
    let name = "targets::looked_up::a_look_up_that_ran_out_of_time_is_timed_out_and_not_no_address";
    alone_with_names(name, "", || {
        let _server = SilentServer::start();
        let route = "listen = '127.0.0.1:0'\nconnect_timeout = '200ms'\ntarget = 'db.example:80'";
        for protocol in ["tcp", "udp"] {
            let proxy = Proxy::builder().with(&format!("[routes.test]\n{route}\nprotocol = '{protocol}'"));

            if protocol == "tcp" {
                assert_eq!(Connection::to(proxy.address).receive_close(), Close::Reset);
            } else {
                client(proxy.address).send(b"question").unwrap();
            }

            let record = proxy.record();
            assert_eq!(record.outcome.end, End::NoTarget(Cause::TimedOut), "{protocol}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loopgate.toml");
        std::fs::write(&file, format!("[routes.test]\n{route}\nhealth = {{check = 'connect'}}")).unwrap();
        let mut program = Program::run(&file);

        let line = program.wait_for("target db.example:80 DOWN");

        let why = "DOWN timed_out: the look-up of its name has no answer after";
        assert!(line.contains(why) && line.contains("/etc/resolv.conf"), "{line}");
    });
}

/// Two services with one port, on 127.0.0.2 and 127.0.0.3.
fn two_targets() -> (Target, Target) {
    let old = Target::manual_on("127.0.0.2:0".parse().unwrap());
    let new = Target::manual_on(std::net::SocketAddr::new([127, 0, 0, 3].into(), old.address.port()));
    (old, new)
}

#[test]
#[ignore = "needs root"]
fn new_clients_follow_a_name_that_moves_while_its_old_address_answers() {
    let name = "targets::looked_up::new_clients_follow_a_name_that_moves_while_its_old_address_answers";
    alone_with_names(name, "127.0.0.2 db.example", || {
        let (old, new) = two_targets();
        let route = format!("listen = '127.0.0.1:0', target = 'db.example:{}'", old.address.port());
        let proxy = Proxy::builder().with(&format!("routes.test = {{{route}, resolve = '1s'}}"));
        let (mut before, mut served) = (proxy.connect(), old.accept());

        write_hosts("127.0.0.3 db.example");
        // Each client keeps the name in use.
        wait_until("a client goes to the new address", || {
            proxy.connect().reset();
            (proxy.record().outcome.target == Some(new.address.into())).then_some(())
        });

        before.send(b"still here");
        assert_eq!(served.receive(10), b"still here");
    });
}

/// A route to a name that its proxy alone knows; the proxy has a name of its own.
fn by_proxy(port: u16, more: &str) -> Proxy {
    let url = format!("http://me:SECRET@proxy.example:{port}");
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = 'db.invalid:1', proxy_url = '{url}'{more}}}"
    ))
}

#[test]
#[ignore = "needs root"]
fn a_proxy_whose_name_has_no_answer_is_named_without_its_password() {
    let name = "targets::looked_up::a_proxy_whose_name_has_no_answer_is_named_without_its_password";
    alone_with_names(name, "", || {
        let _server = SilentServer::start();
        let proxy = by_proxy(3128, ", connect_timeout = '200ms'");

        assert_eq!(Connection::to(proxy.address).receive_close(), Close::Reset);

        let record = proxy.record();
        assert_eq!(record.outcome.end, End::NoTarget(Cause::TimedOut), "{record}");
        let words = "the proxy http://***@proxy.example:3128 has no address yet";
        assert!(record.hint().unwrap().contains(words), "{record}");
    });
}

#[test]
#[ignore = "needs root"]
fn clients_follow_the_name_of_a_proxy_that_moves() {
    let name = "targets::looked_up::clients_follow_the_name_of_a_proxy_that_moves";
    alone_with_names(name, "", || {
        // By its rule; and without one, once the old address refuses.
        for (rule, answers) in [("'1s'", true), ("'off'", false)] {
            write_hosts("127.0.0.2 proxy.example");
            let (old, new) = two_targets();
            let proxy = by_proxy(old.address.port(), &format!(", resolve = {rule}"));
            let mut clients = vec![proxy.connect()];
            let mut asked = old.accept();
            assert_eq!(asked.receive(8), b"CONNECT ");
            let _old = answers.then_some(old);

            write_hosts("127.0.0.3 proxy.example");

            wait_until("a client is led to the new address", || {
                // Who is refused may be reset at once.
                clients.extend(Connection::try_to(proxy.address));
                new.try_accept()
            });
        }
    });
}

#[test]
#[ignore = "needs root"]
fn a_hang_up_looks_names_up_at_once_and_the_move_is_told() {
    let name = "targets::looked_up::a_hang_up_looks_names_up_at_once_and_the_move_is_told";
    alone_with_names(name, "127.0.0.2 db.example", || {
        let (old, new) = two_targets();
        let (folder, port) = (tempfile::tempdir().unwrap(), old.address.port());
        let file = folder.path().join("loopgate.toml");
        let route = format!("listen = '127.0.0.1:0'\ntarget = 'db.example:{port}'\nresolve = 'off'");
        std::fs::write(&file, format!("[routes.test]\n{route}\n")).unwrap();
        let mut program = Program::start(["run", "-c", file.to_str().unwrap()]);
        let address = program.address();
        let _before = (Connection::to(address), old.accept());

        write_hosts("127.0.0.3 db.example");
        program.signal(Signal::HUP);
        program.wait_for("target db.example: 127.0.0.2 -> 127.0.0.3");

        let mut client = Connection::to(address);
        client.send(b"x");
        assert_eq!(new.accept().receive(1), b"x");
    });
}

#[test]
#[ignore = "needs root"]
fn a_client_whose_targets_old_address_drops_everything_is_taken_to_the_new_one() {
    let name =
        "targets::looked_up::a_client_whose_targets_old_address_drops_everything_is_taken_to_the_new_one";
    alone_with_names(name, "127.0.0.2 db.example", || {
        let old = ClosedPort::port_of("127.0.0.2:0".parse().unwrap());
        let old_address = old.address;
        let new = Target::echo_on(std::net::SocketAddr::new([127, 0, 0, 3].into(), old_address.port()));
        let route = format!("listen = '127.0.0.1:0', target = 'db.example:{}'", old_address.port());
        let proxy = Proxy::builder()
            .with(&format!("routes.test = {{{route}, resolve = 'off', connect_timeout = '6s'}}"));
        let mut refused = proxy.connect();
        assert_eq!(refused.receive_close(), Close::Reset);
        assert_eq!(proxy.record().outcome.end, End::NoTarget(Cause::Refused));
        let _full = old.fill_up();
        write_hosts("127.0.0.3 db.example");

        proxy.connect().expect_whole_echo(1, 1000);

        let outcome = proxy.record().outcome;
        let attempts: Vec<_> = outcome.attempts.iter().map(|it| (it.address.clone(), it.cause)).collect();
        assert_eq!(attempts, [(old_address.into(), Some(Cause::TimedOut)), (new.address.into(), None)]);
    });
}

#[test]
#[ignore = "needs root"]
fn flows_of_new_clients_follow_a_name_that_moves() {
    let name = "targets::looked_up::flows_of_new_clients_follow_a_name_that_moves";
    alone_with_names(name, "127.0.0.2 db.example", || {
        let old = socket("127.0.0.2:0");
        let port = old.local_addr().unwrap().port();
        let new = socket(&format!("127.0.0.3:{port}"));
        let route = format!("listen = '127.0.0.1:0', protocol = 'udp', target = 'db.example:{port}'");
        let proxy = Proxy::builder().with(&format!("routes.test = {{{route}, resolve = '1s'}}"));
        let before = client(proxy.address);
        before.send(b"one").unwrap();
        assert_eq!(receive(&old), b"one");

        write_hosts("127.0.0.3 db.example");
        new.set_nonblocking(true).unwrap();
        wait_until("a flow goes to the new address", || {
            client(proxy.address).send(b"new").unwrap();
            new.recv(&mut [0; 3]).ok()
        });

        before.send(b"two").unwrap();
        while receive(&old) != b"two" {}
    });
}
