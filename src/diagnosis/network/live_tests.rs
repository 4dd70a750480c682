//! The whole of it in a network namespace of its own: a real rule, a real connection, the verdict.
//!
//! Each case runs this very test program again inside `unshare --net`, where it makes the fault and asks.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::{getegid, geteuid};

use super::*;
use crate::probe::counters::Counters;
use crate::probe::sockets;

/// Name, the shell lines that make it, where the listener is (empty for none), the address that is tried, the verdict.
type Case = (&'static str, &'static str, &'static str, &'static str, Verdict);

const CASES: &[Case] = &[
    // NFT
    ("nothing is wrong", "", V4, V4, Verdict::Healthy),
    (
        "reset",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c tcp dport 62893 counter reject with tcp reset",
        V4,
        V4,
        Verdict::FirewallReject,
    ),
    (
        "reset without a counter",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c tcp dport 62893 reject with tcp reset",
        V4,
        V4,
        Verdict::FirewallReject,
    ),
    (
        "admin-prohibited",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c tcp dport 62893 reject with icmpx type admin-prohibited",
        V4,
        V4,
        Verdict::FirewallReject,
    ),
    (
        "admin-prohibited 6",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c tcp dport 62893 reject with icmpx type admin-prohibited",
        V6,
        V6,
        Verdict::FirewallReject,
    ),
    (
        "drop in raw",
        "nft add table ip t; nft 'add chain ip t c {type filter hook prerouting priority raw;}'; nft add rule ip t c tcp dport 62893 drop",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "drop by the interface",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority mangle;}'; nft add rule inet t c iifname lo meta l4proto tcp drop",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "drop on the way out",
        "nft add table ip6 t; nft 'add chain ip6 t c {type filter hook output priority 0;}'; nft add rule ip6 t c ip6 daddr ::1 tcp dport 62000-63000 drop",
        V6,
        V6,
        Verdict::FirewallDrop,
    ),
    (
        "drop of the answer",
        "nft add table ip t; nft 'add chain ip t c {type filter hook output priority 0;}'; nft add rule ip t c tcp sport 62893 drop",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "policy",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0; policy drop;}'; nft add rule inet t c tcp dport 22 accept; nft add rule inet t c ct state established,related accept",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "a set of networks",
        "nft add table inet t; nft 'add set inet t s {type ipv4_addr; flags interval; elements={127.0.0.0/8, 10.0.0.0/8}}'; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c ip saddr @s tcp dport {80, 62890-62899} drop",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "a map of verdicts",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0;}'; nft 'add rule inet t c tcp dport vmap {80: accept, 62893: drop}'",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "a concatenation",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0;}'; nft 'add rule inet t c ip daddr . tcp dport {127.0.0.1 . 62893} drop'",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "another table lets it pass",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c tcp dport 62892 drop; nft add rule inet t c tcp dport 62893 accept; nft add rule inet t c ct state established accept; nft add rule inet t c drop",
        V4,
        V4,
        Verdict::Healthy,
    ),
    (
        "dormant",
        "nft 'add table inet t {flags dormant;}'; nft 'add chain inet t c {type filter hook input priority 0; policy drop;}'",
        V4,
        V4,
        Verdict::Healthy,
    ),
    (
        "a jump",
        "nft add table inet t; nft 'add chain inet t d'; nft add rule inet t d counter drop; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c tcp dport 62893 jump d",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "ct count",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c tcp dport 62893 ct state new ct count over 0 counter reject with tcp reset",
        V4,
        V4,
        Verdict::FirewallConnlimit,
    ),
    (
        "rate",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c tcp dport 62893 limit rate over 1/hour burst 1 packets counter drop; true",
        V4,
        V4,
        Verdict::FirewallConnlimit,
    ),
    (
        "quota",
        "nft add table inet t; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c tcp dport 62893 quota over 1 bytes counter drop",
        V4,
        V4,
        Verdict::FirewallConnlimit,
    ),
    (
        "fib",
        "nft add table inet t; nft 'add chain inet t c {type filter hook prerouting priority 0;}'; nft add rule inet t c tcp dport 62893 fib saddr type local counter drop",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "user",
        "nft add table inet t; nft 'add chain inet t c {type filter hook output priority 0;}'; nft add rule inet t c meta skuid 0 tcp dport 62893 drop",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "mark",
        "nft add table inet t; nft 'add chain inet t m {type filter hook prerouting priority mangle;}'; nft add rule inet t m tcp dport 62893 meta mark set 7; nft 'add chain inet t c {type filter hook input priority 0;}'; nft add rule inet t c meta mark 7 drop",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "ingress",
        "nft add table netdev t; nft 'add chain netdev t c {type filter hook ingress device lo priority 0;}'; nft add rule netdev t c tcp dport 62893 drop",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "redirected to nobody",
        "nft add table ip t; nft 'add chain ip t c {type nat hook output priority -100;}'; nft add rule ip t c tcp dport 62893 redirect to :9",
        V4,
        V4,
        Verdict::FirewallRedirect,
    ),
    (
        "untracked",
        "nft add table ip t; nft 'add chain ip t r {type filter hook output priority raw;}'; nft add rule ip t r tcp dport 62893 tcp flags syn notrack; nft 'add chain ip t c {type filter hook input priority 0;}'; nft add rule ip t c tcp dport 62893 ct state untracked drop",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    // IPTABLES
    (
        "iptables reject",
        "iptables-nft -A INPUT -p tcp --dport 62893 -j REJECT",
        V4,
        V4,
        Verdict::FirewallReject,
    ),
    (
        "iptables reset",
        "iptables-nft -A OUTPUT -p tcp --dport 62893 -m comment --comment x -j REJECT --reject-with tcp-reset",
        V4,
        V4,
        Verdict::FirewallReject,
    ),
    (
        "iptables host-prohibited",
        "iptables-nft -A INPUT -p tcp -m multiport --dports 1,62893 -j REJECT --reject-with icmp-host-prohibited",
        V4,
        V4,
        Verdict::FirewallReject,
    ),
    (
        "ip6tables",
        "ip6tables-nft -A INPUT -p tcp --dport 62893 -j REJECT --reject-with icmp6-adm-prohibited",
        V6,
        V6,
        Verdict::FirewallReject,
    ),
    (
        "iptables owner",
        "iptables-nft -A OUTPUT -p tcp --dport 62893 -m owner --uid-owner 0 -j DROP",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    ("iptables policy", "iptables-nft -P INPUT DROP", V4, V4, Verdict::FirewallDrop),
    (
        "iptables connlimit",
        "iptables-nft -A INPUT -p tcp --syn --dport 62893 -m connlimit --connlimit-above 0 -j REJECT --reject-with tcp-reset",
        V4,
        V4,
        Verdict::FirewallConnlimit,
    ),
    (
        "iptables state",
        "iptables-nft -A INPUT -p tcp -m state --state NEW -j DROP",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    (
        "iptables queue",
        "iptables-nft -A INPUT -p tcp --dport 62893 -j NFQUEUE --queue-num 3",
        V4,
        V4,
        Verdict::FirewallDrop,
    ),
    // LINKS
    ("lo down", "ip link set lo down", V4, V4, Verdict::LoopbackDown),
    ("lo without its address", "ip addr del 127.0.0.1/8 dev lo", "", V4, Verdict::LoopbackRouteLost),
    (
        "shaped",
        "tc qdisc add dev lo root tbf rate 200kbit burst 70kb latency 2s",
        V4,
        V4,
        Verdict::LinkShaped,
    ),
    ("unreachable", "ip route add unreachable 10.9.0.0/16", "", "10.9.0.1:80", Verdict::RouteForbids),
    ("prohibit", "ip route add prohibit 10.9.0.0/16", "", "10.9.0.1:80", Verdict::RouteForbids),
    ("blackhole", "ip route add blackhole 10.9.0.0/16", "", "10.9.0.1:80", Verdict::RouteForbids),
    (
        "a rule prohibits",
        "ip rule add to 10.9.0.0/16 prohibit priority 100",
        "",
        "10.9.0.1:80",
        Verdict::RouteForbids,
    ),
    ("unreachable 6", "ip -6 route add unreachable fd09::/16", "", "[fd09::1]:80", Verdict::RouteForbids),
    ("no route", "true", "", "10.9.0.1:80", Verdict::NoRoute),
    (
        "no carrier",
        "ip link add va type veth peer name vb; ip addr add 10.9.0.1/24 dev va; ip link set va up",
        "",
        "10.9.0.2:80",
        Verdict::LinkDown,
    ),
    (
        "no neighbour",
        "ip link add va type veth peer name vb; ip addr add 10.9.0.1/24 dev va; ip link set va up; ip link set vb up; echo 100 >/proc/sys/net/ipv4/neigh/va/retrans_time_ms",
        "",
        "10.9.0.2:80",
        Verdict::NeighbourSilent,
    ),
];

const V4: &str = "127.0.0.1:62893";
const V6: &str = "[::1]:62893";
const CASE: &str = "LOOPGATE_TEST_CASE";

#[test]
#[ignore = "needs root"]
fn every_fault_of_the_network_is_told_by_its_verdict() {
    if let Ok(name) = std::env::var(CASE) {
        return inside(CASES.iter().find(|case| case.0 == name).unwrap());
    }
    let mut wrong = Vec::new();
    for (name, ..) in CASES {
        let test = "diagnosis::network::live_tests::every_fault_of_the_network_is_told_by_its_verdict";
        let run = Command::new("unshare")
            .arg("--net")
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", test])
            .env(CASE, name)
            .output()
            .unwrap();
        if !run.status.success() {
            wrong.push(format!("{name}: {}", String::from_utf8_lossy(&run.stderr)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn inside((name, setup, listen, to, verdict): &Case) {
    shell("ip link set lo up");
    let _listener = (!listen.is_empty()).then(|| serve(TcpListener::bind(listen).unwrap()));
    shell(setup);
    let to: SocketAddr = to.parse().unwrap();

    let finding = diagnose(to);

    let told = finding.as_ref().map_or(Verdict::Healthy, |finding| finding.verdict);
    assert_eq!(told, *verdict, "{name}: {finding:#?}");
    if let Some(finding) = finding {
        assert_ne!(finding.certainty, Certainty::Unknown, "{finding:#?}");
    }
}

/// Answers every connection with a byte, for as long as the case lasts.
fn serve(listener: TcpListener) {
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let _ = (&connection).write_all(b"x");
        }
    });
}

/// What `explain` does about the network: facts before, an attempt, facts after, the rules.
fn diagnose(to: SocketAddr) -> Option<Finding> {
    let before = Firewall::read();
    let counters = Counters::read();
    let (errno, from) = dial(to);
    let after = Firewall::read();
    let changes = Counters::read().since(&counters);
    let routing = Routing::read(to);
    let settings = Settings::read(&["lo"]);
    let listener =
        match sockets::on_port(to.port()).rows.iter().find(|row| row.state == sockets::TcpState::Listen) {
            Some(row) => Listener::Stable { waiting: row.receive_queue, limit: row.send_queue },
            None => Listener::Nobody,
        };
    let attempt = Attempt { to, from, errno, uid: geteuid().as_raw(), gid: getegid().as_raw(), listener };
    let around = Surroundings {
        routing: &routing,
        settings: &settings,
        changes: &changes,
        before: &before,
        after: &after,
    };
    if errno.is_none() { shaped(&routing) } else { failure(&attempt, &around) }
}

fn dial(to: SocketAddr) -> (Option<i32>, SocketAddr) {
    let unknown = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
    match TcpStream::connect_timeout(&to, Duration::from_millis(1500)) {
        Ok(mut stream) => {
            stream.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
            let mut byte = [0];
            let came = stream.read(&mut byte);
            (came.err().map(|_| libc::ETIMEDOUT), stream.local_addr().unwrap())
        }
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => (Some(libc::ETIMEDOUT), unknown),
        Err(error) => (Some(error.raw_os_error().unwrap()), unknown),
    }
}

fn shell(line: &str) {
    let done = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}
