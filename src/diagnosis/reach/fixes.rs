//! What to do about it, the best first. A fix names only commands that exist. Pure.

use super::connected::other_host;
use super::facts::ReachFacts;
use super::refused::{near, other_address, other_family};
use super::sentences::no_stream;
use crate::diagnosis::finding::{Fix, Subject};
use crate::diagnosis::verdict::Verdict;
use crate::diagnosis::who::shell;

/// The proposals for a verdict.
pub(super) fn fixes(facts: &ReachFacts, verdict: Verdict) -> Vec<Fix> {
    let port = facts.port();
    match verdict {
        Verdict::TargetOnOtherPort => {
            one(near(facts).map(|socket| explain(&socket.local.to_string(), "use that port")))
        }
        Verdict::TargetOnOtherAddress if other_address(facts).is_some_and(|socket| socket.interface != 0) => {
            vec![advice("take SO_BINDTODEVICE off the service: local connections come by the interface lo")]
        }
        Verdict::TargetOnOtherAddress => one(other_address(facts).map(|socket| dial(socket.local))),
        Verdict::TargetOnOtherFamily => one(other_family(facts).map(|socket| dial(socket.local))),
        Verdict::TargetIsUdp => vec![explain_udp(facts)],
        Verdict::TargetIsUnixSocket => one(facts
            .absent
            .unix
            .first()
            .map(|listening| explain(&format!("unix:{}", listening.name), "dial the socket"))),
        Verdict::TargetInOtherNetns => {
            let text =
                format!("publish the port of the container, as docker run -p 127.0.0.1:{port}:{port} does");
            vec![advice(text)]
        }
        Verdict::TargetSuspended if stopped(facts).is_none() => {
            vec![advice("thaw its cgroup: write 0 to cgroup.freeze, or THAWED to freezer.state")]
        }
        Verdict::TargetSuspended => one(stopped(facts).map(|pid| {
            act("let it go on", &["kill", "-CONT", &pid.to_string()], "it resumes where it stopped")
        })),
        Verdict::TargetInDebugger => vec![advice("continue it there, in the debugger")],
        Verdict::TargetUninterruptible => {
            vec![advice("repair the disk or mount it waits for; kill does not help, not even -KILL")]
        }
        Verdict::AcceptQueueFull | Verdict::TargetNotAccepting => {
            vec![advice("look at its log for why it does not accept; a longer queue would only hide it")]
        }
        Verdict::TargetHung => {
            vec![advice("look where its threads stand, with the debugger of its language")]
        }
        Verdict::TargetBusyLoop => vec![advice("look where it computes, with a profiler")],
        Verdict::TargetResets | Verdict::TargetClosesEmpty => {
            vec![advice(
                "look at its log; it may allow other clients only, or speak a protocol that was not tried",
            )]
        }
        Verdict::ListenerIgnoresSyn => {
            vec![advice("give the client the same key, or take it off the listener")]
        }
        Verdict::UnexpectedProtocol if no_stream(facts).is_some() => {
            vec![advice("only a program made for it can talk to it; look for a stream socket of the service")]
        }
        Verdict::UnexpectedProtocol => {
            vec![advice("speak that to it, or dial the port of the service you mean")]
        }
        Verdict::UnixSocketStale => one(stale(facts)),
        Verdict::TargetOutOfFds => {
            vec![advice("raise its limit (ulimit -n, LimitNOFILE= of its unit), or find its leak")]
        }
        Verdict::TargetCannotFork => vec![advice("raise the limit (ulimit -u, TasksMax= of its unit)")],
        Verdict::TargetSlow => vec![advice("give it more time: --timeout 10s")],
        Verdict::TargetFlapping => vec![advice("look at its log for why it ends")],
        Verdict::TargetKilledOom => {
            vec![advice("give it more memory, or find what it needs it for; then start it again")]
        }
        Verdict::TargetNotRunning => vec![advice("start it; then ask again")],
        Verdict::TargetWaitsForClient => {
            vec![advice("take TCP_DEFER_ACCEPT (`deferred`) out of the service")]
        }
        Verdict::TlsExpected => vec![advice("speak TLS to it, as https://")],
        Verdict::PlainExpected => vec![advice("speak plain HTTP to it, as http://")],
        Verdict::HttpHostRejected => one(other_host(facts).map(|(_, host, _)| {
            advice(format!("send Host: {host}, or add your host to the service's allowed hosts"))
        })),
        Verdict::LoopbackDown => vec![root("bring it up", &["ip", "link", "set", "lo", "up"])],
        Verdict::LoopbackRouteLost if facts.ip().is_some_and(|ip| ip.is_ipv4()) => {
            vec![root("give it its address back", &["ip", "addr", "add", "127.0.0.1/8", "dev", "lo"])]
        }
        Verdict::Ipv6Disabled => vec![explain(&format!("127.0.0.1:{port}"), "use IPv4")],
        Verdict::LocalhostRemapped => {
            vec![explain(&format!("127.0.0.1:{port}"), "write the address, or mend /etc/hosts")]
        }
        Verdict::LocalhostUnresolvable => {
            vec![advice("add the line `127.0.0.1 localhost` to /etc/hosts; 127.0.0.1 works")]
        }
        Verdict::OwnFdLimit => vec![advice("raise the limit: ulimit -n, or LimitNOFILE= in a systemd unit")],
        Verdict::SystemFileLimit => vec![advice("raise it: sysctl -w fs.file-max=NUMBER")],
        Verdict::EphemeralPortsExhausted => {
            vec![advice("close or reuse connections; or widen net.ipv4.ip_local_port_range")]
        }
        Verdict::ConntrackFull => {
            let double = facts.settings.conntrack.map_or(0, |(_, most)| most.saturating_mul(2));
            let setting = format!("net.netfilter.nf_conntrack_max={double}");
            vec![root("make room for more", &["sysctl", "-w", &setting])]
        }
        Verdict::ForwardLoop if facts.ring.is_empty() => {
            vec![advice(
                "find the forward whose target is this port, directly or through another: ask as root",
            )]
        }
        Verdict::ForwardLoop => one(facts.ring.last().map(|hop| {
            act("end one of the forwards", &["kill", &hop.pid.to_string()], "its connections end")
        })),
        Verdict::MartianLoopbackDnat => {
            let name = facts.beyond.as_ref().and_then(|(beyond, _)| beyond.interface.clone());
            let setting = format!("net.ipv4.conf.{}.route_localnet=1", name.as_deref().unwrap_or("all"));
            vec![
                advice("listen on the outer address there, as a forward of loopgate does"),
                Fix {
                    risk: "opens 127.0.0.0/8 to that network".to_owned(),
                    ..root("allow it", &["sysctl", "-w", &setting])
                },
            ]
        }
        Verdict::UnixSocketDenied => denied(facts),
        _ => Vec::new(),
    }
}

fn one(fix: Option<Fix>) -> Vec<Fix> {
    fix.into_iter().collect()
}

/// Nobody listens on it, in this network namespace, and a connection was refused: then the file is good for nothing.
fn stale(facts: &ReachFacts) -> Option<Fix> {
    let crate::diagnosis::finding::Subject::Unix(path) = &facts.subject else { return None };
    Some(act("then start the service again", &["rm", path.to_str()?], "none"))
}

fn stopped(facts: &ReachFacts) -> Option<u32> {
    facts.life.iter().find(|life| life.after.state == 'T').map(|life| life.after.pid)
}

/// A proposal without one command.
pub(super) fn advice(text: impl Into<String>) -> Fix {
    Fix { text: text.into(), command: Vec::new(), root: false, risk: "none".to_owned() }
}

fn act(text: &str, command: &[&str], risk: &str) -> Fix {
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    Fix { text: format!("{}   # {text}", shell(&command)), command, root: false, risk: risk.to_owned() }
}

fn root(text: &str, command: &[&str]) -> Fix {
    Fix { root: true, ..act(text, command, "none") }
}

fn explain(address: &str, text: &str) -> Fix {
    act(text, &["loopgate", "explain", address], "none")
}

fn explain_udp(facts: &ReachFacts) -> Fix {
    let address =
        facts.absent.udp.first().map_or(String::new(), |receiver| receiver.socket.local.to_string());
    act("ask for UDP", &["loopgate", "explain", "--udp", &address], "none")
}

fn dial(local: std::net::SocketAddr) -> Fix {
    let mut address = local;
    if local.ip().is_unspecified() {
        let ip: std::net::IpAddr = match local.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(ip);
    }
    explain(&address.to_string(), "dial that address, or make the service listen on yours")
}

fn denied(facts: &ReachFacts) -> Vec<Fix> {
    let closed = facts.unix.as_ref().and_then(|unix| unix.walk.closed.as_ref());
    one(closed.map(|closed| {
        let is_folder = !matches!(&facts.subject, Subject::Unix(path) if *path == closed.path);
        if is_folder {
            return advice(format!(
                "let others pass: chmod o+x {}",
                crate::probe::printable_path(&closed.path)
            ));
        }
        let open_to_group = closed.mode & 0o060 != 0 && closed.group != "root";
        if open_to_group {
            advice(format!("join its group: usermod -aG {} USER, and log in again", closed.group))
        } else {
            advice(format!("open it: chmod o+rw {}", crate::probe::printable_path(&closed.path)))
        }
    }))
}
