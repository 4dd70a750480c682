//! UDP: questions and answers, one way alone and in trains, and flows that do nothing.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use super::list::FLOWS;
use super::{Measured, Scene};
use crate::contestant::Contestant;
use crate::figures::Figures;
use crate::forwarders::{Front, IDLE_FLOW, Load};
use crate::role::{Pace, Report, Traffic};
use crate::spent::Spent;
use crate::turn::Turn;
use loopgate_load::{Fallible, Held, Span, Tally, measure};

/// How long a forwarder has to clear up after the last datagram; its CPU belongs to the turn.
const CLEAR_UP: Duration = Duration::from_millis(60);

pub(super) fn requests(contestant: &Contestant, front: Front, scene: &Scene) -> Fallible<Measured> {
    let traffic = Traffic::Requests { flows: FLOWS, span: span(scene) };
    let (tally, spent) = load(contestant, front, traffic, scene)?;
    let mut figures = figures(&tally, spent);
    figures.extend(tally.p50_us.map(|p50| ("p50", p50)));
    figures.extend(tally.p99_us.map(|p99| ("p99", p99)));
    figures.insert("failed", tally.failed.values().sum::<u64>() as f64);
    Ok(Measured { figures, failures: tally.failed })
}

pub(super) fn up(contestant: &Contestant, flows: usize, pace: Pace, scene: &Scene) -> Fallible<Measured> {
    one_way(contestant, Traffic::Up { flows, pace, span: span(scene) }, scene)
}

pub(super) fn down(contestant: &Contestant, flows: usize, pace: Pace, scene: &Scene) -> Fallible<Measured> {
    one_way(contestant, Traffic::Down { flows, pace, span: span(scene) }, scene)
}

fn one_way(contestant: &Contestant, traffic: Traffic, scene: &Scene) -> Fallible<Measured> {
    let (mut tally, spent) = load(contestant, Front::Plain, traffic, scene)?;
    let sent = tally.failed.remove("sent").unwrap_or_default();
    let lost = tally.failed.get("lost").copied().unwrap_or_default();
    let mut figures = figures(&tally, spent);
    figures.insert("lost", 100.0 * lost as f64 / sent.max(1) as f64);
    Ok(Measured { figures, failures: BTreeMap::new() })
}

/// The target is bound, the forwarder stands before it, the load is told where to send.
fn load(contestant: &Contestant, front: Front, traffic: Traffic, scene: &Scene) -> Fallible<(Tally, Spent)> {
    let (turn, mut player) =
        Turn::with_datagrams(contestant, Load::Datagrams(front), traffic, scene.scratch)?;
    let before = turn.so_far();
    player.tell(&turn.address.to_string())?;
    let Report { tally, cpu } = player.hear()?;
    sleep(CLEAR_UP);
    let spent = turn.so_far().since(before, cpu);
    if tally.measured == 0 {
        return Err(format!("nothing came through: {:?}", tally.failed).into());
    }
    Ok((tally, spent))
}

/// Client and target are one process here.
fn figures(tally: &Tally, spent: Spent) -> Figures {
    let mut figures = Figures::from([("rate", tally.measured as f64 / tally.seconds)]);
    spent.add_to(&mut figures, 1e6 / tally.all as f64);
    figures
}

/// The cost of one more flow is a slope, as with connections; afterwards all but one idle out.
pub(super) fn idle(contestant: &Contestant, scene: &Scene) -> Fallible<Measured> {
    let (few, many) = if scene.options.smoke { (20, 60) } else { (500, 3_000) };
    let (turn, mut player) = Turn::with_datagrams(contestant, Load::IdleFlows, Traffic::Hold, scene.scratch)?;
    let group = turn.forwarder().ok_or("direct holds no flows")?.id();
    player.tell(&turn.address.to_string())?;
    let mut failed = 0;
    let mut hold = |count: usize| -> Fallible<(usize, f64)> {
        player.tell(&count.to_string())?;
        let held: Held = player.hear()?;
        failed += held.failed;
        sleep(Duration::from_millis(300));
        Ok((held.open, measure::anonymous_bytes(group)))
    };
    let start = hold(1)?;
    let (few, many) = (hold(few)?, hold(many)?);
    // A smoke run does not wait for them to idle out: that would be a third of it.
    let idle_out = if scene.options.smoke { 0 } else { u64::from(IDLE_FLOW) + 2 };
    sleep(Duration::from_secs(idle_out));
    let after = measure::anonymous_bytes(group);
    if many.0 <= few.0 {
        return Err(format!("holds no more than {} flows", many.0).into());
    }
    let figures = Figures::from([
        ("memory", (many.1 - few.1) / (many.0 - few.0) as f64 / 1024.0),
        ("left", (after - start.1) / 1e6),
        ("failed", failed as f64),
    ]);
    Ok(Measured { figures, failures: BTreeMap::new() })
}

fn span(scene: &Scene) -> Span {
    Span { warm_up: scene.options.warm_up(), measured: scene.options.measured() }
}
