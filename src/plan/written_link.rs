//! Whether what is written in `[tunnel]` and `[tunnels.NAME]` fits together, and is in this version.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::acl::Listed;
use crate::address::{ListenAddress, Run, TargetAddress};
use crate::config::{
    KeyText, Place, Problem, Settings, Texts, Written, WrittenLink, WrittenTunnel, WrittenTunnelOf,
    others_may_write, others_may_write_in,
};
use crate::proxy_protocol::Sender;
use crate::transport::BindPolicy;
use crate::transport::tunnel::identity::{PrivateKey, PublicKey};
use crate::units::shown_path;

/// Who writes a file with tunnels says who may come in, and so does who puts files into a folder that is included: a problem
/// if that is anybody but their owner.
pub(super) fn check_files(tunnels: &[WrittenTunnelOf], texts: &Texts, problems: &mut Vec<Problem>) {
    let main = texts.main().map(|main| Path::new(&main.name));
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    let mut check = |of: &WrittenTunnelOf, path: &Path, what: &str, why: Option<String>| {
        let Some(why) = why.filter(|_| seen.insert(path.to_owned())) else { return };
        let message = format!("others may write {what}, which says who may come in: {why}");
        let problem = Problem::new(of.place.clone(), of.path.as_str(), message);
        let path = shown_path(path);
        problems.push(problem.help(format!("chmod go-w {path}, and have it belong to root or to this user")));
    };
    for of in tunnels {
        let Some(file) = texts.file(&of.place).filter(|file| !file.as_os_str().is_empty()) else { continue };
        check(of, file, "this file", others_may_write(file));
        if Some(file) != main {
            let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
            check(of, folder, "the folder of this file", others_may_write_in(folder));
        }
    }
}

/// Checks `[tunnel]`, and that each tunnel can come to be.
pub(super) fn check_own(own: &WrittenTunnel, tunnels: &[WrittenTunnelOf], problems: &mut Vec<Problem>) {
    for written in own.listen.iter().flatten() {
        listener(written, problems);
    }
    proxies(own, problems);
    for of in tunnels {
        for written in of.keys.connect.iter().flatten() {
            dialled(written, &format!("{}.connect", of.path), problems);
        }
        if of.keys.connect.is_some() {
            continue;
        }
        // A `connect` that cannot be read is one all the same.
        let is_misread = problems.iter().any(|problem| problem.key == format!("{}.connect", of.path));
        if own.listen.is_none() && !is_misread {
            let message = match of.place {
                Place::Argument(_) => "neither end can connect: nothing listens for the other end",
                Place::Text(_) | Place::File => {
                    "neither end can connect: this tunnel has no connect, and [tunnel] has no listen"
                }
            };
            let problem = Problem::new(of.place.clone(), of.path.as_str(), message);
            problems.push(problem.help(match of.place {
                Place::Argument(_) => {
                    "add --tunnel-listen 0.0.0.0:4433, where it connects to; to connect to it, write --tunnel HOST#KEY"
                }
                Place::Text(_) | Place::File => {
                    "add connect = \"HOST:4433\" here, or, where the other end connects, listen = \"0.0.0.0:4433\" to \
                     [tunnel]"
                }
            }));
        }
        if let Some(written) = &of.keys.private_key {
            let message = "those who connect to this machine are shown the key of [tunnel]";
            let problem = Problem::new(written.place.clone(), format!("{}.private_key", of.path), message);
            problems.push(problem.help("leave it out, or add connect"));
        }
    }
}

fn listener(written: &Written<Run<ListenAddress>>, problems: &mut Vec<Problem>) {
    let (message, help) = match written.value.first() {
        ListenAddress::Net(_) if written.value.count() == 1 => return,
        ListenAddress::Net(_) => ("other Loopgates connect to one port", "write one port"),
        ListenAddress::Unix(_) | ListenAddress::There(_) => {
            ("other Loopgates connect to an address and a port", "write them, as \"0.0.0.0:4433\"")
        }
    };
    problems.push(Problem::new(written.place.clone(), "tunnel.listen", message).help(help));
}

fn dialled(written: &Written<Run<TargetAddress>>, key: &str, problems: &mut Vec<Problem>) {
    let (message, help) = match written.value.first() {
        TargetAddress::Net(..) if written.value.count() == 1 => return,
        TargetAddress::Net(..) => ("a tunnel connects to one port", "write one port"),
        TargetAddress::Unix(_) | TargetAddress::There(_) => {
            ("a tunnel connects to a host and a port", "write them, as \"vps.example.com:4433\"")
        }
    };
    problems.push(Problem::new(written.place.clone(), key, message).help(help));
}

fn proxies(own: &WrittenTunnel, problems: &mut Vec<Problem>) {
    let key = "tunnel.accept_proxy";
    for entry in own.accept_proxy.iter().flatten() {
        let (message, help) = match &entry.value {
            Sender::Unix => (
                "\"unix\" is for clients of Unix sockets, and no tunnel listens on one",
                "leave it out, or list the addresses of the proxies",
            ),
            Sender::Listed(Listed::File(_)) => (
                "proxies cannot be listed in a file: they decide which address another Loopgate has",
                "write the networks here",
            ),
            Sender::Listed(_) if own.listen.is_none() => {
                ("nobody connects: [tunnel] has no listen", "leave it out, or add listen")
            }
            Sender::Listed(_) => continue,
        };
        problems.push(Problem::new(entry.place.clone(), key, message).help(help));
    }
}

/// A key names one tunnel among those that connect to this machine, and is another machine's.
pub(super) fn check_public_keys(
    tunnels: &[WrittenTunnelOf],
    own: Option<&PrivateKey>,
    problems: &mut Vec<Problem>,
) {
    let mut accepting: HashMap<PublicKey, (&str, &Place)> = HashMap::new();
    for of in tunnels {
        let mut listed: HashMap<PublicKey, (&str, &Place)> = HashMap::new();
        let key = format!("{}.public_key", of.path);
        let seen = if of.keys.connect.is_some() { &mut listed } else { &mut accepting };
        check_not_own(&of.path, &of.keys.public_key, own, problems);
        for Written { value, place } in of.keys.public_key.iter().flatten() {
            let Some((name, first)) = seen.insert(value.0, (of.name.as_str(), place)) else { continue };
            let message = match name == of.name.as_str() {
                true => "this key is listed twice".to_owned(),
                false => {
                    format!("this is the key of tunnel {name} too, and a key tells which tunnel connects")
                }
            };
            let help = match name == of.name.as_str() {
                true => "leave one of the two out",
                false => "make a key of its own for each machine: loopgate tunnel key",
            };
            let problem = Problem::new(place.clone(), key.as_str(), message).help(help);
            problems.push(problem.label("again here").also(first.clone(), "first here"));
        }
    }
}

/// The key of a tunnel's other end is another machine's.
pub(super) fn check_not_own(
    path: &str,
    written: &Option<Vec<Written<KeyText>>>,
    own: Option<&PrivateKey>,
    problems: &mut Vec<Problem>,
) {
    for Written { value, place } in written.iter().flatten() {
        if own.is_some_and(|own| own.public() == value.0) {
            let message = "this is this machine's own key";
            let problem = Problem::new(place.clone(), format!("{path}.public_key"), message);
            problems.push(
                problem.help("write the key that \"loopgate tunnel key --public\" prints at the other end"),
            );
        }
    }
}

/// An invite takes the place of the key of an end that connects to this machine.
pub(super) fn check_invite(path: &str, written: &WrittenLink, problems: &mut Vec<Problem>) {
    let Some(Written { place, .. }) = &written.invite else { return };
    let (message, help) = match (&written.public_key, &written.connect) {
        (Some(_), _) => ("this tunnel has a key, so nobody is invited to it", "leave one of the two out"),
        (None, Some(_)) => (
            "who is invited connects to this machine, and this tunnel has connect",
            "leave one of the two out",
        ),
        (None, None) => return,
    };
    problems.push(Problem::new(place.clone(), format!("{path}.invite"), message).help(help));
}

/// Entries that could permit nothing.
pub(super) fn check_permits(path: &str, written: &WrittenLink, problems: &mut Vec<Problem>) {
    for (key, list) in [("may_listen", &written.may_listen), ("may_dial", &written.may_dial)] {
        for Written { value: may, place } in list.iter().flatten() {
            let (message, help) = match may {
                _ if key == "may_listen" && may.is_name() => (
                    format!("{may} is a name, and listening needs an IP address"),
                    "write an address of this machine, as \"127.0.0.1:8080\"",
                ),
                _ => continue,
            };
            problems.push(Problem::new(place.clone(), format!("{path}.{key}"), message).help(help));
        }
    }
}

/// Settings that mean nothing for a route that another end asks for here.
pub(super) fn check_defaults(path: &str, defaults: &Settings, problems: &mut Vec<Problem>) {
    let place = |place: &Place| Some(place.clone());
    let at_other_end = "what these routes dial is at the other end of the tunnel";
    let strict = defaults.bind.as_ref().filter(|bind| bind.value == BindPolicy::Strict);
    let keys = [
        (
            "protocol",
            defaults.protocol.as_ref().and_then(|it| place(&it.place)),
            "the other end says what a route carries",
        ),
        (
            "bind",
            strict.and_then(|it| place(&it.place)),
            "an address that the other end asks for is always tried again",
        ),
        ("source", defaults.source.iter().flatten().next().and_then(|it| place(&it.place)), at_other_end),
        ("interface", defaults.interface.as_ref().and_then(|it| place(&it.place)), at_other_end),
        ("proxy_url", defaults.proxy_url.as_ref().and_then(|it| place(&it.place)), at_other_end),
    ];
    for (key, place, message) in keys {
        if let Some(place) = place {
            problems.push(Problem::new(place, format!("{path}.{key}"), message).help("leave it out"));
        }
    }
}
