//! Targets with a name: how it is looked up, and what a name server that does not answer does to others.

use std::time::{Duration, Instant};

use loopgate::outcome::{Cause, End};

use crate::harness::datagrams::client;
use crate::harness::namespace::{SilentServer, alone_with_names};
use crate::harness::{Close, Connection, Program, Proxy, Target};

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
