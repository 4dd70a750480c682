//! Remedies, the best first. A remedy names only commands that exist. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::answers::other_host;
use super::facts::ReachFacts;
use super::nearby::{near, other_address, other_family};
use super::sentences::no_stream;
use crate::diagnosis::finding::{Fix, Subject};
use crate::diagnosis::process_text::shell;
use crate::diagnosis::verdict::Verdict;
use crate::probe::printable_path;

/// The remedies for a verdict.
pub(super) fn fixes(facts: &ReachFacts, verdict: Verdict) -> Vec<Fix> {
    if let Some(text) = always(facts, verdict) {
        return vec![advice(text)];
    }
    let ipv4 = format!("127.0.0.1:{}", facts.port());
    match verdict {
        Verdict::TargetOnOtherPort => {
            one(near(facts).map(|socket| explain(&socket.local.to_string(), "use that port")))
        }
        Verdict::TargetOnOtherAddress => one(other_address(facts).map(|socket| dial(socket.local))),
        Verdict::TargetOnOtherFamily => one(other_family(facts).map(|socket| dial(socket.local))),
        Verdict::TargetIsUdp => vec![explain_udp(facts)],
        Verdict::TargetIsUnixSocket => one(explain_unix(facts)),
        Verdict::TargetInOtherNetns => vec![publish(facts.port())],
        Verdict::TargetSuspended => one(stopped(facts).map(resume)),
        Verdict::UnixSocketStale => one(stale(facts)),
        Verdict::UnixSocketDenied => one(denied(facts)),
        Verdict::HttpHostRejected => one(other_host(facts).map(|(_, host, _)| {
            advice(format!("send Host: {host}, or add your host to the service's allowed hosts"))
        })),
        Verdict::LoopbackDown => vec![root("bring it up", &["ip", "link", "set", "lo", "up"])],
        Verdict::LoopbackRouteLost if facts.ip().is_some_and(|ip| ip.is_ipv4()) => {
            vec![root("restore its address", &["ip", "addr", "add", "127.0.0.1/8", "dev", "lo"])]
        }
        Verdict::Ipv6Disabled => vec![explain(&ipv4, "use IPv4")],
        Verdict::LocalhostRemapped => vec![explain(&ipv4, "write the address, or correct /etc/hosts")],
        Verdict::ConntrackFull => vec![more_tracked(facts)],
        Verdict::ForwardLoop => one(facts.ring.last().map(|hop| end_forward(hop.pid))),
        Verdict::MartianLoopbackDnat => martian(facts),
        _ => Vec::new(),
    }
}

/// Remedies in words that are the same for every address.
fn always(facts: &ReachFacts, verdict: Verdict) -> Option<&'static str> {
    Some(match verdict {
        Verdict::TargetOnOtherAddress if other_address(facts).is_some_and(|socket| socket.interface != 0) => {
            "remove SO_BINDTODEVICE from the service: local connections arrive on the interface lo"
        }
        Verdict::TargetSuspended if stopped(facts).is_none() => {
            "thaw its cgroup: write 0 to cgroup.freeze, or THAWED to freezer.state"
        }
        Verdict::TargetInDebugger => "continue it there, in the debugger",
        Verdict::TargetUninterruptible => {
            "repair the disk or mount it waits for; kill does not help, not even -KILL"
        }
        Verdict::AcceptQueueFull | Verdict::TargetNotAccepting => {
            "look at its log for why it does not accept; a longer queue would only hide it"
        }
        Verdict::TargetHung => "find out where its threads wait, with the debugger of its language",
        Verdict::TargetBusyLoop => "find out where it computes, with a profiler",
        Verdict::TargetResets | Verdict::TargetClosesEmpty => {
            "look at its log; it may allow other clients only, or speak a protocol that was not tried"
        }
        Verdict::ListenerIgnoresSyn => "give the client the same key, or remove the key from the listener",
        Verdict::UnexpectedProtocol if no_stream(facts).is_some() => {
            "only a program made for it can talk to it; look for a stream socket of the service"
        }
        Verdict::UnexpectedProtocol => "speak that protocol, or dial the port of the intended service",
        Verdict::TargetOutOfFds => "raise its limit (ulimit -n, LimitNOFILE= in its unit), or find its leak",
        Verdict::TargetCannotFork => "raise the limit (ulimit -u, TasksMax= in its unit)",
        Verdict::TargetSlow => "give it more time: --timeout 10s",
        Verdict::TargetFlapping => "look in its log for why it ends",
        Verdict::TargetKilledOom => "give it more memory, or find out what uses it; then start it again",
        Verdict::TargetNotRunning => "start it; then run this again",
        Verdict::TargetWaitsForClient => "remove TCP_DEFER_ACCEPT (`deferred`) from the service",
        Verdict::TlsExpected => "speak TLS to it, as https://",
        Verdict::PlainExpected => "speak plain HTTP to it, as http://",
        Verdict::LocalhostUnresolvable => "add the line `127.0.0.1 localhost` to /etc/hosts; 127.0.0.1 works",
        Verdict::OwnFdLimit => "raise the limit: ulimit -n, or LimitNOFILE= in a systemd unit",
        Verdict::SystemFileLimit => "raise it: sysctl -w fs.file-max=NUMBER",
        Verdict::EphemeralPortsExhausted => {
            "close or reuse connections; or widen net.ipv4.ip_local_port_range"
        }
        Verdict::ForwardLoop if facts.ring.is_empty() => {
            "find the forward whose target is this port, directly or through another: run this as root"
        }
        _ => return None,
    })
}

fn one(fix: Option<Fix>) -> Vec<Fix> {
    fix.into_iter().collect()
}

/// Removes a socket file on which nothing listens in this network namespace and which refused a connection.
fn stale(facts: &ReachFacts) -> Option<Fix> {
    let Subject::Unix(path) = &facts.subject else { return None };
    Some(act("then start the service again", &["rm", path.to_str()?], "none"))
}

fn stopped(facts: &ReachFacts) -> Option<u32> {
    facts.life.iter().find(|life| life.after.state == 'T').map(|life| life.after.pid)
}

fn resume(pid: u32) -> Fix {
    act("continue it", &["kill", "-CONT", &pid.to_string()], "it resumes where it stopped")
}

fn end_forward(pid: u32) -> Fix {
    act("end one of the forwards", &["kill", &pid.to_string()], "its connections end")
}

fn publish(port: u16) -> Fix {
    advice(format!("publish the port of the container, as docker run -p 127.0.0.1:{port}:{port} does"))
}

fn more_tracked(facts: &ReachFacts) -> Fix {
    let double = facts.settings.conntrack.map_or(0, |(_, most)| most.saturating_mul(2));
    root("allow more entries", &["sysctl", "-w", &format!("net.netfilter.nf_conntrack_max={double}")])
}

fn martian(facts: &ReachFacts) -> Vec<Fix> {
    let name = facts.beyond.as_ref().and_then(|(beyond, _)| beyond.interface.clone());
    let setting = format!("net.ipv4.conf.{}.route_localnet=1", name.as_deref().unwrap_or("all"));
    let allow = root("allow it", &["sysctl", "-w", &setting]);
    vec![
        advice("listen on the outer address there, for example with a loopgate forward"),
        Fix { risk: "opens 127.0.0.0/8 to that network".to_owned(), ..allow },
    ]
}

/// A remedy in words, without a command.
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

fn explain_unix(facts: &ReachFacts) -> Option<Fix> {
    let listening = facts.absent.unix.first()?;
    Some(explain(&format!("unix:{}", listening.name), "dial the socket"))
}

fn dial(local: SocketAddr) -> Fix {
    let mut address = local;
    if local.ip().is_unspecified() {
        let loopback: IpAddr = match local.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(loopback);
    }
    explain(&address.to_string(), "dial that address, or make the service listen on yours")
}

fn denied(facts: &ReachFacts) -> Option<Fix> {
    let closed = facts.unix.as_ref()?.walk.closed.as_ref()?;
    let path = printable_path(&closed.path);
    let is_folder = !matches!(&facts.subject, Subject::Unix(path) if *path == closed.path);
    let open_to_group = closed.mode & 0o060 != 0 && closed.group != "root";
    Some(advice(if is_folder {
        format!("let other users pass: chmod o+x {path}")
    } else if open_to_group {
        format!("join its group: usermod -aG {} USER, and log in again", closed.group)
    } else {
        format!("open it: chmod o+rw {path}")
    }))
}
