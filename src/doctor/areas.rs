//! The areas of a report; each one covers every route.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::congestion::congestion;
use super::render::counted;
use super::report::{Area, area_status};
use super::tunnels;
use crate::address::{ListenAddress, Protocol, TargetAddress, UnixName};
use crate::diagnosis::reach::{self, Options};
use crate::diagnosis::{
    Diagnosis, LEAST_SESSIONS, Severity, Status, Verdict, could_listen, could_listen_unix,
};
use crate::engine;
use crate::limits::{Needs, Wanted};
use crate::plan::{self, Plan, Route};
use crate::probe::system::congestion::host_default;
use crate::probe::system::limits::{descriptors, processors, raise_descriptors};
use crate::transport;

/// At most this many targets are dialled; the report counts the rest.
const MAX_TARGETS: usize = 256;

/// Every area, in the order of the report.
pub(super) fn all(plan: &Plan) -> Vec<Area> {
    let config = Area::new("config", Status::Ok, size(plan));
    // As `run` does. Where the kernel refuses, the limit stays as it is.
    let _ = raise_descriptors();
    let limits = limits(Some(plan));
    if limits.status == Status::Fail {
        let rest = ["listeners", "targets", "loops", "exposure", "ports"];
        let skipped = rest.map(|id| Area::new(id, Status::Skip, "not examined: too few descriptors"));
        return [config].into_iter().chain(skipped).chain([limits]).collect();
    }
    let mut tried = try_listeners(plan);
    let exposure = exposure(plan, &mut tried);
    let ports = ports(&mut tried);
    let (targets, tunnels) = tunnels::beside(plan, || targets(plan));
    let loops = loops(&targets);
    let host = host_default();
    let rest = [Some(limits), congestion(plan, host.as_deref()), tls(plan)].into_iter().flatten();
    let first = [config, listeners_area(tried), targets].into_iter().chain(tunnels);
    first.chain([loops, exposure, ports]).chain(rest).collect()
}

/// `2 routes, 3 listeners, 1 tunnel`
fn size(plan: &Plan) -> String {
    let addresses = listeners(plan).count() + plan.tunnels.listen.len();
    let size = format!("{}, {}", counted(plan.routes.len(), "route"), counted(addresses, "listener"));
    match plan.tunnels.links.len() {
        0 => size,
        tunnels => format!("{size}, {}", counted(tunnels, "tunnel")),
    }
}

/// The certificates of the routes; `None` if no route speaks TLS.
fn tls(plan: &Plan) -> Option<Area> {
    plan.routes.values().find(|route| route.tls.is_some() || route.target_tls.is_some())?;
    let cautions = plan::cautions(plan, SystemTime::now());
    let (count, first_end) = plan::certificates(plan);
    let day = |end: i64| {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(end.max(0) as u64);
        humantime::format_rfc3339_seconds(at).to_string().chars().take(10).collect::<String>()
    };
    let text = match first_end {
        Some(end) => format!("{}, the first expires on {}", counted(count, "certificate"), day(end)),
        None => "no certificate of our own".into(),
    };
    let status = match cautions.iter().map(|caution| caution.is_fault).max() {
        None => Status::Ok,
        Some(false) => Status::Warn,
        Some(true) => Status::Fail,
    };
    let mut area = Area::new("tls", status, text);
    area.notes = cautions.into_iter().map(|it| format!("route {}: {}", it.route, it.text)).collect();
    Some(area)
}

/// Each address here with its protocol and the routes that listen on it.
fn listeners(plan: &Plan) -> impl Iterator<Item = (&ListenAddress, Protocol, &Route)> {
    let here = |address: &&ListenAddress| !matches!(address, ListenAddress::There(_));
    plan.routes.values().flat_map(move |route| {
        route.listen.iter().filter(here).map(move |address| (address, route.carries.protocol(), &**route))
    })
}

fn try_listeners(plan: &Plan) -> Vec<Diagnosis> {
    let diagnosed = |(address, protocol, route): (&ListenAddress, Protocol, &Route)| {
        let mut diagnosis = tried(address, protocol)?;
        diagnosis.routes.push(route.name.to_string());
        Some(diagnosis)
    };
    let of_tunnels = plan.tunnels.listen.iter().filter_map(|address| tried(address, Protocol::Tcp));
    listeners(plan).filter_map(diagnosed).chain(of_tunnels.map(open_to_keys)).collect()
}

/// Where other Loopgates connect, every machine may knock: it is let in by its key.
fn open_to_keys(mut diagnosis: Diagnosis) -> Diagnosis {
    diagnosis.warnings.retain(|warning| warning.verdict != Verdict::Exposed);
    if diagnosis.verdict == Verdict::Exposed {
        diagnosis.verdict = Verdict::Healthy;
        diagnosis.fixes.clear();
        diagnosis.settle();
    }
    diagnosis
}

/// What a trial bind finds; `None` for an address at the other end of a tunnel.
fn tried(address: &ListenAddress, protocol: Protocol) -> Option<Diagnosis> {
    let mut diagnosis = match address {
        ListenAddress::Net(net) => {
            // A missing interface has no scope id; the trial bind then reports what is wrong.
            let known = transport::socket_address(net).unwrap_or(SocketAddr::new(net.ip, net.port));
            return Some(could_listen(known, protocol.into()));
        }
        ListenAddress::Unix(UnixName::Path(path)) => could_listen_unix(Path::new(&**path)),
        ListenAddress::There(_) => return None,
        ListenAddress::Unix(UnixName::Abstract(name)) => could_listen_unix(Path::new(&format!("@{name}"))),
    };
    // `run` replaces a left-over socket file.
    if diagnosis.verdict == Verdict::UnixSocketStale {
        diagnosis.verdict = Verdict::Healthy;
    }
    Some(diagnosis)
}

fn listeners_area(tried: Vec<Diagnosis>) -> Area {
    let all = tried.len();
    // Addresses that a running loopgate holds are no fault: the configuration is in use.
    let (running, rest): (Vec<_>, Vec<_>) =
        tried.into_iter().partition(|diagnosis| diagnosis.verdict == Verdict::AlreadyRunning);
    let wrong: Vec<Diagnosis> =
        rest.into_iter().filter(|diagnosis| diagnosis.severity() > Severity::Fine).collect();
    let mut area = match wrong.iter().map(Diagnosis::severity).max() {
        None if all == 0 => Area::new("listeners", Status::Ok, "none on this side"),
        None => Area::new("listeners", Status::Ok, format!("{all} of {all} can be bound")),
        Some(gravest) => {
            let text = format!("{} of {all} cannot be bound, or not as intended", wrong.len());
            Area::new("listeners", area_status(gravest), text)
        }
    };
    if let Some(first) = running.first() {
        let all_of_them = if running.len() == all { "all" } else { "some" };
        area.notes.push(format!("{all_of_them} of them are held by a running loopgate: {}", first.summary));
        if running.len() == all {
            area.text = format!("{all} of {all} are held by a running loopgate");
        }
    }
    area.diagnoses = wrong;
    area
}

/// Moves the listeners that other machines can reach out of `tried` into an area of their own. A route that restricts
/// its clients (`allow`, `client_ca`) is exposed on purpose and is only counted.
fn exposure(plan: &Plan, tried: &mut [Diagnosis]) -> Area {
    let is_guarded = |diagnosis: &Diagnosis| {
        let mut routes =
            plan.routes.values().filter(|route| diagnosis.routes.contains(&route.name.to_string()));
        routes.any(|route| route.is_guarded())
    };
    let (guarded, open): (Vec<_>, Vec<_>) =
        taken_out(tried, Verdict::Exposed).into_iter().partition(is_guarded);
    let mut area = if open.is_empty() {
        Area::new("exposure", Status::Ok, "no listener is open to every client on other machines")
    } else {
        let text = format!("open to other machines: {}", counted(open.len(), "listener"));
        Area { diagnoses: open, ..Area::new("exposure", Status::Warn, text) }
    };
    if !guarded.is_empty() {
        area.notes.push(format!(
            "open only to clients that allow or client_ca admits: {}",
            counted(guarded.len(), "listener")
        ));
    }
    area
}

/// The same for listeners whose port the kernel may give to an outgoing connection.
fn ports(tried: &mut [Diagnosis]) -> Area {
    let drawn = taken_out(tried, Verdict::PortInEphemeralRange);
    if drawn.is_empty() {
        return Area::new("ports", Status::Ok, "no port can be taken by an outgoing connection first");
    }
    let text = format!("can be taken by an outgoing connection first: {}", counted(drawn.len(), "port"));
    Area { diagnoses: drawn, ..Area::new("ports", Status::Warn, text) }
}

/// Moves the warnings of one kind out of `tried`, each as its own diagnosis; other findings about the address stay.
fn taken_out(tried: &mut [Diagnosis], kind: Verdict) -> Vec<Diagnosis> {
    let mut taken = Vec::new();
    for diagnosis in tried.iter_mut().filter(|diagnosis| diagnosis.verdict == kind) {
        taken.push(Diagnosis { warnings: Vec::new(), ..diagnosis.clone() });
        diagnosis.verdict = Verdict::Healthy;
        diagnosis.fixes.clear();
        diagnosis.settle();
    }
    taken
}

fn targets(plan: &Plan) -> Area {
    let mut wanted: BTreeMap<String, (TargetAddress, Protocol, Vec<String>)> = BTreeMap::new();
    for route in plan.routes.values() {
        // Only an embedder's code makes targets without an address, and the embedder already knows about them.
        // Those at the other end of a tunnel are in the area of tunnels.
        for target in route.every_target().filter_map(|it| it.written().cloned()) {
            let key = format!("{target} {:?}", route.carries.protocol());
            wanted
                .entry(key)
                .or_insert_with(|| (target, route.carries.protocol(), Vec::new()))
                .2
                .push(route.name.to_string());
        }
    }
    let untried = wanted.len().saturating_sub(MAX_TARGETS);
    let wanted: Vec<_> = wanted.into_values().take(MAX_TARGETS).collect();
    let (dialled, routes): (Vec<_>, Vec<_>) =
        wanted.into_iter().map(|(target, protocol, routes)| ((target, protocol), routes)).unzip();
    let answers = reach::reach_all(&dialled, &Options::default()).into_iter().zip(routes);
    let answers: Vec<_> = answers.map(|(diagnosis, routes)| Diagnosis { routes, ..diagnosis }).collect();
    let all = answers.len();
    let wrong: Vec<Diagnosis> =
        answers.into_iter().filter(|diagnosis| diagnosis.severity() > Severity::Fine).collect();
    let mut area = match wrong.iter().map(Diagnosis::severity).max() {
        None if all == 0 => Area::new("targets", Status::Ok, "none on this side"),
        None => Area::new("targets", Status::Ok, format!("{all} of {all} answer")),
        Some(gravest) => {
            let text = format!("{} of {all} do not answer, or not as they should", wrong.len());
            Area::new("targets", area_status(gravest), text)
        }
    };
    if untried > 0 {
        area.notes.push(format!("{untried} more were not dialled"));
    }
    area.diagnoses = wrong;
    area
}

/// Loops within the configuration never get this far: building the plan refuses them. Loops found here pass through
/// another program.
fn loops(targets: &Area) -> Area {
    let found =
        targets.diagnoses.iter().filter(|diagnosis| diagnosis.verdict == Verdict::ForwardLoop).count();
    if found > 0 {
        Area::new(
            "loops",
            Status::Fail,
            format!("{found} targets lead back to their own listeners; see targets"),
        )
    } else {
        Area::new("loops", Status::Ok, "no route leads back to itself")
    }
}

/// How many sessions the descriptor limit leaves room for.
pub(super) fn limits(plan: Option<&Plan>) -> Area {
    let descriptors = descriptors();
    let Some(limit) = descriptors.soft.and_then(|limit| usize::try_from(limit).ok()) else {
        return Area::new("limits", Status::Ok, "no limit on descriptors");
    };
    let used = descriptors.used.and_then(|used| usize::try_from(used).ok());
    // Without a configuration: a route that listens on one address.
    let one = Needs { listeners: 1, workers: processors(), udp: false };
    let needs = plan.map_or(one, engine::needs);
    let flows = plan.and_then(|plan| plan.limits.flows);
    let wanted = Wanted { connections: None, flows, udp: needs.udp };
    let room = needs.sessions(limit, used.unwrap_or(0), wanted);
    let in_use = used.map_or("those in use cannot be counted".to_owned(), |used| format!("{used} in use"));
    let text = format!("room for {room} sessions: {limit} descriptors, {in_use}");
    let mut area = Area::new("limits", Status::Ok, text);
    if room < LEAST_SESSIONS {
        area.status = Status::Fail;
        area.notes.push("raise the limit: ulimit -n, or LimitNOFILE= in a systemd unit".to_owned());
    } else if plan.and_then(|plan| plan.limits.connections).is_some_and(|wanted| wanted > room) {
        area.status = Status::Warn;
        area.notes.push("limits.connections is set higher than that".to_owned());
    }
    area
}
