//! One contestant's turn: a target, the forwarder before it, and the address to load.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::contestant::Contestant;
use crate::forwarders::{Front, Job, Load, Route, Routes, listening_socket, target_socket};
use crate::listening::Tables;
use crate::role::{Role, Traffic};
use crate::spent::SoFar;
use crate::{certificate, listening, ports};
use loopgate_load::{Answer, Fallible, Group, Player, measure};

/// How often a start is looked at. Looking costs CPU that the starting program would have.
const LOOK: Duration = Duration::from_millis(1);

pub(crate) struct Turn<Address = SocketAddr> {
    pub(crate) address: Address,
    forwarder: Option<Running>,
    /// It ends with the turn.
    target: Behind,
}

/// What stands behind the forwarder.
enum Behind {
    Player(Player),
    Server(Group),
    /// Played by the client, which knows what it spends.
    Client,
}

/// A forwarder that listens.
pub(crate) struct Running {
    pub(crate) group: Group,
    pub(crate) folder: PathBuf,
    /// From its start until it listened on every address.
    pub(crate) took: Duration,
}

impl Turn {
    pub(crate) fn with_echo(contestant: &Contestant, load: Load, scratch: &Path) -> Fallible<Turn> {
        Turn::with_answer(contestant, load, Answer::Echo, scratch)
    }

    /// A turn in front of one of our own targets.
    pub(crate) fn with_answer(
        contestant: &Contestant,
        load: Load,
        answer: Answer,
        scratch: &Path,
    ) -> Fallible<Turn> {
        let listen = ports::one()?;
        let mut player = Role::Target { listen, answer }.start(scratch)?;
        listening::wait_for(&mut player.group, &[listen], LOOK)?;
        Turn::before(contestant, load, listen, Behind::Player(player), scratch)
    }

    /// A turn in front of a target for datagrams, which also plays the clients.
    pub(crate) fn with_datagrams(
        contestant: &Contestant,
        load: Load,
        traffic: Traffic,
        scratch: &Path,
    ) -> Fallible<(Turn, Player)> {
        let listen = ports::one()?;
        let mut player = Role::Datagrams { listen, traffic }.start(scratch)?;
        let _: String = player.hear()?;
        Ok((Turn::before(contestant, load, listen, Behind::Client, scratch)?, player))
    }

    /// A turn in front of a real server, which `command` starts for the address it is given.
    pub(crate) fn with_server(
        contestant: &Contestant,
        load: Load,
        command: impl FnOnce(SocketAddr) -> Command,
        scratch: &Path,
    ) -> Fallible<Turn> {
        let listen = ports::one()?;
        let mut command = command(listen);
        command.stdin(Stdio::null()).stdout(Stdio::null()).current_dir(scratch);
        let mut group = Group::start(&mut command, &scratch.join("server.err"))?;
        listening::wait_for(&mut group, &[listen], LOOK)?;
        Turn::before(contestant, load, listen, Behind::Server(group), scratch)
    }

    fn before(
        contestant: &Contestant,
        load: Load,
        target: SocketAddr,
        behind: Behind,
        scratch: &Path,
    ) -> Fallible<Turn> {
        if contestant.forwarder.is_none() {
            return Ok(Turn { address: target, forwarder: None, target: behind });
        }
        let route = Route { listen: ports::one()?, target };
        let running = start(contestant, load, &[route], scratch)?;
        Ok(Turn { address: route.listen, forwarder: Some(running), target: behind })
    }
}

impl Turn<PathBuf> {
    /// A turn over Unix sockets, in front of a target that gives bytes or takes them.
    pub(crate) fn over_unix(contestant: &Contestant, answer: Answer, scratch: &Path) -> Fallible<Self> {
        let folder = folder_of(contestant, scratch);
        let target = target_socket(&folder);
        let mut player = Role::UnixTarget { listen: target.clone(), answer }.start(scratch)?;
        listening::wait_for_path(&mut player.group, &target, LOOK)?;
        let behind = Behind::Player(player);
        if contestant.forwarder.is_none() {
            return Ok(Turn { address: target, forwarder: None, target: behind });
        }
        let mut running = start(contestant, Load::Streams(Front::Unix), &[], scratch)?;
        let address = listening_socket(&folder);
        listening::wait_for_path(&mut running.group, &address, LOOK)
            .map_err(|error| with_last_words(&error.to_string(), &folder))?;
        Ok(Turn { address, forwarder: Some(running), target: behind })
    }
}

impl<Address> Turn<Address> {
    pub(crate) fn forwarder(&self) -> Option<&Group> {
        self.forwarder.as_ref().map(|running| &running.group)
    }

    /// CPU seconds of the forwarder since its start; nothing without one.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        Some(measure::cpu_seconds(self.forwarder()?.id()))
    }

    /// What the target and the forwarder have spent since they started.
    pub(crate) fn so_far(&self) -> SoFar {
        let target = match &self.target {
            Behind::Player(player) => measure::cpu_seconds(player.group.id()),
            Behind::Server(group) => measure::cpu_seconds(group.id()),
            Behind::Client => 0.0,
        };
        SoFar { target, forwarder: self.cpu_seconds() }
    }
}

/// Starts a forwarder with these routes and waits until it listens.
pub(crate) fn start(
    contestant: &Contestant,
    load: Load,
    routes: &[Route],
    scratch: &Path,
) -> Fallible<Running> {
    let (forwarder, program) = contestant.forwarder.as_ref().ok_or("direct is no forwarder")?;
    if forwarder.routes == Routes::One && routes.len() > 1 {
        return Err("one route per process".into());
    }
    let folder = folder_of(contestant, scratch);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let pair = certificate::pair(scratch)?;
    let between = if load.front() == Front::Tunnel { Some(ports::one()?) } else { None };
    let job = Job { routes, load, pair: &pair, folder: &folder, between };
    let mut command = (forwarder.command)(program, &job)?;
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let mut group = Group::start(&mut command, &errors(&folder))?;
    if let Some((between, other_end)) = between.zip(forwarder.other_end) {
        listening::wait_for(&mut group, &[between], LOOK)
            .map_err(|error| with_last_words(&error.to_string(), &folder))?;
        let mut command = other_end(program, &job)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        group.join(&mut command, &folder.join("stderr-other"))?;
    }
    let listen: Vec<SocketAddr> = routes.iter().map(|route| route.listen).collect();
    let protocol = if load.is_udp() { Tables::Udp } else { Tables::Tcp };
    listening::wait_for_all(&mut group, &listen, protocol, LOOK)
        .map_err(|error| with_last_words(&error.to_string(), &folder))?;
    Ok(Running { group, folder, took: began.elapsed() })
}

/// A contestant's own directory.
fn folder_of(contestant: &Contestant, scratch: &Path) -> PathBuf {
    scratch.join(contestant.name)
}

/// Where a forwarder's standard error goes.
pub(crate) fn errors(folder: &Path) -> PathBuf {
    folder.join("stderr")
}

fn with_last_words(error: &str, folder: &Path) -> String {
    let text = fs::read_to_string(errors(folder)).unwrap_or_default();
    match text.trim().lines().last() {
        Some(line) => format!("{error}; it said: {line}"),
        None => format!("{error}, and said nothing"),
    }
}
