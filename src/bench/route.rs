//! The route that a load goes through: one that the bench starts, or one of the configuration that runs.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use super::address;
use super::refusal::Refusal;
use crate::address::{ListenAddress, Protocol, Spec, TargetAddress};
use crate::config::nearest;
use crate::plan::{self, Carries, Route, Sources};
use crate::units::{quoted, shown_path};

/// On this machine a listener answers at once.
const CONNECT: Duration = Duration::from_secs(2);

/// A route to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// Started for the bench.
    Own {
        /// The route, as `-L` takes it.
        spec: String,
    },
    /// Of a configuration, and run by somebody.
    Running {
        /// Its name.
        route: String,
        /// Where it listens.
        listen: SocketAddr,
        /// How many targets it has.
        targets: usize,
    },
}

/// A route and the targets that it leads to.
pub(super) struct Read {
    pub(super) through: Through,
    pub(super) targets: Vec<TargetAddress>,
}

/// Reads `--through`: a route in the words of `-L` has a colon, and a name has none.
pub(super) fn read(text: &str, config: Option<PathBuf>) -> Result<Read, Refusal> {
    if text.contains(':') { own(text) } else { of_configuration(text, config) }
}

fn own(text: &str) -> Result<Read, Refusal> {
    let spec: Spec =
        text.parse().map_err(|misread| Refusal::Usage(format!("error: --through: {misread}")))?;
    if spec.protocol == Protocol::Udp {
        return Err(not_yet(text, "UDP routes"));
    }
    if spec.listen.count() > 1 || spec.target.count() > 1 {
        return Err(Refusal::usage(
            format!("--through {} is more than one route", quoted(text)),
            "write one, such as 8080:3000",
        ));
    }
    let target = spec.target.first().clone();
    if matches!(spec.listen.first(), ListenAddress::Unix(_)) || target.unix().is_some() {
        return Err(not_yet(text, "routes with a Unix socket"));
    }
    plan::parse("", "", &[text.to_owned()]).map_err(Refusal::Config)?;
    Ok(Read { through: Through::Own { spec: text.to_owned() }, targets: vec![target] })
}

fn not_yet(route: &str, what: &str) -> Refusal {
    Refusal::usage(
        format!("--through {}: bench measures TCP", quoted(route)),
        format!("{what} are not in this version"),
    )
}

fn of_configuration(name: &str, config: Option<PathBuf>) -> Result<Read, Refusal> {
    let file = config.map_or_else(plan::default_file, Ok).map_err(Refusal::Config)?;
    let shown = shown_path(&file);
    let sources = Sources { file: Some(file), ..Sources::default() };
    let plan = plan::load(&sources).map_err(Refusal::Config)?;
    let Some(route) = plan.routes.values().find(|route| *route.name.0 == *name) else {
        let names: Vec<&str> = plan.routes.keys().map(|name| &*name.0).collect();
        return Err(Refusal::usage(
            format!("{shown} has no route {}", quoted(name)),
            format!("{}; one to be started is written [bind:]port:[host:]port", known(name, &names)),
        ));
    };
    let (listen, targets) = plain(route)?;
    let answers = match TcpStream::connect_timeout(&listen, CONNECT) {
        Ok(_) => true,
        // Whoever listens there has already closed it: it runs, and refuses this client.
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    if !answers {
        return Err(Refusal::Unreachable(format!(
            "error: nothing answers at {listen}, where route {name} is to listen\n = help: start it: \
             loopgate run -c {shown}; or ask: loopgate explain {listen}"
        )));
    }
    let through = Through::Running { route: name.to_owned(), listen, targets: targets.len() };
    Ok(Read { through, targets })
}

/// The name that was probably meant, or the names there are.
fn known(wrong: &str, names: &[&str]) -> String {
    if let Some(near) = nearest(wrong, names) {
        return format!("did you mean {near}?");
    }
    let more = if names.len() > MOST_NAMES { ", …" } else { "" };
    let first = &names[..names.len().min(MOST_NAMES)];
    format!("its routes are {}{more}", first.join(", "))
}

/// Where a message would name too many.
const MOST_NAMES: usize = 10;

/// Where a route listens and what it dials, if a client that speaks neither TLS nor a header of a proxy can use it.
fn plain(route: &Route) -> Result<(SocketAddr, Vec<TargetAddress>), Refusal> {
    let name = &*route.name.0;
    let kind = match &route.carries {
        Carries::Udp(_) => Some("UDP routes"),
        _ if route.tls.is_some() || route.target_tls.is_some() => Some("routes with TLS"),
        _ if route.hello.is_some() => Some("routes that read a TLS hello"),
        _ if !route.proxy.accept.is_empty() || route.proxy.send.is_some() => {
            Some("routes with PROXY headers")
        }
        Carries::Tcp(_) => None,
    };
    if let Some(kind) = kind {
        return Err(not_yet(name, kind));
    }
    let listen = route.listen.iter().find_map(|listen| match listen {
        ListenAddress::Net(net) if net.zone.is_none() && net.port != 0 => {
            Some(SocketAddr::new(dialled(net.ip), net.port))
        }
        ListenAddress::Net(_) | ListenAddress::Unix(_) | ListenAddress::There(_) => None,
    });
    let Some(listen) = listen else {
        return Err(Refusal::usage(
            format!("route {name} listens on no TCP port that its file says"),
            "write a route to be started, such as --through 0:3000",
        ));
    };
    let targets: Vec<TargetAddress> =
        route.targets_at(0).filter_map(|(target, _)| target.written().cloned()).collect();
    if targets.is_empty() {
        return Err(not_yet(name, "routes that dial through a proxy"));
    }
    Ok((listen, targets))
}

/// Where a listener on every address is reached.
fn dialled(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// Whether one of the targets is the address that is to be compared with.
pub(super) fn leads_to(targets: &[TargetAddress], at: SocketAddr) -> Result<bool, Refusal> {
    for target in targets {
        if target.unix().is_none() && address::addresses(target)?.contains(&at) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, config: Option<PathBuf>) -> String {
        match read(text, config) {
            Err(Refusal::Usage(text) | Refusal::Unreachable(text)) => text,
            Err(Refusal::Config(problems)) => problems.to_string(),
            Ok(_) => panic!("{text} was taken"),
        }
    }

    #[test]
    fn a_route_is_read_as_for_a_forward() {
        let read = read("0:db:5432", None).ok().unwrap();

        assert_eq!(read.through, Through::Own { spec: "0:db:5432".into() });
        assert_eq!(read.targets[0].to_string(), "db:5432");
        assert!(refused("53:53/udp", None).contains("UDP routes are not in this version"));
        assert!(refused("8080:unix:/run/x", None).contains("Unix socket"));
        assert!(refused("8000-8002:9000-9002", None).contains("more than one route"));
        assert!(refused("8080:x:y:z", None).contains("--through"));
    }

    #[test]
    fn a_name_is_one_of_the_configuration_and_must_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loopgate.toml");
        std::fs::write(&file, "[routes.web]\nlisten = \"127.94.7.9:9\"\ntarget = \"3000\"\n").unwrap();

        assert!(refused("wbe", Some(file.clone())).contains("did you mean web?; one to be started"));
        assert!(refused("database", Some(file.clone())).contains("its routes are web; one to be started"));
        let down = refused("web", Some(file));
        assert!(
            down.contains("nothing answers at 127.94.7.9:9") && down.contains("start it: loopgate run -c"),
            "{down}"
        );
    }
}
