//! Many routes: how long a start takes, and a reload that changes one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Measured, Scene};
use crate::contestant::Contestant;
use crate::echo::exchange;
use crate::figures::Figures;
use crate::forwarders::{Front, Load, OURS, Route, loopgate_file, loopgate_text};
use crate::role::Role;
use crate::turn::{Running, errors, start};
use crate::{listening, ports};
use loopgate_load::{Answer, Fallible, Group, measure};

/// The line that ends a reload of one changed route.
const RELOADED: &str = "reload added=0 replaced=1 removed=0";

pub(super) fn turn(contestant: &Contestant, scene: &Scene) -> Fallible<Measured> {
    let count = if scene.options.smoke { 20 } else { 1_000 };
    let mut addresses = ports::free(count + 2)?;
    let (target, other) = (addresses.swap_remove(0), addresses.swap_remove(0));
    let mut player = Role::Target { listen: target, answer: Answer::Echo }.start(scene.scratch)?;
    listening::wait_for(&mut player.group, &[target], Duration::from_millis(1))?;
    let mut routes: Vec<Route> = addresses.iter().map(|listen| Route { listen: *listen, target }).collect();

    // A start is over when every port is listened on and the route written last has carried its first bytes.
    let running = start(contestant, Load::Messages(Front::Plain), &routes, scene.scratch)?;
    let listened = Instant::now();
    exchange(routes[count - 1].listen)?;
    let took = running.took + listened.elapsed();

    let mut figures = Figures::from([("start", took.as_secs_f64() * 1e3)]);
    if contestant.name == OURS {
        routes[count / 2].target = other;
        figures.extend(reload(&running, &routes)?);
    }
    Ok(Measured { figures, failures: BTreeMap::new() })
}

/// From SIGHUP to the line, and how many listening sockets of before are no longer there.
fn reload(running: &Running, routes: &[Route]) -> Fallible<Figures> {
    sleep(Duration::from_millis(200));
    let before = listeners(&running.group);
    let file = loopgate_file(&running.folder);
    let next = file.with_extension("next");
    fs::write(&next, loopgate_text(routes))?;
    fs::rename(&next, &file)?;

    let began = Instant::now();
    running.group.hang_up()?;
    wait_for_line(&errors(&running.folder), began + Duration::from_secs(5))?;
    let took = began.elapsed();

    let lost = before.difference(&listeners(&running.group)).count();
    Ok(Figures::from([("reload", took.as_secs_f64() * 1e3), ("lost", lost as f64)]))
}

fn wait_for_line(errors: &Path, deadline: Instant) -> Fallible<()> {
    while Instant::now() < deadline {
        if fs::read_to_string(errors)?.contains(RELOADED) {
            return Ok(());
        }
        sleep(Duration::from_micros(200));
    }
    Err(format!("no line \"{RELOADED}\" within 5 s of SIGHUP").into())
}

/// The inodes of the group's listening sockets.
fn listeners(group: &Group) -> BTreeSet<u64> {
    let listening: BTreeSet<u64> = listening::inodes().into_values().collect();
    measure::sockets(group.id()).intersection(&listening).copied().collect()
}
