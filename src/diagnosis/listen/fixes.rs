//! Remedies for a failed bind. Pure; it names only commands that exist.

use std::net::SocketAddr;

use super::facts::{BindFacts, PROC};
use super::wording::{in_debugger, nearest_first};

use crate::diagnosis::finding::Fix;
use crate::diagnosis::process_text::{names, pids, shell, stop_home};
use crate::diagnosis::verdict::Verdict;
use crate::outcome::Holder;
use crate::probe::sockets::ports::PortRules;

/// The remedies, the best first. If the second is another port, the text of the first names it too.
pub(super) fn fixes(facts: &BindFacts, verdict: Verdict) -> Vec<Fix> {
    let other = other_port(facts);
    let Some(mut first) = first(facts, verdict) else { return other.into_iter().collect() };
    let Some(other) = other.filter(|_| is_about_the_port(verdict)) else { return vec![first] };
    if other_port_is_better(verdict) {
        let text = format!("{}; or {}", other.text, first.text);
        return vec![Fix { text, ..other }, first];
    }
    first.text = format!("{}; or {}", first.text, other.text);
    vec![first, other]
}

/// Whether another port is worth offering. It is not if another instance already runs, or if the port can be reserved.
fn is_about_the_port(verdict: Verdict) -> bool {
    verdict != Verdict::AlreadyRunning && verdict != Verdict::PortHeldByOutgoing
}

/// Whether another port is the better remedy: granting a right or changing a policy needs an administrator.
fn other_port_is_better(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::PortPrivileged)
}

fn first(facts: &BindFacts, verdict: Verdict) -> Option<Fix> {
    let port = facts.address.port();
    let address = |ip: &str| format!("listen on {ip}:{port}");
    match verdict {
        Verdict::AlreadyRunning => {
            let stop = stop(facts)?;
            Some(Fix { text: format!("nothing to do; to stop it: {}", stop.text), ..stop })
        }
        Verdict::PortHeldBySuspended => Some(resume_or_end(facts)),
        Verdict::PortHeldHidden => Some(advice(reveal(facts))),
        Verdict::PortHeldByOutgoing if facts.ports.may_be_drawn(port) => Some(reserve(facts)),
        Verdict::PortInTimeWait => Some(advice("wait")),
        Verdict::AddressTentative => {
            Some(advice("wait two seconds; if it stays, another machine has the address"))
        }
        Verdict::Ipv6Disabled => Some(advice(address("127.0.0.1"))),
        Verdict::AddressNotLocal if facts.errno == libc::ENODEV => {
            Some(advice("name an interface that exists, as `ip -brief address` lists them"))
        }
        Verdict::AddressNotLocal | Verdict::LoopbackDown if facts.own_link().is_some_and(|link| !link.up) => {
            link_up(facts)
        }
        Verdict::AddressNotLocal => {
            let every = if facts.address.is_ipv4() { "0.0.0.0" } else { "[::]" };
            let nearest = nearest_first(facts).first().map(|ip| SocketAddr::new(*ip, port));
            let first = nearest
                .map_or("listen".to_owned(), |nearest| format!("listen on {nearest}, the nearest, or"));
            Some(advice(format!("{first} on {every}:{port} for every address")))
        }
        Verdict::LoopbackRouteLost => Some(root(&["ip", "address", "add", "::1/128", "dev", "lo"], "none")),
        Verdict::MissingScope => Some(advice(with_scope(facts))),
        Verdict::OwnFdLimit => Some(advice("raise the limit: ulimit -n, or LimitNOFILE= in a systemd unit")),
        Verdict::SystemFileLimit => Some(advice("raise it: sysctl -w fs.file-max=NUMBER")),
        Verdict::EphemeralPortsExhausted => {
            Some(advice("name a port, or widen net.ipv4.ip_local_port_range"))
        }
        Verdict::PortPrivileged => Some(advice(
            "grant it: setcap cap_net_bind_service=+ep FILE, or AmbientCapabilities= in a systemd unit",
        )),
        Verdict::BindDeniedBySandbox => Some(advice("allow the port in that policy; root does not help")),
        Verdict::Unknown if facts.errno == libc::EAGAIN => {
            Some(advice("raise `ulimit -u`, TasksMax= of the systemd unit or --pids-limit of the container"))
        }
        Verdict::Unknown
            if facts.errno == libc::EINVAL && facts.address.ip().to_canonical() != facts.address.ip() =>
        {
            Some(advice(address(&facts.address.ip().to_canonical().to_string())))
        }
        _ => stop(facts),
    }
}

/// How a holder that cannot be seen can be.
fn reveal(facts: &BindFacts) -> &'static str {
    if facts.not_readable.iter().any(|what| what == PROC) {
        "mount /proc, which names the process, and run this again"
    } else if facts.closed > 0 || facts.hidepid {
        "run this again as root to see which process it is"
    } else {
        // It is a process of another container, or the kernel itself.
        "run this outside the container, where the holder is visible"
    }
}

fn advice(text: impl Into<String>) -> Fix {
    Fix { text: text.into(), command: Vec::new(), root: false, risk: "none".to_owned() }
}

pub(super) fn root(command: &[&str], risk: &str) -> Fix {
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    Fix { text: shell(&command), command, root: true, risk: risk.to_owned() }
}

/// Stops the service or container of the holders if they have one, else the holders; `None` if that would end this
/// process or the init of the system.
fn stop(facts: &BindFacts) -> Option<Fix> {
    let holders = facts.holders();
    let first = holders.first()?;
    if let Some(unit) = &facts.socket_unit {
        let risk = format!("a connection no longer starts what {unit} starts");
        return Some(root(&["systemctl", "stop", unit], &risk));
    }
    if first.comm == "docker-proxy" {
        let filter = format!("publish={}", facts.address.port());
        let command = ["docker", "ps", "--filter", &filter].map(String::from).to_vec();
        let text = format!("{}   names the container; then docker stop NAME", shell(&command));
        return Some(Fix { text, command, root: false, risk: "none".to_owned() });
    }
    if let Some(command) =
        holders.iter().all(|holder| stop_home(holder) == stop_home(first)).then(|| stop_home(first))?
    {
        let of_user = first.unit.as_ref().is_some_and(|unit| unit.of_user);
        let risk = format!("ends {}", names(&holders));
        return Some(Fix { text: shell(&command), command, root: !of_user, risk });
    }
    let unfit = |holder: &&Holder| holder.this_process || holder.pid == 1;
    (!holders.iter().any(unfit)).then(|| kill(facts))
}

fn kill(facts: &BindFacts) -> Fix {
    let holders = facts.holders();
    let command: Vec<String> = std::iter::once("kill".to_owned()).chain(ids(&holders)).collect();
    Fix { text: shell(&command), command, root: needs_root(facts), risk: format!("ends {}", names(&holders)) }
}

/// The pids to end; of many, only the process that started the others.
fn ids(holders: &[&Holder]) -> Vec<String> {
    const ONE_BY_ONE: usize = 8;
    let master =
        holders.first().filter(|first| holders.iter().skip(1).all(|holder| holder.parent == first.pid));
    match master {
        Some(master) if holders.len() > ONE_BY_ONE => vec![master.pid.to_string()],
        _ => pids(holders),
    }
}

fn needs_root(facts: &BindFacts) -> bool {
    let own = facts.rights.uid;
    own != 0 && facts.holders().iter().any(|holder| holder.uid != own)
}

/// A stopped process handles a signal only once it continues (signal(7)); a traced one once its debugger continues it.
fn resume_or_end(facts: &BindFacts) -> Fix {
    let all = ids(&facts.holders()).join(" ");
    if let Some(debugger) = in_debugger(facts) {
        let kill = kill(facts);
        let text =
            format!("continue it in its debugger (pid {debugger}), or end both: kill {debugger} {all}");
        return Fix { text, ..kill };
    }
    let command: Vec<String> =
        ["kill", "-CONT"].map(String::from).into_iter().chain(ids(&facts.holders())).collect();
    let terminal = facts.holders().first().and_then(|holder| holder.terminal.clone());
    let foreground = terminal.map(|terminal| format!(" or `fg` in {terminal}")).unwrap_or_default();
    Fix {
        text: format!("end it: kill {all}; kill -CONT {all}, or resume it: kill -CONT {all}{foreground}"),
        command,
        root: needs_root(facts),
        risk: "it continues where it stopped".to_owned(),
    }
}

fn reserve(facts: &BindFacts) -> Fix {
    let fix = reservation(&facts.ports, facts.address.port());
    let now = stop(facts).map_or("wait".to_owned(), |stop| format!("wait, or {}", stop.text));
    Fix { text: format!("{now}; permanently: {}", fix.text), ..fix }
}

/// Reserves a port against outgoing connections. The setting replaces the whole list, so the command repeats its
/// entries.
pub(super) fn reservation(rules: &PortRules, port: u16) -> Fix {
    let mut ranges: Vec<String> = Vec::new();
    for (first, last) in &rules.reserved {
        ranges.push(if first == last { first.to_string() } else { format!("{first}-{last}") });
    }
    ranges.push(port.to_string());
    let setting = format!("net.ipv4.ip_local_reserved_ports={}", ranges.join(","));
    root(&["sysctl", "-w", &setting], "none")
}

fn link_up(facts: &BindFacts) -> Option<Fix> {
    Some(root(&["ip", "link", "set", &facts.own_link()?.name, "up"], "none"))
}

fn with_scope(facts: &BindFacts) -> String {
    let address = facts.address;
    let own = facts.network.ipv6.iter().flatten().find(|own| own.ip == address.ip());
    let interface = own.map_or("INTERFACE", |own| own.interface.as_str());
    format!("write [{}%{interface}]:{}", address.ip(), address.port())
}

/// The next free port, with the command that uses it if that is known.
fn other_port(facts: &BindFacts) -> Option<Fix> {
    let mut address = facts.address;
    address.set_port(facts.next_free?);
    let text = match &facts.instead[..] {
        [] => format!("listen on {address}, which is free now"),
        command => format!("{}   ({} is free now)", shell(command), address.port()),
    };
    Some(Fix { text, command: facts.instead.clone(), root: false, risk: "none".to_owned() })
}
