//! Two programs with a tunnel between them, and no file.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::harness::{ClosedPort, Connection, Program, Target};
use crate::pair::LOOPGATE;

/// The folders of two machines, neither of which has a configuration.
struct Machines {
    folder: tempfile::TempDir,
    /// Where the server waits for others.
    listener: ClosedPort,
}

impl Machines {
    fn new() -> Machines {
        Machines { folder: tempfile::tempdir().unwrap(), listener: ClosedPort::port() }
    }

    fn home_of(&self, machine: &str) -> String {
        let home = self.folder.path().join(machine);
        std::fs::create_dir_all(&home).unwrap();
        home.display().to_string()
    }

    /// The environment of a machine, as words before a command.
    fn environment(&self, machine: &str) -> Vec<String> {
        let unset = ["LOOPGATE_CONFIG", "XDG_CONFIG_HOME", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"];
        let home = self.home_of(machine);
        let mut words = vec!["env".to_owned(), "-C".to_owned(), home.clone()];
        words.extend(unset.iter().flat_map(|name| ["-u".to_owned(), (*name).to_owned()]));
        words.extend([format!("HOME={home}"), format!("XDG_STATE_HOME={home}/state")]);
        words
    }

    fn run(&self, machine: &str, arguments: &[&str]) -> Program {
        let environment = self.environment(machine);
        let before: Vec<&str> = environment.iter().map(String::as_str).collect();
        Program::start_under(&before, arguments)
    }

    /// Makes the key of a machine; the public key.
    fn key(&self, machine: &str) -> String {
        let printed = |more: &[&str]| {
            let environment = self.environment(machine);
            let mut command = Command::new(&environment[0]);
            command.args(&environment[1..]).arg(LOOPGATE).args(["tunnel", "key"]).args(more);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        printed(&[]);
        printed(&["--public"]).trim().to_owned()
    }

    /// A server that lets this key in as `home`, and permits it this.
    fn server(&self, key: &str, permits: &[&str]) -> (Program, String) {
        let (listener, home) = (self.listener.address.to_string(), format!("home={key}"));
        let public = self.key("vps");
        let mut vps =
            self.run("vps", &[&["run", "--tunnel-listen", &listener, "--tunnel", &home], permits].concat());
        vps.wait_for("Tunnels connect to ");
        (vps, format!("{listener}#{public}"))
    }
}

fn echoes(visitor: &mut Connection) {
    visitor.send(b"hello");
    assert_eq!(visitor.receive(5), b"hello");
}

#[test]
fn a_service_is_reached_through_two_commands_and_the_line_comes_once_the_other_end_listens() {
    let (machines, service, port) = (Machines::new(), Target::echo(), ClosedPort::port());
    let may = port.address.to_string();
    let (_vps, there) = machines.server(&machines.key("home"), &["--may-listen", &may]);
    let route = format!("{}:{}", port.address, service.address);

    let mut home = machines.run("home", &["-R", &route, "--tunnel", &there]);

    let line = home.wait_for("Forwarding ");
    let expected = format!("Forwarding tunnel:ip-127-0-0-1/{} -> {}", port.address, service.address);
    assert!(line.contains(&expected), "{line}");
    echoes(&mut Connection::to(port.address));
}

#[test]
fn what_the_other_end_reaches_is_reached_from_here_by_its_address_as_far_as_it_permits() {
    let (machines, service) = (Machines::new(), Target::echo());
    let may = service.address.to_string();
    let (_vps, there) = machines.server(&machines.key("home"), &["--may-dial", &may]);

    let mut home =
        machines.run("home", &["-L", &format!("127.0.0.1:0:{}", service.address), "--tunnel", &there]);

    let here = home.address();
    home.wait_for(" up to=");
    echoes(&mut Connection::to(here));
}

#[test]
fn without_a_key_one_is_made_where_it_is_found_again_and_told_once() {
    let (machines, port) = (Machines::new(), ClosedPort::port());
    let (_vps, there) = machines.server(&machines.key("somebody else"), &["--may-listen", "9"]);
    let arguments = ["-R", &format!("{}:3000", port.address), "--tunnel", &there];

    let mut first = machines.run("home", &arguments);
    let told = first.wait_for("the private key of this machine");
    assert_eq!(first.exit_code(), Some(6), "the other end does not know the key");
    assert!(first.log().iter().any(|line| line.contains("public_key = \"ed25519:")), "what to add is told");
    let file = format!("{}/state/loopgate/tunnel.key", machines.home_of("home"));
    assert!(told.contains(&file) && told.contains("--tunnel NAME=ed25519:"), "{told}");
    assert!(Path::new(&file).is_file());

    let mut second = machines.run("home", &arguments);
    assert_eq!(second.exit_code(), Some(6));
    assert!(!second.log().iter().any(|line| line.contains("the private key of this machine")));
}

#[test]
fn a_command_line_that_is_wrong_in_another_way_makes_no_key() {
    let machines = Machines::new();

    let mut home = machines.run("home", &["-R", "8080", "--tunnel", &format!("vps#{}", machines.key("vps"))]);

    assert_eq!(home.exit_code(), Some(2));
    assert!(!Path::new(&machines.home_of("home")).join("state").exists());
}

#[test]
fn a_command_that_can_listen_nowhere_there_ends_with_the_code_that_says_why() {
    let (machines, holder) = (Machines::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (taken, other) = (holder.local_addr().unwrap().to_string(), ClosedPort::port().address.to_string());
    // 192.0.2.0/24 is for documentation: no machine has an address of it.
    let permits = ["--may-listen", &taken, "--may-listen", "192.0.2.1:8080"];
    let (_vps, there) = machines.server(&machines.key("home"), &permits);

    for (at, code, words) in [
        (&*other, 6, "does not permit it"),
        (&*taken, 4, "is taken there"),
        ("192.0.2.1:8080", 7, "does not have the address"),
    ] {
        let mut home = machines.run("home", &["-R", &format!("{at}:3000"), "--tunnel", &there]);
        assert_eq!(home.exit_code(), Some(code), "{at}: {:?}", home.log());
        assert!(
            home.log()
                .iter()
                .any(|line| line.contains("stopped, as nothing listens") && line.contains(words))
        );
        assert!(!home.log().iter().any(|line| line.contains("Forwarding ")), "{at}: {:?}", home.log());
    }
}
