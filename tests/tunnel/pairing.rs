//! `loopgate tunnel invite` on one machine and `loopgate tunnel join` on another: what they write, and whom they keep out.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use loopgate::address::Address;
use loopgate::transport::tunnel::carrier::FrameLink;
use loopgate::transport::tunnel::identity::{Dialling, PrivateKey, dial_handshake};
use loopgate::transport::tunnel::message::{self, Hello, Message, Token};
use loopgate::transport::tunnel::pairing::written::Unsealed;
use loopgate::transport::tunnel::pairing::{Invite, Sha256, Ticket, message as join};
use loopgate::transport::{Origin, dial};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::harness::{ClosedPort, Connection, Program, TIMEOUT, Target, wait_until};
use crate::pair::LOOPGATE;
use crate::proxies::{Does, LOGIN, Middle, PASSWORD};

/// A machine: a folder with a configuration that includes `tunnels.d`.
struct Machine {
    folder: tempfile::TempDir,
    /// What precedes the routes in its file.
    head: String,
}

/// What makes a configuration one that can run.
const SOMETHING: &str = "[routes.own]\nlisten = \"127.0.0.1:0\"\ntarget = \"127.0.0.1:1\"\n";

const INCLUDE: &str = "include = [\"tunnels.d/*.toml\"]\n";

impl Machine {
    /// One that connects.
    fn new(routes: &str) -> Machine {
        let machine = Machine::without_folder(routes);
        fs::create_dir(machine.at("tunnels.d")).unwrap();
        fs::set_permissions(machine.at("tunnels.d"), Permissions::from_mode(0o700)).unwrap();
        machine
    }

    /// One whose folder does not exist yet.
    fn without_folder(routes: &str) -> Machine {
        let machine = Machine { folder: tempfile::tempdir().unwrap(), head: INCLUDE.to_owned() };
        machine.save(routes);
        machine
    }

    /// One that others connect to.
    fn server(listener: SocketAddr) -> Machine {
        let mut machine = Machine::new("");
        machine.head += &format!("[tunnel]\nlisten = \"{listener}\"\n");
        machine.save(SOMETHING);
        let mut key = Command::new(LOOPGATE);
        assert!(
            key.args(["tunnel", "key", "--file"])
                .arg(machine.at("tunnel.key"))
                .output()
                .unwrap()
                .status
                .success()
        );
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn save(&self, routes: &str) {
        fs::write(self.at("loopgate.toml"), format!("{}{routes}", self.head)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    fn file(&self) -> String {
        self.at("loopgate.toml").display().to_string()
    }

    fn run(&self) -> Program {
        let mut program = Program::start(["run", "-c", &self.file()]);
        program.wait_for("Forwarding ");
        program
    }

    /// `loopgate tunnel …` with its configuration.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LOOPGATE);
        command.arg("tunnel").args(arguments).args(["-c", &self.file()]).stdin(Stdio::null());
        command
    }

    fn tunnel(&self, arguments: &[&str]) -> Answered {
        Answered::of(&self.command(arguments).output().unwrap())
    }

    /// The line of an invite.
    fn invite(&self, name: &str, permits: &[&str]) -> String {
        let answered = self.tunnel(&[&["invite", name], permits].concat());
        assert_eq!(answered.code, 0, "{answered:?}");
        assert_eq!(answered.out.lines().count(), 1, "{answered:?}");
        let line = answered.out.trim().strip_prefix("loopgate tunnel join '").unwrap();
        line.strip_suffix('\'').unwrap().to_owned()
    }

    fn join(&self, line: &str) -> Answered {
        let answered = self.tunnel(&["join", line]);
        let secret = line.rsplit('#').next().unwrap();
        assert!(!answered.told.contains(secret) && !answered.out.contains(secret), "{answered:?}");
        answered
    }
}

/// What a command has printed, and its exit code.
#[derive(Debug)]
struct Answered {
    code: i32,
    out: String,
    told: String,
}

impl Answered {
    fn of(output: &Output) -> Answered {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Answered {
            code: output.status.code().unwrap(),
            out: text(&output.stdout),
            told: text(&output.stderr),
        }
    }

    /// It ended with this code, and says this.
    fn says(&self, code: i32, words: &str) {
        assert!(self.code == code && self.told.contains(words), "{code}, {words}: {self:?}");
    }
}

/// The same line with another secret.
fn with_another_secret(line: &str) -> String {
    let (before, letters) = line.rsplit_once('#').unwrap();
    let ticket: Ticket = letters.parse().unwrap();
    let other = Ticket { id: ticket.id, secret: Ticket::random().unwrap().secret };
    format!("{before}#{}", other.letters())
}

#[test]
fn two_commands_link_two_machines_and_a_visitor_is_carried_between_them() {
    let (listener, port, service) = (ClosedPort::port(), ClosedPort::port(), Target::echo());
    let (vps, home) = (Machine::server(listener.address), Machine::new(SOMETHING));
    let mut there = vps.run();
    let mut here = home.run();

    let line = vps.invite("home", &["--may-listen", &port.address.to_string()]);
    let joined = home.join(&line);

    assert_eq!(joined.code, 0, "{joined:?}");
    assert!(joined.out.contains(&format!("Joined {} as home.", listener.address)), "{joined:?}");
    assert!(!joined.out.contains("not taken it over"), "the running program has it: {joined:?}");
    assert!(joined.out.contains("the tunnel is ip-127-0-0-1 here"), "{joined:?}");
    let file = vps.read("tunnels.d/home.toml");
    assert!(file.contains("public_key = \"ed25519:") && !file.contains("invite ="), "{file}");
    assert!(file.contains(&format!("may_listen = [\"{}\"]", port.address)), "{file}");
    assert_eq!(fs::metadata(vps.at("tunnels.d/home.toml")).unwrap().mode() & 0o777, 0o600);
    here.wait_for("tunnel=ip-127-0-0-1 up");
    home.save(&format!(
        "[routes.web]\nlisten = \"tunnel:ip-127-0-0-1/{}\"\ntarget = \"{}\"\n",
        port.address, service.address
    ));
    here.signal(Signal::HUP);
    there.wait_for(&format!("Forwarding {}", port.address));
    Connection::to(port.address).expect_whole_echo(1, 100_000);
    // No log has the secret, and neither has any file.
    let secret = line.rsplit('#').next().unwrap();
    for log in [there.log().join("\n"), here.log().join("\n")] {
        assert!(!log.contains(secret), "{log}");
    }
    for machine in [&vps, &home] {
        for entry in fs::read_dir(machine.at("tunnels.d")).unwrap() {
            let path = entry.unwrap().path();
            assert!(!fs::read_to_string(&path).unwrap().contains(secret), "{}", path.display());
        }
    }
}

#[test]
fn a_line_lets_one_machine_in_and_a_second_is_told_that_it_was_used() {
    let listener = ClosedPort::port();
    let vps = Machine::server(listener.address);
    let mut there = vps.run();
    let (home, second) = (Machine::new(SOMETHING), Machine::new(SOMETHING));
    let line = vps.invite("home", &[]);
    assert_eq!(home.join(&line).code, 0);
    let key = vps.read("tunnels.d/home.toml");

    second.join(&line).says(6, "it was used");
    // Another invite is open now, so a connection that joins is heard.
    let _other = vps.invite("other", &[]);
    there.wait_for("reload ");
    wait_until("the second is heard", || {
        let answered = second.join(&line);
        answered.says(6, "it was used");
        answered.told.contains("this invite is not open there").then_some(())
    });

    assert_eq!(vps.read("tunnels.d/home.toml"), key);
    assert!(!second.at("tunnels.d/ip-127-0-0-1.toml").exists(), "nothing came of it");
    assert_eq!(fs::read_dir(second.at("tunnels.d")).unwrap().count(), 0);
}

/// Writes an invite that is good until then; its line.
fn write_invite(vps: &Machine, name: &str, until: SystemTime, uptime: Duration, line: &str) -> String {
    let ticket = Ticket::random().unwrap();
    let secret = ticket.secret.hash(ticket.id).unwrap();
    let invite = Invite { id: ticket.id, secret, until, uptime, seal: Sha256::of(b"").unwrap() };
    let text = Unsealed { name, invite, may_listen: &[], may_dial: &[] }.text().unwrap();
    fs::write(vps.at(&format!("tunnels.d/{name}.toml")), text).unwrap();
    let (before, _) = line.rsplit_once('#').unwrap();
    format!("{before}#{}", ticket.letters())
}

#[test]
fn an_invite_is_over_by_the_clock_and_by_the_time_since_the_machine_started() {
    let listener = ClosedPort::port();
    let (vps, home) = (Machine::server(listener.address), Machine::new(SOMETHING));
    // An invite that is open, so that connections that join are heard.
    let open = vps.invite("open", &[]);
    let (now, day, never) = (SystemTime::now(), Duration::from_hours(24), Duration::from_hours(1_000_000));
    let past = write_invite(&vps, "past", now - Duration::from_secs(1), never, &open);
    let old = write_invite(&vps, "old", now + day, Duration::from_millis(1), &open);
    let good = write_invite(&vps, "good", now + day, never, &open);
    let _there = vps.run();

    for line in [past, old] {
        home.join(&line).says(6, "this invite is not open there");
    }
    assert_eq!(home.join(&good).code, 0);
}

#[test]
fn five_wrong_secrets_close_an_invite_and_that_is_told() {
    let listener = ClosedPort::port();
    let (vps, home) = (Machine::server(listener.address), Machine::new(SOMETHING));
    let line = vps.invite("home", &[]);
    let mut there = vps.run();

    for _ in 0..5 {
        home.join(&with_another_secret(&line)).says(6, "this invite is not open there");
    }
    there.wait_for("the invite is closed: invite again");
    home.join(&line).says(6, "no invite is open there");

    // Another one takes its place.
    let line = vps.invite("home", &[]);
    there.wait_for("reload ");
    wait_until("it is open", || (home.join(&line).code == 0).then_some(()));
}

#[test]
fn a_file_that_was_changed_since_the_invite_lets_nobody_in() {
    let listener = ClosedPort::port();
    let (vps, home) = (Machine::server(listener.address), Machine::new(SOMETHING));
    let line = vps.invite("home", &[]);
    let changed = vps.read("tunnels.d/home.toml") + "may_dial = [\"10.0.0.0/8:22\"]\n";
    fs::write(vps.at("tunnels.d/home.toml"), &changed).unwrap();
    let mut there = vps.run();

    home.join(&line).says(6, "was changed since");

    there.wait_for("was changed since the invite");
    assert_eq!(vps.read("tunnels.d/home.toml"), changed);
    let line = vps.invite("home", &[]);
    there.wait_for("reload ");
    wait_until("it is open", || (home.join(&line).code == 0).then_some(()));
    assert!(!vps.read("tunnels.d/home.toml").contains("may_dial"), "it was written anew");
}

#[test]
fn a_folder_where_others_may_put_files_is_refused_by_each_of_the_three() {
    let listener = ClosedPort::port();
    let (vps, home) = (Machine::server(listener.address), Machine::new(SOMETHING));
    let open = |machine: &Machine, mode: u32| {
        fs::set_permissions(machine.at("tunnels.d"), Permissions::from_mode(mode)).unwrap();
    };

    open(&vps, 0o777);
    vps.tunnel(&["invite", "home"]).says(2, "others may put files there (mode 0777)");
    open(&vps, 0o700);
    let line = vps.invite("home", &[]);
    open(&home, 0o770);
    home.join(&line).says(2, "chmod go-w");
    open(&home, 0o700);
    let mut there = vps.run();
    open(&vps, 0o722);
    home.join(&line).says(6, "could not write it down");
    there.wait_for("others may put files there (mode 0722)");
    open(&vps, 0o755);
    // What failed has cost nothing.
    wait_until("it is open", || (home.join(&line).code == 0).then_some(()));
}

#[test]
fn an_invite_outlives_a_stop_of_the_program_that_it_was_made_for() {
    let listener = ClosedPort::port();
    let (vps, home) = (Machine::server(listener.address), Machine::new(SOMETHING));
    let mut there = vps.run();
    let line = vps.invite("home", &[]);
    there.signal(Signal::TERM);
    there.exit_code();

    home.join(&line).says(3, "refused");
    assert_eq!(fs::read_dir(home.at("tunnels.d")).unwrap().count(), 0, "nothing came of it");

    let _again = vps.run();
    assert_eq!(home.join(&line).code, 0);
}

#[test]
fn two_files_that_have_nothing_else_yet_are_enough_and_the_folder_and_the_keys_are_made() {
    let listener = ClosedPort::port();
    let (mut vps, home) = (Machine::without_folder(""), Machine::without_folder(""));
    vps.head += &format!("[tunnel]\nlisten = \"{}\"\n", listener.address);
    vps.save("");

    let line = vps.invite("home", &[]);
    let mut there = Program::start(["run", "-c", &vps.file()]);
    there.wait_for("who has its invite may join until ");
    let joined = home.join(&line);

    assert_eq!(joined.code, 0, "{joined:?}");
    assert!(joined.told.contains("tunnel.key, the private key of this machine"), "{joined:?}");
    for path in [vps.at("tunnels.d"), home.at("tunnels.d")] {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o700);
    }
    let mut here = Program::start(["run", "-c", &home.file()]);
    here.wait_for("tunnel=ip-127-0-0-1 up");
}

#[test]
fn a_configuration_that_does_not_include_the_folder_is_told_the_line_to_add() {
    let listener = ClosedPort::port();
    let (vps, home) = (Machine::server(listener.address), Machine::new(SOMETHING));
    let include = "include = [\"tunnels.d/*.toml\"]";
    let without = vps.read("loopgate.toml").replace(INCLUDE, "");
    fs::write(vps.at("loopgate.toml"), &without).unwrap();

    let refused = vps.tunnel(&["invite", "home"]);
    refused.says(2, include);
    assert!(refused.out.is_empty() && !vps.at("tunnels.d/home.toml").exists());

    fs::write(vps.at("loopgate.toml"), format!("{INCLUDE}{without}")).unwrap();
    let line = vps.invite("home", &[]);
    let _there = vps.run();
    fs::write(home.at("loopgate.toml"), SOMETHING).unwrap();
    home.join(&line).says(2, include);
    home.save(SOMETHING);
    assert_eq!(home.join(&line).code, 0, "the invite was not used by the first try");
}

#[test]
fn an_invite_that_could_not_be_is_told_why_and_leaves_nothing_behind() {
    let listener = ClosedPort::port();
    let vps = Machine::server(listener.address);
    for (arguments, words) in [
        (
            &["invite", "home", "--may-listen", "nowhere:80"][..],
            "is a name, and listening needs an IP address",
        ),
        (&["invite", "home", "--may-dial", "10.0.0.5/8:80"], "has bits beyond its first 8"),
        (&["invite", "home", "--may-listen", "unix:/run/\"x"], "quotes"),
        (&["invite", "home", "--address", "a:1-2"], "not one host and port"),
        (&["invite", "8080"], "has a letter in it"),
        (&["invite", "a/../b"], "cannot name a tunnel"),
    ] {
        vps.tunnel(arguments).says(2, words);
    }
    assert_eq!(fs::read_dir(vps.at("tunnels.d")).unwrap().count(), 0);

    vps.save(&format!(
        "{SOMETHING}[tunnels.home]\npublic_key = \"ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw\"\n"
    ));
    vps.tunnel(&["invite", "home"]).says(2, "there is already a tunnel home");
    let closed = Machine::new(SOMETHING);
    closed.tunnel(&["invite", "home"]).says(2, "no [tunnel] listen");
    let any = Machine::server("0.0.0.0:4433".parse().unwrap());
    let line = any.invite("home", &["--address", "vps.example.com"]);
    assert!(line.starts_with("vps.example.com:4433#ed25519:"), "{line}");
}

#[test]
fn a_line_is_read_from_the_input_and_one_that_is_an_argument_is_covered() {
    let listener = ClosedPort::port();
    let (vps, home) = (Machine::server(listener.address), Machine::new(SOMETHING));
    let line = vps.invite("home", &[]);
    let secret = line.rsplit('#').next().unwrap();

    // It connects, and nothing answers.
    let silent = TcpListener::bind(listener.address).unwrap();
    let mut waiting = home.command(&["join", &line]).stderr(Stdio::piped()).spawn().unwrap();
    let shown = || fs::read_to_string(format!("/proc/{}/cmdline", waiting.id())).unwrap_or_default();
    let covered = wait_until("the secret is covered", || Some(shown()).filter(|it| it.contains("****")));
    assert!(!covered.contains(secret) && covered.contains("ed25519:"), "{covered:?}");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    drop(silent);

    let _there = vps.run();
    let mut reading = home.command(&["join", "-"]);
    let mut child =
        reading.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let whole = format!("loopgate tunnel join {line}\n");
    child.stdin.take().unwrap().write_all(whole.as_bytes()).unwrap();
    let answered = Answered::of(&child.wait_with_output().unwrap());
    assert_eq!(answered.code, 0, "{answered:?}");
}

#[test]
fn a_machine_joins_through_a_proxy_and_its_tunnel_goes_through_it_too() {
    let listener = ClosedPort::port();
    let (vps, home) = (Machine::server(listener.address), Machine::new(SOMETHING));
    let middle = Middle::new(listener.address, Does::Carry(usize::MAX));
    let url = middle.url(&format!("http://{LOGIN}"));
    let line = vps.invite("home", &["--address", "vps.invalid"]);
    let _there = vps.run();

    home.join(&line).says(3, "vps.invalid");
    let joined = home.tunnel(&["join", &line, "--proxy-url", &url]);

    assert_eq!(joined.code, 0, "{joined:?}");
    assert!(!format!("{joined:?}").contains("s%40cret"), "{joined:?}");
    assert!(home.read("tunnels.d/vps.toml").contains(&format!("proxy_url = \"{url}\"\n")));
    let mut here = home.run();
    let up = here.wait_for("tunnel=vps up");
    let port = listener.address.port();
    assert!(up.contains(&format!("to=vps.invalid:{port} proxy=http://***@")), "{up}");
    assert!(middle.asked().iter().all(|asked| asked.ends_with(&format!(" vps.invalid:{port}"))));
    assert!(!here.log().join("\n").contains(PASSWORD));

    let silent = Middle::new(listener.address, Does::Answer(b"HTTP/1.1 403 Forbidden\r\n\r\n"));
    let refused = home.tunnel(&["join", &line, "--proxy-url", &silent.url(&format!("http://{LOGIN}"))]);
    refused.says(3, "no port but 443");
    assert!(!refused.told.contains("s%40cret"), "{refused:?}");
}

#[test]
fn a_machine_without_a_configuration_gets_one_that_has_the_tunnel() {
    let listener = ClosedPort::port();
    let vps = Machine::server(listener.address);
    let line = vps.invite("home", &[]);
    let _there = vps.run();
    let folder = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(LOOPGATE);
        for variable in ["LOOPGATE_CONFIG", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "XDG_STATE_HOME"] {
            command.env_remove(variable);
        }
        command.env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path().join("config"));
        Answered::of(&command.current_dir(folder.path()).args(arguments).output().unwrap())
    };

    let joined = command(&["tunnel", "join", &line]);

    assert_eq!(joined.code, 0, "{joined:?}");
    let validated = command(&["validate"]);
    assert_eq!(validated.code, 0, "{validated:?}");
    let at = |name: &str| folder.path().join("config/loopgate").join(name);
    assert_eq!(fs::read_to_string(at("loopgate.toml")).unwrap(), INCLUDE);
    let tunnel = fs::read_to_string(at("tunnels.d/ip-127-0-0-1.toml")).unwrap();
    assert!(tunnel.contains(&format!("connect = \"{}\"", listener.address)), "{tunnel}");
}

#[test]
fn a_machine_whose_key_a_tunnel_has_already_is_told_so_and_the_invite_stays() {
    let listener = ClosedPort::port();
    let (vps, home, other) =
        (Machine::server(listener.address), Machine::new(SOMETHING), Machine::new(SOMETHING));
    let mut there = vps.run();
    assert_eq!(home.join(&vps.invite("home", &[])).code, 0);
    let line = vps.invite("second", &[]);
    there.wait_for("tunnel=home joined");
    there.wait_for("reload ");

    wait_until("it is told", || {
        home.join(&line).told.contains("has the key of this machine already").then_some(())
    });

    assert_eq!(other.join(&line).code, 0);
}

#[tokio::test]
async fn a_connection_that_joins_gets_no_answer_to_anything_but_its_one_message() {
    let listener = ClosedPort::port();
    let vps = Machine::server(listener.address);
    let line = vps.invite("home", &[]);
    let mut there = vps.run();
    let key = line.split('#').nth(1).unwrap().parse().unwrap();
    let own = PrivateKey::generate().unwrap();
    let hello = Hello::Control { software: "x".into(), instance: Token([7; 16]), features: Vec::new() };
    let long = format!(
        "{{\"type\":\"join\",\"ticket\":\"{}\",\"x\":\"{}\"}}",
        Ticket::random().unwrap().letters(),
        "x".repeat(500)
    );
    for words in [message::encode(&Message::Hello(hello)), long.into_bytes(), b"{}".to_vec(), vec![0xff; 8]] {
        let mut link = joining(listener.address, &own, key).await;
        link.queue_message(&words).unwrap();
        let ended = timeout(TIMEOUT, link.receive(join::MAX_JOIN)).await.unwrap();
        assert!(ended.is_err(), "{ended:?}");
    }
    // The key that such a connection has shown lets nobody in.
    let stream = dial(&Address::Net(listener.address), &Origin::default()).await.unwrap();
    let mut link = match dial_handshake(&stream, &Dialling::new(&own, &[key]), "vps").await {
        Ok(secured) => FrameLink::new(stream, secured.records),
        Err(_) => return,
    };
    assert!(timeout(TIMEOUT, link.receive(1000)).await.unwrap().is_err());
    assert!(!there.log().iter().any(|line| line.contains("joined")), "{:?}", there.log());
    assert!(Path::new(&vps.at("tunnels.d/home.toml")).exists());
}

/// A connection that joins, once there is a place for it: one may begin a second.
async fn joining(
    to: SocketAddr,
    own: &PrivateKey,
    key: loopgate::transport::tunnel::identity::PublicKey,
) -> FrameLink {
    loop {
        let stream = dial(&Address::Net(to), &Origin::default()).await.unwrap();
        if let Ok(secured) = dial_handshake(&stream, &Dialling::joining(own, key), "vps").await {
            return FrameLink::new(stream, secured.records);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
