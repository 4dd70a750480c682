//! The areas of a report, each a look over every route.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use super::report::Area;
use super::tell::counted;
use crate::address::{ListenAddress, Protocol, TargetAddress, UnixName};
use crate::diagnosis::reach::{self, Options};
use crate::diagnosis::{Diagnosis, Severity, Status, Verdict, could_listen, could_listen_unix};
use crate::limits::{Wanted, budget};
use crate::plan::{self, Plan, Route};
use crate::probe::system::limits::{descriptors, raise_descriptors};
use crate::transport;

/// More targets than this are not dialled.
const MAX_TARGETS: usize = 256;
/// So many targets are dialled at one time: each may take seconds to time out.
const AT_ONCE: usize = 8;
/// With room for fewer sessions, nothing else is looked at.
const LEAST_SESSIONS: usize = 16;

/// Every area, in order.
pub(super) fn all(plan: &Plan) -> Vec<Area> {
    let (routes, addresses) = (plan.routes.len(), listeners(plan).count());
    let text = format!("{}, {}", counted(routes, "route"), counted(addresses, "listener"));
    let config = Area::new("config", Status::Ok, text);
    // As `run` does; without the right to, the limit stays what it is.
    let _ = raise_descriptors();
    let limits = limits(Some(plan));
    if limits.status == Status::Fail {
        let rest = ["listeners", "targets", "loops", "exposure", "ports"];
        let skipped = rest.map(|id| Area::new(id, Status::Skip, "not looked at: too few descriptors"));
        return [config].into_iter().chain(skipped).chain([limits]).collect();
    }
    let mut tried = try_listeners(plan);
    let exposure = exposure(plan, &mut tried);
    let ports = ports(&mut tried);
    let targets = targets(plan);
    let loops = loops(&targets);
    let rest = [Some(limits), tls(plan)].into_iter().flatten();
    [config, told_listeners(tried), targets, loops, exposure, ports].into_iter().chain(rest).collect()
}

/// The certificates of the routes; `None` where none speaks TLS.
fn tls(plan: &Plan) -> Option<Area> {
    plan.routes.values().find(|route| route.tls.is_some() || route.target_tls.is_some())?;
    let cautions = plan::cautions(plan, SystemTime::now());
    let (count, first_end) = plan::certificates(plan);
    let day = |end: i64| {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(end.max(0) as u64);
        humantime::format_rfc3339_seconds(at).to_string().chars().take(10).collect::<String>()
    };
    let text = match first_end {
        Some(end) => format!("{}, the first of them good until {}", counted(count, "certificate"), day(end)),
        None => "no certificate of ours".into(),
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

/// Each address with its protocol and the routes that listen on it.
fn listeners(plan: &Plan) -> impl Iterator<Item = (&ListenAddress, Protocol, &Route)> {
    plan.routes.values().flat_map(|route| {
        route.listen.iter().map(move |address| (address, route.carries.protocol(), &**route))
    })
}

fn try_listeners(plan: &Plan) -> Vec<Diagnosis> {
    let diagnosed = |(address, protocol, route): (&ListenAddress, Protocol, &Route)| {
        let mut told = tried(address, protocol);
        told.routes.push(route.name.to_string());
        told
    };
    listeners(plan).map(diagnosed).collect()
}

fn tried(address: &ListenAddress, protocol: Protocol) -> Diagnosis {
    let mut told = match address {
        ListenAddress::Net(net) => {
            // An interface that is not there has no number; the bind that is tried then says the rest.
            let known = transport::socket_address(net).unwrap_or(SocketAddr::new(net.ip, net.port));
            return could_listen(known, protocol.into());
        }
        ListenAddress::Unix(UnixName::Path(path)) => could_listen_unix(Path::new(&**path)),
        ListenAddress::Unix(UnixName::Abstract(name)) => could_listen_unix(Path::new(&format!("@{name}"))),
    };
    // A left-over file gives way to us.
    if told.verdict == Verdict::UnixSocketStale {
        told.verdict = Verdict::Healthy;
    }
    told
}

fn told_listeners(tried: Vec<Diagnosis>) -> Area {
    let all = tried.len();
    // A start found the addresses in the hands of a loopgate that runs: that is how it should be.
    let (running, rest): (Vec<_>, Vec<_>) =
        tried.into_iter().partition(|told| told.verdict == Verdict::AlreadyRunning);
    let wrong: Vec<Diagnosis> = rest.into_iter().filter(|told| told.severity() > Severity::Fine).collect();
    let mut area = match wrong.iter().map(Diagnosis::severity).max() {
        None => Area::new("listeners", Status::Ok, format!("{all} of {all} could be listened on")),
        Some(gravest) => {
            let text = format!("{} of {all} could not be listened on, or not as meant", wrong.len());
            Area::new("listeners", status(gravest), text)
        }
    };
    if let Some(first) = running.first() {
        let all_of_them = if running.len() == all { "all" } else { "some" };
        area.notes.push(format!("{all_of_them} of them by a loopgate that runs: {}", first.summary));
        if running.len() == all {
            area.text = format!("{all} of {all} are listened on by a loopgate that runs");
        }
    }
    area.diagnoses = wrong;
    area
}

fn status(severity: Severity) -> Status {
    match severity {
        Severity::Fine => Status::Ok,
        Severity::Warning => Status::Warn,
        Severity::Unclear | Severity::Error => Status::Fail,
    }
}

/// Takes the listeners that are open to the network out of those that are to be told. Where the route says who may
/// connect, that is as it should be.
fn exposure(plan: &Plan, tried: &mut [Diagnosis]) -> Area {
    let says_to_whom = |told: &Diagnosis| {
        let mut routes = plan.routes.values().filter(|route| told.routes.contains(&route.name.to_string()));
        routes.any(|route| route.is_guarded())
    };
    let (guarded, open): (Vec<_>, Vec<_>) =
        taken_out(tried, Verdict::Exposed).into_iter().partition(says_to_whom);
    let mut area = if open.is_empty() {
        Area::new("exposure", Status::Ok, "no listener is open to everybody on other machines")
    } else {
        let text = format!("open to other machines: {}", counted(open.len(), "listener"));
        Area { diagnoses: open, ..Area::new("exposure", Status::Warn, text) }
    };
    if !guarded.is_empty() {
        area.notes.push(format!(
            "open to those alone whom allow or client_ca lets in: {}",
            counted(guarded.len(), "listener")
        ));
    }
    area
}

/// The same of those whose port an outgoing connection may draw.
fn ports(tried: &mut [Diagnosis]) -> Area {
    let drawn = taken_out(tried, Verdict::PortInEphemeralRange);
    if drawn.is_empty() {
        return Area::new("ports", Status::Ok, "none may be taken by an outgoing connection first");
    }
    let text = format!("outgoing connections may take them first: {}", counted(drawn.len(), "port"));
    Area { diagnoses: drawn, ..Area::new("ports", Status::Warn, text) }
}

/// The warnings of one kind, each as a diagnosis of its own; what else there is of an address stays.
fn taken_out(tried: &mut [Diagnosis], kind: Verdict) -> Vec<Diagnosis> {
    let mut taken = Vec::new();
    for told in tried.iter_mut().filter(|told| told.verdict == kind) {
        taken.push(Diagnosis { warnings: Vec::new(), ..told.clone() });
        told.verdict = Verdict::Healthy;
        told.fixes.clear();
        told.settle();
    }
    taken
}

fn targets(plan: &Plan) -> Area {
    let mut wanted: BTreeMap<String, (TargetAddress, Protocol, Vec<String>)> = BTreeMap::new();
    for route in plan.routes.values() {
        // Only code of an embedder's makes targets without an address, and what it can tell of them it has.
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
    let answers = reached(&wanted);
    let all = answers.len();
    let wrong: Vec<Diagnosis> = answers.into_iter().filter(|told| told.severity() > Severity::Fine).collect();
    let mut area = match wrong.iter().map(Diagnosis::severity).max() {
        None => Area::new("targets", Status::Ok, format!("{all} of {all} answer")),
        Some(gravest) => {
            let text = format!("{} of {all} do not answer, or not as they should", wrong.len());
            Area::new("targets", status(gravest), text)
        }
    };
    if untried > 0 {
        area.notes.push(format!("{untried} more were not dialled"));
    }
    area.diagnoses = wrong;
    area
}

/// Dials them, some at one time, and gives the answers in their order.
fn reached(wanted: &[(TargetAddress, Protocol, Vec<String>)]) -> Vec<Diagnosis> {
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some((at, (target, protocol, routes))) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            wanted.get(at).map(|it| (at, it))
        } {
            let mut told = reach::reach_target(target, *protocol, Options::default());
            told.routes.clone_from(routes);
            answers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(at, told);
        }
    };
    thread::scope(|scope| {
        for _ in 1..wanted.len().min(AT_ONCE) {
            // Where no thread can be had, this one does the work.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    answers.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).into_values().collect()
}

/// Loops within the configuration are refused before there is a plan; others go through a program between.
fn loops(targets: &Area) -> Area {
    let found = targets.diagnoses.iter().filter(|told| told.verdict == Verdict::ForwardLoop).count();
    if found > 0 {
        Area::new("loops", Status::Fail, format!("{found} targets lead back; see targets"))
    } else {
        Area::new("loops", Status::Ok, "no route leads back to itself")
    }
}

/// How many sessions the descriptors allow.
pub(super) fn limits(plan: Option<&Plan>) -> Area {
    let descriptors = descriptors();
    let Some(limit) = descriptors.soft.and_then(|limit| usize::try_from(limit).ok()) else {
        return Area::new("limits", Status::Ok, "there is no limit of descriptors");
    };
    let used = descriptors.used.map_or(limit, |used| used.try_into().unwrap_or(limit));
    let wanted = plan.map_or(Wanted::default(), |plan| Wanted {
        connections: plan.limits.connections,
        ..Wanted::default()
    });
    let room = if used >= limit { 0 } else { budget(limit, used, Wanted::default()).connections };
    let text = format!("room for {room} sessions: {limit} descriptors, {used} in use");
    let mut area = Area::new("limits", Status::Ok, text);
    if room < LEAST_SESSIONS {
        area.status = Status::Fail;
        area.notes.push("raise the limit: ulimit -n, or LimitNOFILE= in a systemd unit".to_owned());
    } else if wanted.connections.is_some_and(|wanted| wanted > room) {
        area.status = Status::Warn;
        area.notes.push("limits.connections asks for more than that".to_owned());
    }
    area
}
