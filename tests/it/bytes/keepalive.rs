//! Connections whose other end is gone without a word: when the kernel asks, and when it gives them up.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use loopgate::outcome::{End, Side};

use crate::harness::namespace::alone;
use crate::harness::{Close, Connection, Proxy, Target, wait_until};

fn proxy_with(settings: &str, target: &Target) -> Proxy {
    let (address, ip) = (target.address, target.address.ip());
    let route = format!("routes.test = {{listen = '{ip}:0', target = '{address}', {settings}}}");
    Proxy::builder().with(&route)
}

/// The timer of this connection of IPv4 that runs (proc(5), /proc/net/tcp: `tr`).
fn timer(local: SocketAddr, remote: SocketAddr) -> String {
    let written = |address: SocketAddr| match address {
        SocketAddr::V4(it) => format!("{:08X}:{:04X}", u32::from_ne_bytes(it.ip().octets()), it.port()),
        SocketAddr::V6(_) => panic!("{address}"),
    };
    let ends = format!(" {} {} ", written(local), written(remote));
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let row = table.lines().find(|row| row.contains(&ends)).unwrap_or_else(|| panic!("{ends} in {table}"));
    let (timer, _) = row.split_whitespace().nth(5).unwrap().split_once(':').unwrap();
    timer.to_owned()
}

/// Timers of a connection that has nothing under way.
const NONE: &str = "00";
const KEEPALIVE: &str = "02";

/// Waits until this timer, and no other, runs for the proxy's connections with a new client and its target.
fn both_have(wanted: &str, proxy: &Proxy, target: &Target) {
    let (client, served) = one_session(proxy, target);
    wait_until("both are acknowledged, and their timers as wanted", || {
        let timers = [timer(client.peer(), client.local()), timer(served.peer(), served.local())];
        timers.iter().all(|timer| timer == wanted).then_some(())
    });
}

#[test]
fn on_loopback_nobody_is_asked_without_a_reason() {
    let target = Target::manual();
    let proxy = proxy_with("", &target);

    both_have(NONE, &proxy, &target);
}

#[test]
fn a_keepalive_that_is_written_out_holds_on_both_sides() {
    let target = Target::manual();
    let proxy = proxy_with("keepalive = '1m'", &target);

    both_have(KEEPALIVE, &proxy, &target);
}

#[test]
fn a_reload_changes_the_keepalive_of_a_socket_that_stays() {
    let target = Target::manual();
    let proxy = proxy_with("keepalive = '1m'", &target);

    for (keepalive, timer) in [("off", NONE), ("2m", KEEPALIVE)] {
        let (listen, address) = (proxy.address, target.address);
        let route = format!("listen = '{listen}', target = '{address}', keepalive = '{keepalive}'");
        proxy.declare(&format!("routes.test = {{{route}}}")).unwrap_or_else(|refused| panic!("{refused}"));

        both_have(timer, &proxy, &target);
    }
}

#[test]
#[ignore = "needs root"]
fn beyond_loopback_both_sides_are_asked() {
    alone("bytes::keepalive::beyond_loopback_both_sides_are_asked", || {
        run("ip", &["address", "add", "192.0.2.1/32", "dev", "lo"]);
        let target = Target::manual_on("192.0.2.1:0".parse().unwrap());
        let proxy = proxy_with("", &target);
        both_have(KEEPALIVE, &proxy, &target);

        let proxy = proxy_with("keepalive = 'off'", &target);
        both_have(NONE, &proxy, &target);
    });
}

#[test]
#[ignore = "needs root"]
fn a_side_that_acknowledges_nothing_is_given_up() {
    alone("bytes::keepalive::a_side_that_acknowledges_nothing_is_given_up", || {
        for gone in [Side::Client, Side::Target] {
            let target = Target::manual();
            let proxy = proxy_with("user_timeout = '1s'", &target);
            let (client, served) = one_session(&proxy, &target);
            let (lost, mut other) = if gone == Side::Client { (client, served) } else { (served, client) };
            cut_off(gone, &lost);

            other.send(b"is there anybody?");

            assert_eq!(other.receive_close(), Close::Reset);
            assert_eq!(proxy.record().outcome.end, lost_end(gone));
        }
    });
}

#[test]
#[ignore = "needs root"]
fn a_side_that_is_silent_and_answers_no_probe_is_given_up() {
    alone("bytes::keepalive::a_side_that_is_silent_and_answers_no_probe_is_given_up", || {
        // With a user_timeout the kernel does not count the probes.
        for timeout in ["off", "2s"] {
            for gone in [Side::Client, Side::Target] {
                let target = Target::manual();
                let proxy = proxy_with(&format!("keepalive = '1s', user_timeout = '{timeout}'"), &target);
                let (client, served) = one_session(&proxy, &target);
                let (lost, mut other) =
                    if gone == Side::Client { (client, served) } else { (served, client) };
                cut_off(gone, &lost);

                assert_eq!(other.receive_close(), Close::Reset);
                assert_eq!(proxy.record().outcome.end, lost_end(gone));
            }
        }
    });
}

/// Both ends of a session that relays.
fn one_session(proxy: &Proxy, target: &Target) -> (Connection, Connection) {
    let mut client = proxy.connect();
    let mut served = target.accept();
    client.send(b"?");
    assert_eq!(served.receive(1), b"?");
    (client, served)
}

fn lost_end(side: Side) -> End {
    match side {
        Side::Client => End::ClientLost,
        Side::Target => End::TargetLost,
    }
}

/// From now on no packet of the connection with the proxy that this side has arrives.
fn cut_off(side: Side, lost: &Connection) {
    // The end with the port that the kernel chose, which is unique.
    let port = if side == Side::Client { lost.local() } else { lost.peer() }.port();
    let hook = "type filter hook input priority 0;";
    let rules = format!(
        "table inet gone {{ chain gone {{ {hook} tcp sport {port} drop; tcp dport {port} drop; }}; }}"
    );
    run("nft", &[&rules]);
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}
