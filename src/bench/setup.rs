//! What is asked for, and what that comes to: a target, a route before it, the loads.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use loopgate_load::Player;

use super::address::{self, Place};
use super::forwarder::Forwarder;
use super::load::{Ends, Load};
use super::part::Part;
use super::refusal::Refusal;
use super::route::{self, Through};
use super::schedule::Schedule;
use super::service::{self, Service};

/// What the user asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// The service; the route's target, or a built-in one, if there is none.
    pub(crate) address: Option<String>,
    /// The route, by name or as `-L` takes it.
    pub(crate) through: Option<String>,
    /// The file in which a route's name is looked up.
    pub(crate) config: Option<PathBuf>,
    /// What the service does; asked if it is not said.
    pub(crate) expect: Option<Service>,
    /// Whether an address of another machine may be loaded.
    pub(crate) remote: bool,
    /// How long it all may take.
    pub(crate) time: Duration,
}

/// What is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Processes of this bench: one that sends, one that echoes.
    BuiltIn,
    /// A service, and what it does.
    Service(Place, Service),
}

/// What will be measured.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(super) target: Target,
    /// None where only the service is asked.
    pub(super) through: Option<Through>,
    pub(super) loads: Vec<Load>,
    pub(super) schedule: Schedule,
}

impl Setup {
    /// Finds the service and the route, and asks the service what it does. Nothing is started.
    ///
    /// # Errors
    /// Why that cannot be measured.
    pub(crate) fn new(asked: &Asked) -> Result<Setup, Refusal> {
        without_effect(asked)?;
        let mut through =
            asked.through.as_deref().map(|text| route::read(text, asked.config.clone())).transpose()?;
        let target = match (&asked.address, &through) {
            (Some(text), _) => Some(address::read(text)?),
            (None, Some(route)) => route.targets.first().cloned(),
            (None, None) => None,
        };
        let target = match target {
            None => Target::BuiltIn,
            Some(target) => {
                let (place, stream) = address::reach(&target, asked.remote)?;
                let service = match &asked.expect {
                    Some(service) => service.clone(),
                    None => ask(&place, stream)?,
                };
                Target::Service(place, service)
            }
        };
        if let (Target::Service(place, _), Some(route)) = (&target, &through)
            && !route::leads_to(&route.targets, place.at)?
        {
            let to: Vec<String> = route.targets.iter().map(ToString::to_string).collect();
            return Err(Refusal::usage(
                format!("the route leads to {}, not to {place}", to.join(", ")),
                "leave the address out to measure the route's target",
            ));
        }
        if target == Target::BuiltIn {
            through = None;
        }
        let loads = match &target {
            Target::BuiltIn => Load::built_in(),
            Target::Service(_, service) => Load::of(service),
        };
        let ways = if through.is_some() || target == Target::BuiltIn { 2 } else { 1 };
        let schedule = Schedule::of(asked.time, loads.len() * ways);
        Ok(Setup { target, through: through.map(|route| route.through), loads, schedule })
    }
}

/// What would be ignored is refused: the figures would not be those of what was meant.
fn without_effect(asked: &Asked) -> Result<(), Refusal> {
    if asked.config.is_some() && asked.through.as_deref().is_none_or(|text| text.contains(':')) {
        return Err(Refusal::usage(
            "-c names the file of a route, and no route of a file is named",
            "add --through ROUTE, or leave -c out",
        ));
    }
    if asked.expect.is_some() && asked.address.is_none() && asked.through.is_none() {
        return Err(Refusal::usage(
            "--expect says what a service does, and no service is named",
            "add its address, such as 127.0.0.1:7, or leave --expect out",
        ));
    }
    Ok(())
}

fn ask(place: &Place, stream: TcpStream) -> Result<Service, Refusal> {
    service::ask(stream, place.at)
        .map_err(|error| Refusal::Unreachable(format!("error: cannot measure {place}: {error}")))
}

/// A setup whose processes run; they end with it.
pub(super) struct Running {
    pub(super) direct: Ends,
    pub(super) forwarder: Option<Forwarder>,
    /// The built-in target.
    _targets: Vec<Player>,
}

impl Running {
    /// Starts what a setup needs.
    ///
    /// # Errors
    /// What the process that failed said.
    pub(super) fn start(setup: &Setup) -> Result<Running, String> {
        let Target::Service(place, _) = &setup.target else { return built_in() };
        let forwarder = match &setup.through {
            None => None,
            Some(Through::Own { spec }) => Some(Forwarder::start(vec![spec.clone()], None)?),
            Some(Through::Running { listen, .. }) => Some(Forwarder::running(*listen)),
        };
        Ok(Running { direct: Ends::both(place.at), forwarder, _targets: Vec::new() })
    }
}

fn built_in() -> Result<Running, String> {
    let (sends, stream) = target(true)?;
    let (echoes, exchange) = target(false)?;
    let spec = |at: SocketAddr| format!("127.0.0.1:0:{}:{}", at.ip(), at.port());
    let forwarder = Forwarder::start(vec![spec(stream), spec(exchange)], Some(stream))?;
    let direct = Ends { stream, exchange };
    Ok(Running { direct, forwarder: Some(forwarder), _targets: vec![sends, echoes] })
}

fn target(bytes: bool) -> Result<(Player, SocketAddr), String> {
    let start = || {
        let mut player = Part::Target { bytes }.start(Stdio::null())?;
        let at = player.hear()?;
        Ok((player, at))
    };
    start().map_err(|error: Box<dyn std::error::Error>| format!("error: cannot start a target: {error}"))
}
