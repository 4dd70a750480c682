//! `loopgate bench` on services of this test, on routes that run, and as a process that is stopped.
//!
//! No figure is compared with another: what is fast or slow here is no matter of a test.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far longer than anything here takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// One bench at a time: each takes all processors.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopgate"));
    command.arg("bench").args(arguments).env_remove("COLUMNS").stdin(Stdio::null());
    command.output().unwrap()
}

/// What it measured, as JSON.
fn measured(arguments: &[&str]) -> Value {
    let output = bench(&[arguments, &["--for", "1s", "--json"]].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"));
    assert_eq!((output.status.code(), &json["complete"]), (Some(0), &true.into()), "{json:#}{told}");
    assert_eq!(json["schema"], "loopgate.bench/1");
    json
}

fn loads(json: &Value) -> Vec<(&str, u64)> {
    let each = json["measurements"].as_array().unwrap().iter();
    each.map(|it| (it["load"].as_str().unwrap(), it["at_once"].as_u64().unwrap())).collect()
}

/// That every load was measured this way.
fn has_figures(json: &Value, way: &str) {
    for measurement in json["measurements"].as_array().unwrap() {
        assert!(measurement[way]["rate"]["median"].as_f64().unwrap() > 0.0, "{measurement:#}");
    }
}

/// A service on a port of its own; what it hears of each connection is told.
fn service(each: impl Fn(&TcpStream) + Send + Sync + Clone + 'static) -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, came) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = sender.send(());
            let each = each.clone();
            thread::spawn(move || each(&stream));
        }
    });
    (address, came)
}

fn echo() -> (String, Receiver<()>) {
    service(|mut stream| _ = io::copy(&mut &*stream, &mut stream))
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap()
}

#[test]
fn without_arguments_it_tells_what_the_detour_costs() {
    let _turn = turn();
    let json = measured(&[]);

    let all = ["streams-down", "streams-down", "requests", "requests", "connect-exchange"];
    assert_eq!(loads(&json).iter().map(|(load, _)| *load).collect::<Vec<_>>(), all);
    has_figures(&json, "direct");
    has_figures(&json, "through");
    for measurement in json["measurements"].as_array().unwrap() {
        assert!(measurement["through"]["cpu_seconds"]["median"].as_f64().unwrap() > 0.0, "{measurement:#}");
        assert!(measurement["detour"]["rate_percent"]["median"].is_f64(), "{measurement:#}");
    }
    for quantile in ["p50_us", "p99_us", "p999_us"] {
        assert!(json["measurements"][2]["through"][quantile]["median"].as_f64().unwrap() > 0.0, "{json:#}");
    }
}

#[test]
fn a_service_that_echoes_is_asked_for_everything() {
    let _turn = turn();
    let (address, _came) = echo();

    let json = measured(&[&address]);

    assert_eq!(json["target"]["service"]["kind"], "echo");
    let all = [("streams-both-ways", 1), ("streams-both-ways", 8), ("requests", 1), ("requests", 50)];
    assert_eq!(loads(&json)[..4], all);
    has_figures(&json, "direct");
    assert!(json["through"].is_null() && json["measurements"][0]["detour"].is_null());
}

#[test]
fn a_service_that_takes_all_is_given_streams_and_connections() {
    let _turn = turn();
    let (address, _came) = service(|mut stream| _ = io::copy(&mut stream, &mut io::sink()));

    let json = measured(&[&address]);

    assert_eq!(json["target"]["service"]["kind"], "discard");
    assert_eq!(loads(&json), [("streams-up", 1), ("streams-up", 8), ("connect-send", 50)]);
    has_figures(&json, "direct");
}

#[test]
fn a_service_of_another_language_is_named_and_only_connected_to() {
    let _turn = turn();
    let (address, _came) = service(|mut stream| {
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        if !line.is_empty() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });

    let output = bench(&[&address, "--for", "1s"]);

    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("speaks HTTP (\"HTTP/1.1 400 Bad Request\")"), "{text}");
    assert!(text.contains("connect, close both ways") && text.contains("/s"), "{text}");
    assert!(!text.contains('\x1b') && !text.contains("not measured"), "{text}");
    assert_eq!(output.status.code(), Some(0), "{text}");
}

/// What it tells of a service that cannot be measured, in far less time than it grants itself.
fn told_of(address: &str) -> String {
    let began = Instant::now();
    let output = bench(&[address, "--for", "1s"]);
    assert!(began.elapsed() < PATIENCE, "it waited for more than that");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_service_that_never_stops_talking_does_not_hold_the_bench() {
    let _turn = turn();
    let (address, _came) = service(|mut stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});

    let text = told_of(&address);

    assert!(text.contains("not measured: the answer did not end"), "{text}");
}

#[test]
fn an_iperf3_server_that_falls_silent_is_told_in_words() {
    let _turn = turn();
    let (address, _came) = service(|mut stream| {
        // It asks for the parameters, takes them, and says no more.
        let _ = stream.read_exact(&mut [0; 37]).and_then(|()| stream.write_all(&[9]));
        let _ = io::copy(&mut stream, &mut io::sink());
    });

    let text = told_of(&address);

    assert!(text.contains("not measured: the iperf3 server said nothing for 3 s"), "{text}");
}

#[test]
fn an_iperf3_server_is_loaded_in_both_directions() {
    let _turn = turn();
    // An address of its own, so that no other server is in the way.
    let mut server = Command::new("iperf3");
    server
        .args(["-s", "-B", "127.94.7.31", "-p", "5201", "--forceflush"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let Ok(mut child) = server.spawn() else { return };
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let server = Process(child);
    let (sender, told) = channel();
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    while !told.recv_timeout(PATIENCE).unwrap().contains("Server listening") {}

    let json = measured(&["127.94.7.31:5201", "--through", "0:127.94.7.31:5201"]);

    assert_eq!(json["target"]["service"]["kind"], "iperf3");
    let all = [("streams-up", 1), ("streams-up", 8), ("streams-down", 1), ("streams-down", 8)];
    assert_eq!(loads(&json), all);
    has_figures(&json, "direct");
    has_figures(&json, "through");
    drop(server);
}

#[test]
fn a_route_that_it_starts_is_compared_with_the_service() {
    let _turn = turn();
    let (address, _came) = echo();

    let json = measured(&[&address, "--through", &format!("0:{}", port(&address))]);

    has_figures(&json, "direct");
    has_figures(&json, "through");
    assert_eq!(json["through"]["processes"].as_array().unwrap().len(), 1);
}

/// The routes of this file, once they run.
fn running(file: &str) -> Process {
    let mut run = Command::new(env!("CARGO_BIN_EXE_loopgate"));
    let mut run = Process(run.args(["run", "-c", file]).stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(run.0.stderr.take().unwrap()).lines();
    let (sender, told) = channel();
    // Who writes records must always have a reader.
    thread::spawn(move || lines.map_while(Result::ok).for_each(|line| _ = sender.send(line)));
    while !told.recv_timeout(PATIENCE).unwrap().contains("Forwarding ") {}
    run
}

#[test]
fn a_route_of_the_file_is_measured_as_it_runs() {
    let _turn = turn();
    let (address, _came) = echo();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loopgate.toml");
    let (listen, file) = ("127.94.7.32:7032", file.to_str().unwrap());
    fs::write(file, format!("[routes.web]\nlisten = \"{listen}\"\ntarget = \"{address}\"\n")).unwrap();
    let output = bench(&["--through", "web", "-c", file]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("start it: loopgate run -c"), "{told}");
    assert_eq!(output.status.code(), Some(1));
    let run = running(file);

    let json = measured(&["--through", "web", "-c", file]);

    assert_eq!(json["target"]["address"], address.as_str());
    assert_eq!(json["through"]["route"], "web");
    assert_eq!(json["through"]["processes"], serde_json::json!([run.0.id()]));
    has_figures(&json, "through");
    assert!(json["measurements"][2]["through"]["cpu_seconds"]["median"].as_f64().unwrap() > 0.0, "{json:#}");
}

#[test]
fn a_route_that_refuses_this_client_is_not_taken_for_one_that_does_not_run() {
    let _turn = turn();
    let (address, _came) = echo();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loopgate.toml");
    let file = file.to_str().unwrap();
    let route =
        format!("listen = \"127.94.7.34:7034\"\ntarget = \"{address}\"\nallow = [\"192.0.2.0/24\"]\n");
    fs::write(file, format!("[routes.web]\n{route}")).unwrap();
    let _run = running(file);

    let output = bench(&["--through", "web", "-c", file, "--for", "1s"]);

    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Nothing came through route web: its allow,"), "{text}{:?}", output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
}

#[test]
fn what_cannot_be_measured_is_told_and_what_to_do() {
    let _turn = turn();
    let (address, _came) = echo();
    let other = format!("0:{}", port(&echo().0));
    let itself = format!("{0}:{0}", port(&address));
    let cases: [(&[&str], i32, &str); 11] = [
        (&["--through", &itself], 2, "leads back to itself"),
        (&["192.0.2.7:9"], 2, "add --yes-remote"),
        (&["127.94.7.33:9"], 1, "the whole page: loopgate explain 127.94.7.33:9"),
        (&["53/udp"], 2, "UDP is not in this version"),
        (&["unix:/run/app.sock"], 2, "Unix sockets are not in this version"),
        (&[&address, "--through", &other], 2, "leave the address out"),
        (&["--through", "0:7/udp"], 2, "UDP routes are not in this version"),
        (&["-c", "loopgate.toml"], 2, "add --through ROUTE"),
        (&["--expect", "echo"], 2, "no service is named"),
        (&[&address, "--for", "1h"], 2, "write a time from 1s to 10m"),
        (&[&address, "--expect", "http"], 2, "write echo, discard or iperf3"),
    ];

    for (arguments, code, words) in cases {
        let output = bench(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(words), "{arguments:?}: {told}");
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(code), true), "{arguments:?}");
    }
}

#[test]
fn too_few_descriptors_are_told_before_anything_is_measured() {
    let _turn = turn();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 60; exec \"$0\" bench --for 1s", env!("CARGO_BIN_EXE_loopgate")]);

    let output = command.stdin(Stdio::null()).output().unwrap();

    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, "error: 60 descriptors are too few: at least 160 are needed; raise `ulimit -n`\n");
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true));
}

#[test]
fn a_listener_that_is_held_is_told_as_run_tells_it() {
    let _turn = turn();
    let (address, _came) = echo();
    let (held, _holder) = echo();

    let output = bench(&["--through", &format!("{}:{}", port(&held), port(&address)), "--for", "1s"]);

    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with(&format!("error: cannot listen on {held}")), "{told}");
    assert!(told.contains("[port-held, "), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

/// The command lines of the processes that have this text in their environment.
fn with_mark(mark: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let marked = processes.filter(|it| {
        let environment = fs::read(it.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    });
    let lines = marked.filter_map(|it| fs::read_to_string(it.path().join("cmdline")).ok());
    lines.filter(|line| !line.is_empty()).collect()
}

/// Starts a bench of a minute, and waits until connections came directly and through its route.
fn long_bench(mark: &str) -> Process {
    let (address, came) = echo();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopgate"));
    command.args(["bench", &address, "--for", "1m", "--through", &format!("0:{}", port(&address))]);
    let (name, value) = mark.split_once('=').unwrap();
    command.env(name, value).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // One that asks, one directly, one through the route.
    for _ in 0..3 {
        came.recv_timeout(PATIENCE).unwrap();
    }
    assert!(with_mark(mark).iter().any(|line| line.contains("Forward")), "{:?}", with_mark(mark));
    Process(child)
}

fn nothing_is_left(mark: &str) {
    let begun = Instant::now();
    while !with_mark(mark).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{:?}", with_mark(mark));
        thread::yield_now();
    }
}

#[test]
fn ctrl_c_ends_it_with_all_its_processes_and_tells_what_was_measured() {
    let _turn = turn();
    let mark = "LOOPGATE_TEST=ctrl-c";
    let mut running = long_bench(mark);

    kill_process(Pid::from_child(&running.0), Signal::INT).unwrap();

    let told = io::read_to_string(running.0.stdout.take().unwrap()).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(128 + 2));
    assert!(told.contains("Stopped before its end") && told.contains("GB/s"), "{told}");
    nothing_is_left(mark);
}

#[test]
fn killed_it_leaves_no_process_either() {
    let _turn = turn();
    let mark = "LOOPGATE_TEST=killed";
    let mut running = long_bench(mark);

    kill_process(Pid::from_child(&running.0), Signal::KILL).unwrap();

    running.0.wait().unwrap();
    nothing_is_left(mark);
}
