//! `loopgate explain` on real services: those of this test as any user, real programs where they are installed.
//!
//! A service here is a thread of this test, or a program behind a port the kernel chose.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;

/// The machine may be busy; nothing here is about speed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::CONT);
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The output of `explain`, and its exit code.
fn explained(arguments: &[&str]) -> (Value, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopgate"));
    command.arg("explain").args(arguments).arg("--json");
    // What a developer has set is no matter of the test.
    for variable in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    let output = command.output().unwrap();
    let told = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (told, output.status.code().unwrap())
}

fn verdict(arguments: &[&str]) -> (String, i32) {
    let (told, code) = explained(arguments);
    (told["verdict"].as_str().unwrap().to_owned(), code)
}

fn is(arguments: &[&str], wanted: &str, code: i32) {
    let (told, found) = explained(arguments);
    assert_eq!((told["verdict"].as_str().unwrap(), found), (wanted, code), "{told:#}");
}

/// A service on every address: nothing is wrong, and if there is a network beside lo, the output states from where it
/// can be reached.
fn is_well(arguments: &[&str]) {
    let (told, code) = explained(arguments);
    let verdict = told["verdict"].as_str().unwrap();
    assert!(code == 0 && ["healthy", "warn-exposed"].contains(&verdict), "{told:#}");
}

fn listen(address: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Serves every connection on its own thread.
fn serve(listener: TcpListener, each: impl Fn(TcpStream) + Send + Sync + Clone + 'static) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = each.clone();
            thread::spawn(move || each(stream));
        }
    });
}

/// Reads a request to its empty line.
fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn web(listener: TcpListener, wait: Duration) {
    serve(listener, move |mut stream| {
        read_request(&mut stream);
        thread::sleep(wait);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
}

#[test]
fn a_web_server_is_healthy_and_is_asked_once() {
    let (listener, address) = listen("127.0.0.1:0");
    web(listener, Duration::ZERO);

    let (told, code) = explained(&[&address]);

    assert_eq!((told["verdict"].as_str(), code), (Some("healthy"), 0), "{told:#}");
    assert_eq!(told["schema"], "loopgate.diagnosis/1");
    let sent: Vec<&Value> =
        told["evidence"].as_array().unwrap().iter().filter(|fact| fact["fact"] == "a connection").collect();
    assert_eq!(sent.len(), 1);
}

#[test]
fn a_service_that_takes_its_time_is_healthy_within_the_limit_and_slow_beyond_it() {
    let (listener, address) = listen("127.0.0.1:0");
    web(listener, Duration::from_secs(1));

    is(&[&address, "--timeout", "20s"], "healthy", 0);
    // An answer is waited for twice as long again before anything is called slow.
    is(&[&address, "--timeout", "700ms"], "target-slow", 1);
}

#[test]
fn a_server_that_greets_is_named_and_sent_nothing() {
    let (listener, address) = listen("127.0.0.1:0");
    let (heard, hears) = std::sync::mpsc::channel();
    serve(listener, move |mut stream| {
        stream.write_all(b"220 mx ESMTP ready\r\n").unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        heard.send(said).unwrap();
    });

    is(&[&address, "--expect", "smtp"], "healthy", 0);
    is(&[&address, "--expect", "http"], "unexpected-protocol", 1);

    for _ in 0..2 {
        assert_eq!(hears.recv_timeout(PATIENCE).unwrap(), b"");
    }
}

#[test]
fn an_echo_is_healthy() {
    let (listener, address) = listen("127.0.0.1:0");
    serve(listener, |stream| {
        let mut from = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut from, &mut &stream);
    });

    is(&[&address], "healthy", 0);
}

#[test]
fn a_listener_that_nobody_accepts_on_is_not_accepting() {
    let (listener, address) = listen("127.0.0.1:0");

    is(&[&address, "--timeout", "300ms"], "target-not-accepting", 1);

    drop(listener);
}

#[test]
fn a_program_that_accepts_and_reads_nothing_is_hung() {
    let (listener, address) = listen("127.0.0.1:0");
    serve(listener, |stream| {
        thread::sleep(PATIENCE);
        drop(stream);
    });

    is(&[&address, "--timeout", "500ms"], "target-hung", 1);
}

#[test]
fn a_stopped_program_is_suspended_and_the_command_that_wakes_it_is_named() {
    let (listener, address) = listen("127.0.0.1:0");
    let child = Process(Command::new("sleep").arg("600").stdin(OwnedFd::from(listener)).spawn().unwrap());
    let pid = Pid::from_child(&child.0);
    kill_process(pid, Signal::STOP).unwrap();
    waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();

    let (told, code) = explained(&[&address, "--timeout", "300ms"]);

    assert_eq!((told["verdict"].as_str(), code), (Some("target-suspended"), 1), "{told:#}");
    assert_eq!(told["fixes"][0]["command"], serde_json::json!(["kill", "-CONT", child.0.id().to_string()]));
}

#[test]
fn a_service_that_hangs_up_is_told_from_one_that_resets() {
    let (closing, closes) = listen("127.0.0.1:0");
    serve(closing, |mut stream| drop(read_request(&mut stream)));
    let (resetting, resets) = listen("127.0.0.1:0");
    serve(resetting, |stream| {
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    });

    is(&[&closes], "target-closes-empty", 1);
    is(&[&resets], "target-resets", 1);
}

#[test]
fn nobody_is_not_running_and_a_wrong_use_is_neither() {
    let (listener, address) = listen("127.0.0.1:0");
    drop(listener);

    let (found, code) = verdict(&[&address]);
    // Whatever else listens on this machine may be on a port nearby.
    assert!(["target-not-running", "target-on-other-port"].contains(&found.as_str()), "{found}");
    assert_eq!(code, 1);
    let usage = Command::new(env!("CARGO_BIN_EXE_loopgate")).args(["explain", "::1:80"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn the_other_family_is_found() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    web(listener, Duration::ZERO);

    is(&[&format!("127.0.0.1:{port}")], "target-on-other-family", 1);
    is(&[&format!("[::1]:{port}")], "healthy", 0);
}

#[test]
fn a_host_that_is_turned_away_is_told_the_one_that_is_served() {
    let (listener, address) = listen("127.0.0.1:0");
    serve(listener, |mut stream| {
        let welcome = read_request(&mut stream).contains("Host: shop.test\r\n");
        let (status, body) = if welcome { ("200 OK", "hi") } else { ("403 Forbidden", "only for shop.test") };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _ = stream.write_all((head + body).as_bytes());
    });

    let (told, _) = explained(&[&address]);

    assert_eq!(told["verdict"], "http-host-rejected", "{told:#}");
    assert!(told["summary"].as_str().unwrap().contains("200 for shop.test"));
}

#[test]
fn a_hostile_banner_cannot_garble_the_answer() {
    let (listener, address) = listen("127.0.0.1:0");
    serve(listener, |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-\x1b[2J\x07\xff\xfe\"\\\r\n");
    });

    let output = Command::new(env!("CARGO_BIN_EXE_loopgate")).args(["explain", &address]).output().unwrap();
    let (told, _) = explained(&[&address]);

    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert_eq!(told["verdict"], "healthy");
}

#[test]
fn a_unix_socket_is_explained_and_one_that_nobody_listens_on_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let address = format!("unix:{}", path.display());

    is(&[&address, "--timeout", "300ms"], "target-not-accepting", 1);
    drop(listener);
    is(&[&address], "unix-socket-stale", 1);
    std::fs::remove_file(&path).unwrap();
    is(&[&address], "target-not-running", 1);
}

#[test]
fn udp_is_asked_with_one_datagram() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let reading = socket.try_clone().unwrap();
    let reader = thread::spawn(move || reading.recv(&mut [0; 64]).unwrap());

    is(&[&address, "--udp"], "healthy", 0);

    assert_eq!(reader.join().unwrap(), 0);
    drop(socket);
    is(&[&address, "--udp"], "udp-target-not-running", 1);
}

/// Waits for a program to listen, and gives the address back.
fn up(address: SocketAddr) -> String {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nothing came up on {address}");
        thread::yield_now();
    }
    address.to_string()
}

/// A port that was free a moment ago, for programs that cannot choose one.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn run(program: &str, arguments: &[&str]) -> Process {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Process(command.spawn().unwrap())
}

#[test]
#[ignore = "needs redis"]
fn redis_is_healthy_with_a_password_and_without() {
    for password in ["", "secret"] {
        let port = free_port();
        let mut arguments = vec!["--bind", "127.0.0.1", "--save", ""];
        let text = port.to_string();
        arguments.extend(["--port", &text]);
        if !password.is_empty() {
            arguments.extend(["--requirepass", password]);
        }
        let _redis = run("redis-server", &arguments);

        is(&[&up(([127, 0, 0, 1], port).into()), "--expect", "redis"], "healthy", 0);
    }
}

/// nginx with these lines in its `server`, which listens on `listen`.
fn nginx(folder: &std::path::Path, listen: &str) -> Process {
    let file = folder.join("nginx.conf");
    let text = format!(
        "daemon off; worker_processes 2; pid {0}/pid; error_log /dev/null; events {{}}\n\
         http {{ access_log off; client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0};\n\
         uwsgi_temp_path {0}; scgi_temp_path {0}; server {{ listen {listen}; location / {{ return 200 ok; }} }} }}\n",
        folder.display()
    );
    std::fs::write(&file, text).unwrap();
    run("nginx", &["-c", file.to_str().unwrap()])
}

#[test]
#[ignore = "needs nginx"]
fn nginx_is_healthy_alone_shared_deferred_and_under_load() {
    for options in ["", " reuseport", " deferred"] {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let _nginx = nginx(folder.path(), &format!("{address}{options}"));
        let address = up(address);
        let _load = run("wrk", &["-t1", "-c50", "-d10", &format!("http://{address}/")]);

        is(&[&address, "--timeout", "20s"], "healthy", 0);
    }
}

#[test]
#[ignore = "needs nginx"]
fn nginx_behind_a_unix_socket_and_on_both_families_is_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let _unix = nginx(folder.path(), &format!("unix:{}", path.display()));
    let deadline = Instant::now() + PATIENCE;
    while std::os::unix::net::UnixStream::connect(&path).is_err() {
        assert!(Instant::now() < deadline, "nginx did not come up");
        thread::yield_now();
    }
    is(&[&format!("unix:{}", path.display())], "healthy", 0);

    let other = tempfile::tempdir().unwrap();
    let port = free_port();
    let _both = nginx(other.path(), &format!("[::]:{port} ipv6only=off"));
    is_well(&[&up(([127, 0, 0, 1], port).into())]);
    is_well(&[&up((std::net::Ipv6Addr::LOCALHOST, port).into())]);
}

#[test]
#[ignore = "needs openssl"]
fn a_tls_server_shows_its_certificate_unless_it_is_hidden() {
    for version in ["-tls1_2", "-tls1_3"] {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("k"), folder.path().join("c"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=shop.test", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let port = free_port().to_string();
        let accept = format!("127.0.0.1:{port}");
        let files = [key.to_str().unwrap(), certificate.to_str().unwrap()];
        let _server = run(
            "openssl",
            &["s_server", "-accept", &accept, "-key", files[0], "-cert", files[1], version, "-www"],
        );
        let address = up(accept.parse().unwrap());

        let (told, code) = explained(&[&address, "--expect", "tls"]);

        assert_eq!((told["verdict"].as_str(), code), (Some("healthy"), 0), "{told:#}");
        let path = told["checks"].as_array().unwrap().iter().find(|check| check["id"] == "path").unwrap();
        let shown = path["text"].as_str().unwrap();
        assert_eq!(shown.contains("CN=shop.test"), version == "-tls1_2", "{shown}");
        is(&[&address, "--expect", "http"], "protocol-mismatch-tls-expected", 1);
    }
}

#[test]
#[ignore = "needs dnsmasq"]
fn a_dns_server_is_healthy_by_udp() {
    let port = free_port();
    let text = port.to_string();
    let arguments = [
        "-k",
        "-u",
        "root",
        "-p",
        &text,
        "-a",
        "127.0.0.1",
        "--bind-interfaces",
        "--no-resolv",
        "--no-hosts",
    ];
    let _server = run("dnsmasq", &arguments);

    let address = up(([127, 0, 0, 1], port).into());

    is(&[&address, "--udp"], "healthy", 0);
}

#[test]
#[ignore = "needs postgresql"]
fn postgresql_is_healthy_by_tcp_and_by_its_unix_socket() {
    let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
    let data = folder.path().join("data");
    let port = free_port();
    let program = |name: &str| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap().flatten();
        versions.map(|version| version.path().join("bin").join(name)).find(|path| path.exists()).unwrap()
    };
    // It refuses to run as root.
    let owner = Command::new("chown").args(["65534", folder.path().to_str().unwrap()]).status().unwrap();
    assert!(owner.success());
    let as_nobody = |name: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program(name));
        command.env("HOME", folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    assert!(as_nobody("initdb").args(["-N", "-U", "test", "-D"]).arg(&data).status().unwrap().success());
    let mut server = as_nobody("postgres");
    server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"]).arg(folder.path());
    let _server = Process(server.spawn().unwrap());

    let address = up(([127, 0, 0, 1], port).into());

    is(&[&address, "--expect", "postgres"], "healthy", 0);
    is(&[&format!("unix:{}/.s.PGSQL.{port}", folder.path().display())], "healthy", 0);
}
