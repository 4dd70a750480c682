//! Real programs behind a proxy: none of them notices that it is there.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use loopgate::outcome::{End, Way};
use loopgate::probe::sockets::listening;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::{ClosedPort, Proxy, Target, pattern, wait_until};

/// A service of another program, ended when dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    port: Option<ClosedPort>,
    folder: TempDir,
}

impl Service {
    /// Starts the command that `command` builds from a port and a new folder, and returns once it listens.
    pub(crate) fn start(command: impl FnOnce(u16, &Path) -> Command) -> Service {
        Service::start_on(ClosedPort::port(), command)
    }

    /// The same on a port that was chosen before.
    pub(crate) fn start_on(port: ClosedPort, command: impl FnOnce(u16, &Path) -> Command) -> Service {
        let folder = tempfile::tempdir().unwrap();
        let address = port.address;
        let child = command(address.port(), folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let service = Service { child, address, port: Some(port), folder };
        wait_until("the service listens", || listening(address).unwrap().then_some(()));
        service
    }

    /// What it was given as its own; gone with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it without a word; gives its port.
    pub(crate) fn kill(mut self) -> ClosedPort {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.port.take().expect("it is taken once")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // All of them take their own processes with them at this signal, which SIGKILL would not let them.
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let _ = self.child.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{told}", output.status);
    output
}

pub(crate) fn printed(program: &str, arguments: &[&str]) -> String {
    String::from_utf8(run(program, arguments).stdout).unwrap()
}

/// Takes every record of sessions that have ended: all in order, and nothing lost.
pub(crate) fn all_ended_in_order(proxy: &Proxy) {
    proxy.wait_until_empty();
    let records = proxy.records();
    assert!(!records.is_empty());
    for record in records {
        let outcome = &record.outcome;
        assert_eq!((outcome.traffic.up.lost(), outcome.traffic.down.lost()), (0, 0), "{record}");
        assert_eq!(outcome.end, End::Done, "{record}");
    }
}

fn redis() -> Service {
    Service::start(|port, folder| {
        let mut redis = Command::new("redis-server");
        redis.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]).current_dir(folder);
        redis.args(["--unixsocket", "redis.sock"]);
        redis
    })
}

#[test]
#[ignore = "needs redis"]
fn redis_answers_its_own_clients() {
    let redis = redis();
    let proxy = Proxy::builder().workers(2).to(redis.address);
    let port = proxy.address.port().to_string();

    assert_eq!(printed("redis-cli", &["-p", &port, "ping"]).trim(), "PONG");
    let long = "x".repeat(100_000);
    run("redis-cli", &["-p", &port, "set", "long", &long]);
    assert_eq!(printed("redis-cli", &["-p", &port, "get", "long"]).trim(), long);
    let bench = ["-p", &port, "-n", "5000", "-c", "20", "-P", "16", "-t", "ping,set,get,lrange_100", "--csv"];
    let table = printed("redis-benchmark", &bench);

    assert!(table.lines().count() >= 5, "{table}");
    all_ended_in_order(&proxy);
}

#[test]
#[ignore = "needs redis"]
fn redis_keeps_and_gives_whole_values_at_a_limited_rate() {
    const LENGTH: usize = 5 << 20;
    let redis = redis();
    let proxy = Proxy::builder().workers(2).with(&format!(
        "routes.redis = {{listen = '127.0.0.1:0', target = '{}', bandwidth = '600mbit', \
         bandwidth_per_connection = '200mbit'}}",
        redis.address
    ));

    thread::scope(|scope| {
        for seed in 0..4 {
            let mut client = proxy.connect();
            scope.spawn(move || {
                client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\n{seed}\r\n${LENGTH}\r\n").as_bytes());
                client.send_stream(seed, LENGTH);
                client.send(format!("\r\n*2\r\n$3\r\nGET\r\n$1\r\n{seed}\r\n").as_bytes());
                let answer = format!("+OK\r\n${LENGTH}\r\n");
                assert_eq!(client.receive(answer.len()), answer.as_bytes());
                client.receive_stream(seed, LENGTH);
                assert_eq!(client.receive(2), b"\r\n");
            });
        }
    });
    let port = proxy.address.port().to_string();
    let bench = ["-p", &port, "-n", "5000", "-c", "20", "-P", "16", "-t", "ping,set,get,lrange_100", "--csv"];
    let table = printed("redis-benchmark", &bench);

    assert!(table.lines().count() >= 5, "{table}");
    proxy.wait_until_empty();
    let spliced = proxy.records().into_iter().filter(|record| record.outcome.way == Way::Splice);
    assert!(spliced.count() >= 4);
}

#[test]
#[ignore = "needs redis"]
fn redis_answers_over_unix_sockets_on_both_sides() {
    let redis = redis();
    let path = |name: &str| redis.folder.path().join(name).display().to_string();
    let proxy = Proxy::builder().workers(2).with(&format!(
        "routes.redis = {{listen = 'unix:{}', target = 'unix:{}'}}",
        path("proxy.sock"),
        path("redis.sock")
    ));

    assert_eq!(printed("redis-cli", &["-s", &path("proxy.sock"), "ping"]).trim(), "PONG");
    let bench = [
        "-s",
        &path("proxy.sock"),
        "-n",
        "5000",
        "-c",
        "20",
        "-P",
        "16",
        "-t",
        "ping,set,get,lrange_100",
        "--csv",
    ];
    let table = printed("redis-benchmark", &bench);

    assert!(table.lines().count() >= 5, "{table}");
    all_ended_in_order(&proxy);
}

#[test]
#[ignore = "needs curl"]
fn curl_speaks_to_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.sock").display().to_string();
    let target = Target::greeting(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let proxy = Proxy::builder()
        .with(&format!("routes.web = {{listen = 'unix:{path}', target = '{}'}}", target.address));

    let told = printed("curl", &["--silent", "--show-error", "--unix-socket", &path, "http://localhost/"]);

    assert_eq!(told, "hello");
    assert!(proxy.record().to_string().contains(" client=unix:pid="));
}

#[test]
#[ignore = "needs nginx"]
fn nginx_serves_a_large_file_whole() {
    let length = 50 << 20;
    let nginx = Service::start(|port, folder| {
        let mut file = Vec::new();
        while file.len() < length {
            file.extend_from_slice(pattern::at(1, file.len(), pattern::MOST));
        }
        fs::write(folder.join("large"), file).unwrap();
        let folder = folder.display();
        let config = format!(
            "daemon off; pid {folder}/pid; error_log {folder}/error;\n\
             events {{}}\n\
             http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};\n\
             fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};\n\
             server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n\
             user root;\n"
        );
        fs::write(format!("{folder}/nginx.conf"), config).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.args(["-c", &format!("{folder}/nginx.conf"), "-e", &format!("{folder}/error")]);
        nginx
    });
    let proxy = Proxy::to(nginx.address);
    let got = nginx.folder.path().join("got");

    for _ in 0..3 {
        let url = format!("http://{}/large", proxy.address);
        run("curl", &["--silent", "--show-error", "--fail", "-o", got.to_str().unwrap(), &url]);
        assert!(fs::read(&got).unwrap() == fs::read(nginx.folder.path().join("large")).unwrap());
    }

    all_ended_in_order(&proxy);
}

#[test]
#[ignore = "needs iperf3"]
fn iperf3_sends_both_ways() {
    let iperf = Service::start(|port, _| {
        let mut iperf = Command::new("iperf3");
        iperf.args(["-s", "-B", "127.0.0.1", "-p", &port.to_string()]);
        iperf
    });
    let proxy = Proxy::builder().workers(2).to(iperf.address);
    let port = proxy.address.port().to_string();

    for way in [&[][..], &["-R"]] {
        let several = ["-c", "127.0.0.1", "-p", &port, "-P", "4", "-n", "128M", "-J"];
        let told = printed("iperf3", &[&several, way].concat());
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert!(told["end"]["sum_received"]["bytes"].as_u64() > Some(16 << 20), "{told}");
    }
}

#[test]
#[ignore = "needs postgresql"]
fn postgresql_keeps_its_accounts() {
    let bin = wait_until("PostgreSQL is installed", || {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        versions.flatten().map(|version| version.path().join("bin")).find(|bin| bin.join("initdb").exists())
    });
    let program = |name: &str| bin.join(name).display().to_string();
    let postgres = Service::start(|port, folder| {
        run("chown", &["postgres", folder.to_str().unwrap()]);
        let data = folder.join("data").display().to_string();
        run("setpriv", &[&AS_POSTGRES[..], &[&program("initdb"), "-A", "trust", "-D", &data]].concat());
        let mut postgres = Command::new("setpriv");
        postgres.args(AS_POSTGRES).args([&program("postgres"), "-D", &data, "-p", &port.to_string()]);
        postgres.args(["-h", "127.0.0.1", "-k", folder.to_str().unwrap(), "-F"]);
        postgres
    });
    let folder = postgres.folder.path().display();
    let sockets = tempfile::tempdir().unwrap();
    let proxy = Proxy::builder().workers(2).with(&format!(
        "routes.port = {{listen = '127.0.0.1:0', target = '{}'}}\n\
         routes.socket = {{listen = 'unix:{}/.s.PGSQL.5432', target = 'unix:{folder}/.s.PGSQL.{}'}}\n",
        postgres.address,
        sockets.path().display(),
        postgres.address.port()
    ));
    let port = proxy.address.port().to_string();
    let at = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
    let by_socket = ["-h", sockets.path().to_str().unwrap(), "-p", "5432", "-U", "postgres"];

    wait_until("it answers", || {
        let ready = Command::new(program("pg_isready")).args(at).stdout(Stdio::null()).status().unwrap();
        ready.success().then_some(())
    });
    run(&program("pgbench"), &[&at[..], &["-i", "-q", "postgres"]].concat());
    for way in [at, by_socket] {
        run(&program("pgbench"), &[&way[..], &["-n", "-c", "8", "-t", "25", "postgres"]].concat());
    }
    let sums = "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), \
                (select count(*) from pgbench_history)";
    let told = printed(&program("psql"), &[&by_socket[..], &["-A", "-t", "-c", sums, "postgres"]].concat());

    assert_eq!(told.trim(), "t|400");
    all_ended_in_order(&proxy);
}

/// PostgreSQL refuses to run as root.
const AS_POSTGRES: [&str; 4] = ["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"];
