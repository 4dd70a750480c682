//! Two programs with a tunnel between them: `vps`, which accepts, and `home`, which dials.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{ClosedPort, Program, TIMEOUT, wait_until};
use crate::relay::Relay;

pub(crate) const LOOPGATE: &str = env!("CARGO_BIN_EXE_loopgate");

/// A program of a pair: its file, its log.
pub(crate) struct End {
    pub(crate) program: Program,
    folder: PathBuf,
    /// What precedes the routes in its file.
    head: String,
    seen: Vec<Value>,
}

/// Both ends, and the way between them.
pub(crate) struct Pair {
    /// The accepting end. The tunnel is `home` there.
    pub(crate) vps: End,
    /// The dialling end. The tunnel is `vps` there.
    pub(crate) home: End,
    pub(crate) relay: Relay,
    pub(crate) keys: Keys,
    /// Where the accepting end listens for others.
    listener: ClosedPort,
    folder: tempfile::TempDir,
}

/// The public keys of both.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) vps: String,
    pub(crate) home: String,
}

impl Pair {
    /// Starts both ends and waits until the tunnel is up: `permits` is what the accepting end says of the other in
    /// `[tunnels.home]`, then the routes of each.
    pub(crate) fn start(permits: &str, vps_routes: &str, home_routes: &str) -> Pair {
        Pair::start_with((None, ""), connect, permits, vps_routes, home_routes)
    }

    /// The same, where `way` says with which lines the dialling end comes to an address.
    pub(crate) fn start_by(
        way: impl FnOnce(SocketAddr) -> String,
        permits: &str,
        vps_routes: &str,
        home_routes: &str,
    ) -> Pair {
        Pair::start_with((None, ""), way, permits, vps_routes, home_routes)
    }

    /// The same, where the dialling end connects to the address `front`, at which a route of the accepting end listens and
    /// names it to the tunnel's listener; that is `LISTENER` in `vps_routes`.
    pub(crate) fn start_behind(
        front: Option<SocketAddr>,
        permits: &str,
        vps_routes: &str,
        home_routes: &str,
    ) -> Pair {
        Pair::start_with((front, ""), connect, permits, vps_routes, home_routes)
    }

    /// The same, with these lines in `[tunnel]` of the accepting end.
    pub(crate) fn start_as(own: &str, permits: &str, vps_routes: &str, home_routes: &str) -> Pair {
        Pair::start_with((None, own), connect, permits, vps_routes, home_routes)
    }

    fn start_with(
        (front, own): (Option<SocketAddr>, &str),
        way: impl FnOnce(SocketAddr) -> String,
        permits: &str,
        vps_routes: &str,
        home_routes: &str,
    ) -> Pair {
        let folder = tempfile::tempdir().unwrap();
        let [at_vps, at_home] = ["vps", "home"].map(|name| folder.path().join(name));
        let keys = Keys { vps: new_key(&at_vps), home: new_key(&at_home) };
        let listener = ClosedPort::port();
        let relay = Relay::to(front.unwrap_or(listener.address));
        let vps_routes = vps_routes.replace("LISTENER", &listener.address.to_string());
        let proxies = if front.is_some() { "accept_proxy = [\"127.0.0.1\"]\n" } else { "" };
        let vps = format!(
            "{LOG}[tunnel]\nlisten = \"{}\"\nprivate_key = \"tunnel.key\"\n{proxies}{own}\n",
            listener.address
        );
        let vps = End::start(at_vps, vps, &format!("{}{vps_routes}", let_in("home", &keys.home, permits)));
        let home = End::start(at_home, dialling(&keys.vps, &way(relay.address)), home_routes);
        let mut pair = Pair { vps, home, relay, keys, listener, folder };
        pair.home.state("vps", "up");
        pair.vps.state("home", "up");
        pair
    }

    /// Saves the file of the accepting end with these permissions and routes, and has it read.
    pub(crate) fn permit(&mut self, permits: &str, vps_routes: &str) {
        let home = let_in("home", &self.keys.home, permits);
        self.vps.save(&format!("{home}{vps_routes}"));
        self.vps.program.signal(Signal::HUP);
    }

    /// A further dialling end beside `home`, whose key the accepting end does not know yet; and its public key.
    pub(crate) fn another(&self, name: &str, routes: &str) -> (End, String) {
        let folder = self.folder.path().join(name);
        let key = new_key(&folder);
        (End::start(folder, dialling(&self.keys.vps, &connect(self.relay.address)), routes), key)
    }

    /// A dialling end without another one.
    pub(crate) fn alone(folder: &Path, way: &str, routes: &str) -> End {
        let _file = Pair::file_alone(folder, way, routes);
        End { program: run(folder), folder: folder.to_owned(), head: String::new(), seen: Vec::new() }
    }

    /// The file of such an end.
    pub(crate) fn file_alone(folder: &Path, way: &str, routes: &str) -> PathBuf {
        new_key(folder);
        let there = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
        write(folder, &format!("{}{routes}", dialling(there, way)));
        folder.join("loopgate.toml")
    }

    /// A further dialling end with the key of `home`, by another way.
    pub(crate) fn twin(&self, name: &str, way: &Relay, routes: &str) -> End {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::copy(self.home.folder.join("tunnel.key"), folder.join("tunnel.key")).unwrap();
        End::start(folder, dialling(&self.keys.vps, &connect(way.address)), routes)
    }

    /// A folder with the key of `home` and this file; nothing runs there. `KEY` stands for the key of the accepting end.
    pub(crate) fn aside(&self, name: &str, text: &str) -> Aside {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::copy(self.home.folder.join("tunnel.key"), folder.join("tunnel.key")).unwrap();
        write(&folder, &text.replace("KEY", &self.keys.vps));
        Aside { folder }
    }

    /// Where the accepting end listens for others.
    pub(crate) fn listener(&self) -> SocketAddr {
        self.listener.address
    }

    /// Another way to the accepting end.
    pub(crate) fn another_way(&self) -> Relay {
        Relay::to(self.listener.address)
    }

    /// Where the accepting end listens for a route of the other end.
    pub(crate) fn there(&mut self, route: &str) -> SocketAddr {
        self.vps.forwarding(&format!("tunnel:home/{route}"))
    }
}

/// A folder with a file and a key, from which questions are asked.
pub(crate) struct Aside {
    folder: PathBuf,
}

/// What a command has printed to both streams, and its exit code.
pub(crate) type Said = (String, i32);

impl Aside {
    /// Runs a command with the file of this folder.
    pub(crate) fn says(&self, arguments: &[&str]) -> Said {
        says_in(&self.folder, arguments)
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }
}

fn says_in(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(LOOPGATE);
    command.args(arguments).arg("-c").arg(folder.join("loopgate.toml"));
    for variable in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.code().unwrap())
}

impl End {
    /// Runs a command with the file of this end.
    pub(crate) fn says(&self, arguments: &[&str]) -> Said {
        says_in(&self.folder, arguments)
    }

    fn start(folder: PathBuf, head: String, routes: &str) -> End {
        write(&folder, &format!("{head}{routes}"));
        End { program: run(&folder), folder, head, seen: Vec::new() }
    }

    /// Writes its file with these tunnels and routes; nothing reads it yet.
    pub(crate) fn save(&self, routes: &str) {
        write(&self.folder, &format!("{}{routes}", self.head));
    }

    /// Starts it anew, with the same file.
    pub(crate) fn restart(&mut self) {
        self.program = run(&self.folder);
        self.seen.clear();
    }

    /// Every line of its log so far.
    pub(crate) fn lines(&mut self) -> &[Value] {
        let lines = self.program.log();
        let new = lines[self.seen.len()..].iter();
        self.seen.extend(new.map(|line| serde_json::from_str(line).unwrap_or(Value::String(line.clone()))));
        &self.seen
    }

    /// The first line that fits; it waits for it.
    pub(crate) fn line(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.line_from(0, what, fits)
    }

    /// The same, of the lines from this one on.
    pub(crate) fn line_from(&mut self, from: usize, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, || self.lines().iter().skip(from).find(|line| fits(line)).cloned())
    }

    /// Waits until its tunnel is up or down.
    pub(crate) fn state(&mut self, tunnel: &str, state: &str) -> Value {
        let what = format!("tunnel={tunnel} {state}");
        self.line(&what, |line| line["state"] == state && says(line, &format!("tunnel={tunnel} ")))
    }

    /// How many times its tunnel has been in this state.
    pub(crate) fn times(&mut self, tunnel: &str, state: &str) -> usize {
        let is_one = |line: &&Value| line["state"] == state && says(line, &format!("tunnel={tunnel} "));
        self.lines().iter().filter(is_one).count()
    }

    /// Where it listens for what is forwarded to this.
    pub(crate) fn forwarding(&mut self, to: &str) -> SocketAddr {
        let rest = format!(" -> {to} ");
        let line = self.line(&format!("Forwarding{rest}"), |line| {
            says(line, "Forwarding ") && format!("{} ", message(line)).contains(&rest)
        });
        let address = message(&line).strip_prefix("Forwarding ").and_then(|rest| rest.split(' ').next());
        let address = address.map(|it| it.trim_end_matches("/udp"));
        address.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("no address in {line}"))
    }

    /// Its records so far.
    pub(crate) fn records(&mut self) -> Vec<Value> {
        self.lines().iter().filter(|line| line["end"].is_string()).cloned().collect()
    }

    /// Its records, once there are so many.
    pub(crate) fn recorded(&mut self, count: usize) -> Vec<Value> {
        let what = format!("{count} records");
        let records = wait_until(&what, || Some(self.records()).filter(|records| records.len() >= count));
        assert_eq!(records.len(), count, "more records than sessions");
        records
    }

    /// The only record so far.
    pub(crate) fn record(&mut self) -> Value {
        self.recorded(1).remove(0)
    }

    /// Ends it as nothing else does: it says no word.
    pub(crate) fn kill(&mut self) {
        self.program.signal(Signal::KILL);
        assert_eq!(self.program.exit_code(), None);
    }
}

/// The words of a line.
pub(crate) fn message(line: &Value) -> &str {
    line["message"].as_str().or(line.as_str()).unwrap_or_default()
}

/// Whether a line has these words.
pub(crate) fn says(line: &Value, words: &str) -> bool {
    message(line).contains(words)
}

/// What the accepting end says of another end.
pub(crate) fn let_in(tunnel: &str, key: &str, permits: &str) -> String {
    format!("[tunnels.{tunnel}]\npublic_key = \"{key}\"\n{permits}\n")
}

/// The dialling end's file, but for its routes; `way` has the lines by which it comes to the other end.
fn dialling(key: &str, way: &str) -> String {
    format!(
        "{LOG}[tunnel]\nprivate_key = \"tunnel.key\"\n[tunnels.vps]\n{way}public_key = \"{key}\"\nping = \"1s\"\n"
    )
}

fn connect(to: SocketAddr) -> String {
    format!("connect = \"{to}\"\n")
}

const LOG: &str = "[log]\nformat = \"json\"\nlevel = \"debug\"\n";

fn write(folder: &Path, text: &str) {
    fs::write(folder.join("loopgate.toml"), text).unwrap();
}

fn run(folder: &Path) -> Program {
    Program::start(["run", "-c", folder.join("loopgate.toml").to_str().unwrap()])
}

/// Makes a folder with a key; the public key.
fn new_key(folder: &Path) -> String {
    fs::create_dir(folder).unwrap();
    let file = folder.join("tunnel.key");
    let loopgate = |more: &[&str]| {
        let mut command = Command::new(LOOPGATE);
        let output = command.args(["tunnel", "key", "--file"]).arg(&file).args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    loopgate(&[]);
    loopgate(&["--public"]).trim().to_owned()
}

/// Waits until nobody listens on an address.
pub(crate) fn refuses(address: SocketAddr) {
    wait_until(&format!("{address} refuses"), || {
        let refused = std::net::TcpStream::connect_timeout(&address, TIMEOUT);
        refused.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused).then_some(())
    });
}
