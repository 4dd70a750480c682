//! Datagrams of real programs: a name server, iperf3, syslog.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Output, Stdio};

use loopgate::outcome::End;

use crate::harness::datagrams::{receive, socket};
use crate::harness::{Proxy, wait_until};

/// A server that is ended with its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn server(program: &str, arguments: &[&str]) -> Server {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Server(command.spawn().unwrap_or_else(|e| panic!("{program}: {e}")))
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// A port that was free for both protocols a moment ago, for programs that cannot choose one.
fn free_port() -> u16 {
    wait_until("a port is free for both", || {
        let stream = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = stream.local_addr().unwrap().port();
        UdpSocket::bind(("127.0.0.1", port)).ok().map(|_| port)
    })
}

fn route(name: &str, protocol: &str, listen: SocketAddr, target: SocketAddr, more: &str) -> String {
    format!("[routes.{name}]\nlisten = '{listen}'\ntarget = '{target}'\nprotocol = '{protocol}'\n{more}\n")
}

fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

#[test]
#[ignore = "needs dnsmasq and dig"]
fn a_name_server_answers_through_the_proxy() {
    let port = free_port();
    let long = "a text of a record that does not fit into the 512 bytes of old ".repeat(3);
    let _server = server(
        "dnsmasq",
        &[
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
            "--pid-file=",
            "--user=root",
            &format!("--port={port}"),
            "--address=/proxy.test/192.0.2.7",
            &format!("--txt-record=long.test,{long},{long},{long},{long}"),
        ],
    );
    let proxy = Proxy::builder().with(&route("dns", "udp", loopback(0), loopback(port), "preset = 'dns'"));
    let asked_at = proxy.address.port().to_string();
    let dig = |words: &[&str]| {
        let mut all = vec!["@127.0.0.1", "-p", &asked_at, "+short", "+tries=1", "+timeout=1"];
        all.extend(words);
        String::from_utf8(run("dig", &all).stdout).unwrap()
    };

    wait_until("the name server answers", || (dig(&["proxy.test"]) == "192.0.2.7\n").then_some(()));

    let text = dig(&["long.test", "TXT", "+bufsize=4096", "+notcp"]);
    assert!(text.len() > 700 && text.contains("does not fit"), "{text}");
    wait_until("a question that was answered is done", || {
        (proxy.record().outcome.end == End::Done).then_some(())
    });
}

#[test]
#[ignore = "needs iperf3"]
fn iperf3_measures_through_the_proxy() {
    let port = free_port();
    let _server = server("iperf3", &["-s", "-B", "127.0.0.1", "-p", &port.to_string()]);
    // Its control connection and its datagrams go to one port.
    let proxy = wait_until("a port that is free for both", || {
        let proxy = Proxy::builder().with(&route("udp", "udp", loopback(0), loopback(port), ""));
        let udp = route("udp", "udp", proxy.address, loopback(port), "");
        let tcp = route("tcp", "tcp", proxy.address, loopback(port), "");
        proxy.declare(&(udp + &tcp)).ok().map(|_| proxy)
    });
    let at = proxy.address.port().to_string();

    for way in ["--client", "--reverse"] {
        let mut words = vec!["-c", "127.0.0.1", "-p", &at, "-u", "-b", "40M", "-t", "1", "-l", "1200", "-J"];
        words.extend((way == "--reverse").then_some("--reverse"));
        let report: serde_json::Value = wait_until("iperf3 has measured", || {
            let output = run("iperf3", &words);
            output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
        });
        let sum = &report["end"]["sum"];
        assert!(sum["packets"].as_u64().unwrap() > 1_000, "{sum}");
        assert_eq!(sum["out_of_order"].as_u64().unwrap_or(0), 0, "{sum}");
        assert!(sum["lost_percent"].as_f64().unwrap() < 50.0, "{sum}");
    }
}

#[test]
#[ignore = "needs logger"]
fn syslog_arrives_over_both_families() {
    for (any, server) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")] {
        let target = socket(any);
        let listen: SocketAddr = any.parse().unwrap();
        let proxy = Proxy::builder().with(&route("log", "udp", listen, target.local_addr().unwrap(), ""));
        let port = proxy.address.port().to_string();

        for message in ["the first line", "the second line"] {
            let output = run("logger", &["--udp", "--server", server, "--port", &port, message]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let received = String::from_utf8(receive(&target)).unwrap();
            assert!(received.starts_with('<') && received.contains(message), "{received}");
        }
    }
}
