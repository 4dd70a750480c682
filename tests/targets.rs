//! Targets that stop and start, as the log of a running Loopgate reports it; with real processes, on any free ports.
//!
//! A service here is a process that holds a listening socket as its standard input and does nothing with it.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The machine may be busy; nothing here is about speed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that ends with the test.
struct Process(Child);

impl Process {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn pid(&self) -> u64 {
        self.0.id().into()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running Loopgate and its log.
struct Gate {
    process: Process,
    lines: Receiver<Value>,
    seen: Vec<Value>,
    /// How many of them were waited for.
    read: usize,
    _folder: tempfile::TempDir,
}

impl Gate {
    /// Forwards a free port to `target`, with these further settings of the route.
    fn to(target: SocketAddr, settings: &str) -> (Gate, SocketAddr) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loopgate.toml");
        let config = format!(
            "[routes.web]\nlisten = \"127.0.0.1:0\"\ntarget = \"{target}\"\n{settings}\n[log]\nformat = \"json\"\nlevel = \
             \"debug\"\n"
        );
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_loopgate"))
            .args(["run", "-c"])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stderr, (sender, lines)) = (child.stderr.take().unwrap(), channel());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let mut gate = Gate { process: Process(child), lines, seen: Vec::new(), read: 0, _folder: folder };
        let line = gate.wait_for(|line| message(line).starts_with("Forwarding "));
        let address = message(&line).split(' ').nth(1).unwrap().parse().unwrap();
        // A target may be reported as down even before.
        gate.read = 0;
        (gate, address)
    }

    /// The first line from here on that fits.
    fn wait_for(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while self.read == self.seen.len() {
                let left = deadline.saturating_duration_since(Instant::now());
                let Ok(line) = self.lines.recv_timeout(left) else {
                    panic!("no such line among {:#?}", self.seen);
                };
                self.seen.push(line);
            }
            self.read += 1;
            if fits(&self.seen[self.read - 1]) {
                return self.seen[self.read - 1].clone();
            }
        }
    }

    fn wait_for_state(&mut self, state: &str) -> Value {
        self.wait_for(|line| line["state"] == state)
    }

    fn wait_for_holder(&mut self, pid: u64) {
        self.wait_for(|line| line["pid"] == pid);
    }

    fn count(&self, state: &str) -> usize {
        self.seen.iter().filter(|line| line["state"] == state).count()
    }
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

fn listener(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn sleeping(script: &str, listener: TcpListener) -> Process {
    let input = Stdio::from(OwnedFd::from(listener));
    Process(Command::new("sh").args(["-c", script]).stdin(input).spawn().unwrap())
}

/// A service on this address.
fn service(listener: TcpListener) -> Process {
    sleeping("exec sleep 600", listener)
}

/// The same address again. (std sets SO_REUSEADDR, and no connection was ever accepted.)
fn service_at(address: SocketAddr) -> Process {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return service(listener),
            Err(e) => assert!(Instant::now() < deadline, "{address}: {e}"),
        }
        thread::yield_now();
    }
}

/// A service that answers: the built-in one, on a free port.
fn demo() -> (Process, SocketAddr) {
    let mut demo = Process(
        Command::new(env!("CARGO_BIN_EXE_loopgate"))
            .args(["demo", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut said = BufReader::new(demo.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = said.find(|line| line.contains("Forwarding ")).unwrap();
    thread::spawn(move || said.for_each(drop));
    let address: SocketAddr =
        line.split("Forwarding ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    (demo, address)
}

/// Sends a process a signal by its name.
fn signal(name: &str, process: &Process) {
    let sent = Command::new("kill").args(["-s", name, &process.pid().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Stops a process; none of its threads runs on.
fn stop(process: &Process) {
    signal("STOP", process);
    let stat =
        |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.unwrap().path().join("stat"));
    let runs = |stat: String| !stat.rsplit(')').next().unwrap().starts_with(" T");
    let tasks = || std::fs::read_dir(format!("/proc/{}/task", process.pid())).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while tasks().map(stat).any(|stat| stat.is_ok_and(runs)) {
        assert!(Instant::now() < deadline, "it does not stop");
    }
}

#[test]
fn a_service_that_is_killed_is_named_with_its_end_and_found_back_when_it_returns() {
    let (listener, address) = listener("127.0.0.1:0");
    let first = service(listener);
    let (mut gate, _) = Gate::to(address, "");
    gate.wait_for_holder(first.pid());

    let pid = first.pid();
    first.kill();
    let down = gate.wait_for_state("down");
    let again = service_at(address);
    let up = gate.wait_for_state("up");

    let text = message(&down);
    assert!(
        text.starts_with(&format!("target {address} DOWN refused: sleep (pid {pid}) ended after ")),
        "{text}"
    );
    assert!(text.ends_with("[target-not-running]"), "{text}");
    assert_eq!(
        (&down["verdict"], &down["target"]),
        (&"target-not-running".into(), &address.to_string().into())
    );
    assert!(message(&up).contains(&format!("sleep (pid {})", again.pid())), "{up}");
    assert_eq!((gate.count("down"), gate.count("up")), (1, 1));
}

#[test]
fn a_child_that_keeps_the_listener_keeps_the_target_up() {
    let (listener, address) = listener("127.0.0.1:0");
    let parent = sleeping("exec 3<&0; sleep 600 <&3 & echo $! >&2; exec sleep 601", listener);
    let (mut gate, _) = Gate::to(address, "");
    gate.wait_for_holder(parent.pid());

    parent.kill();
    let next = gate.wait_for(|line| line["pid"].is_u64());

    let child = next["pid"].as_u64().unwrap();
    assert_eq!(gate.count("down"), 0);
    Command::new("kill").arg(child.to_string()).status().unwrap();
    let down = gate.wait_for_state("down");
    assert!(message(&down).contains(&format!("sleep (pid {child}) ended")), "{down}");
}

#[test]
fn a_service_that_dies_again_and_again_is_told_as_flapping_once() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut service = service(listener);
    let (mut gate, _) = Gate::to(address, "");
    gate.wait_for_holder(service.pid());

    service.kill();
    gate.wait_for_state("down");
    service = service_at(address);
    gate.wait_for_state("up");
    let last = service.pid();
    service.kill();
    let flapping = gate.wait_for_state("flapping");

    let text = message(&flapping);
    assert!(text.contains("FLAPPING 3 changes in ") && text.contains(&format!("{last})")), "{text}");
    assert_eq!(flapping["verdict"], "target-flapping");
    assert_eq!((gate.count("down"), gate.count("up"), gate.count("flapping")), (1, 1, 1));
}

#[test]
fn a_client_that_waits_goes_through_when_the_service_is_back() {
    let (reserved, address) = listener("127.0.0.1:0");
    drop(reserved);
    let (mut gate, front) = Gate::to(address, "wait_for_target = \"60s\"");
    gate.wait_for_state("down");

    let mut client = TcpStream::connect(front).unwrap();
    client.write_all(b"early").unwrap();
    let late = TcpListener::bind(address).unwrap();
    let (mut served, _) = late.accept().unwrap();

    let mut heard = [0; 5];
    served.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"early");
    gate.wait_for_state("up");
    assert_ne!(gate.process.pid(), 0);
}

#[test]
fn a_refusal_is_hinted_at_with_where_the_service_really_listens() {
    let Ok(elsewhere) = TcpListener::bind("[::1]:0") else { return };
    let port = elsewhere.local_addr().unwrap().port();
    let neighbour = service(elsewhere);
    let (mut gate, front) = Gate::to(SocketAddr::from(([127, 0, 0, 1], port)), "");
    let down = gate.wait_for_state("down");

    assert_eq!(down["verdict"], "target-on-other-family", "{down}");
    let record = loop {
        drop(TcpStream::connect(front).unwrap());
        let record = gate.wait_for(|line| line["end"] == "no_target");
        if record["hint"].as_str().unwrap().ends_with("[target-on-other-family]") {
            break record;
        }
    };

    let hint = record["hint"].as_str().unwrap();
    assert!(hint.contains(&format!("sleep (pid {}) listens on [::1]:{port}", neighbour.pid())), "{hint}");
    assert_eq!(record["cause"], "refused");
}

#[test]
fn a_session_whose_service_was_killed_says_so() {
    let (demo, address) = demo();
    let (mut gate, front) = Gate::to(address, "");
    gate.wait_for_holder(demo.pid());
    let mut client = TcpStream::connect(front).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    client.read_exact(&mut [0; 8]).unwrap();

    let pid = demo.pid();
    demo.kill();
    // The record does not wait for the state, nor the state for the record.
    let killed = gate.read;
    gate.wait_for_state("down");
    gate.read = killed;
    drop(client);
    let record = gate.wait_for(|line| line["end"].is_string());

    let hint = record["hint"].as_str().unwrap_or_default();
    assert_eq!(
        hint,
        format!("loopgate (pid {pid}) ended while the connection was open [target-died-midstream]"),
        "{record}"
    );
}

#[test]
fn a_suspended_service_is_told_as_stalled_and_as_accepting_again() {
    let (demo, address) = demo();
    let (mut gate, front) = Gate::to(address, "");
    gate.wait_for_holder(demo.pid());

    stop(&demo);
    let mut client = TcpStream::connect(front).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let stalled = gate.wait_for_state("stalled");
    signal("CONT", &demo);
    let again = gate.wait_for_state("up");

    assert_eq!(stalled["verdict"], "target-suspended", "{stalled}");
    let text = message(&stalled);
    assert!(text.contains(&format!("loopgate (pid {}) is suspended", demo.pid())), "{text}");
    assert!(message(&again).contains("accepts again after "), "{again}");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn a_service_that_only_takes_its_time_is_not_told_at_all() {
    let (slow, slow_address) = listener("127.0.0.1:0");
    let (stuck, stuck_address) = listener("127.0.0.1:0");
    let _never_accepts = service(stuck);
    let worse = format!("[routes.worse]\nlisten = \"127.0.0.1:0\"\ntarget = \"{stuck_address}\"");
    let (mut gate, front) = Gate::to(slow_address, &worse);
    let line = gate.wait_for(|line| message(line).ends_with("(route worse)"));
    let worse: SocketAddr = message(&line).split(' ').nth(1).unwrap().parse().unwrap();
    let mut client = TcpStream::connect(front).unwrap();
    client.write_all(b"question").unwrap();
    let (mut served, _) = slow.accept().unwrap();
    served.read_exact(&mut [0; 8]).unwrap();

    // Once the later target is reported, there was enough time for the first.
    let _second = TcpStream::connect(worse).unwrap();
    let stalled = gate.wait_for_state("stalled");

    served.write_all(b"answer").unwrap();
    client.read_exact(&mut [0; 6]).unwrap();
    assert_eq!(stalled["target"], stuck_address.to_string());
    assert_eq!(stalled["verdict"], "target-not-accepting");
    let slow = slow_address.to_string();
    let told = gate.seen.iter().filter(|line| line["target"] == slow && line["state"].is_string());
    assert_eq!(told.count(), 0, "{:#?}", gate.seen);
}
