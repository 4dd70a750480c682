//! Bytes, messages and connections from our own load generators.

use std::time::Duration;

use super::{Measured, Scene};
use crate::contestant::Contestant;
use crate::figures::Figures;
use crate::forwarders::{Front, Load};
use crate::role::{Report, Role, Says, Way};
use crate::spent::Spent;
use crate::turn::Turn;
use loopgate_load::{Answer, Fallible, Span, Tally, measure};

/// How long a forwarder has to clear up after the last byte; its CPU belongs to the turn.
const CLEAR_UP: Duration = Duration::from_millis(60);

/// Connections per turn: fewer than half of the source ports there are. With more, turns fell to a third of their rate,
/// with a p99 of 200 ms, as long as every closed connection still found a place in TIME_WAIT; only who is fast would have
/// met it. Presumably the kernel, which gives out every second port first, then searches a used-up half.
pub(super) fn few_enough(scene: &Scene) -> u64 {
    if scene.options.smoke { 3_000 } else { scene.setting.source_ports() / 20 * 9 }
}

pub(super) fn bulk(
    contestant: &Contestant,
    front: Front,
    way: Way,
    streams: usize,
    scene: &Scene,
) -> Fallible<Measured> {
    let (answer, span) = (answer(way), span(scene));
    let (tally, spent) = if front == Front::Unix {
        let turn = Turn::over_unix(contestant, answer, scene.scratch)?;
        load(&turn, &Role::UnixStreams { to: turn.address.clone(), way, streams, span }, scene)?
    } else {
        let turn = Turn::with_answer(contestant, Load::Streams(front), answer, scene.scratch)?;
        let (to, hello) = (turn.address, front == Front::ByName);
        let role = match way {
            Way::Up => Role::GivingStreams { to, streams, span },
            Way::Down => Role::Streams { to, hello, streams, span },
        };
        load(&turn, &role, scene)?
    };
    Ok(measured(per_gigabyte(&tally, spent), tally))
}

/// What the target does with bulk that goes this way.
fn answer(way: Way) -> Answer {
    match way {
        Way::Up => Answer::Nothing,
        Way::Down => Answer::Bytes,
    }
}

pub(super) fn requests(
    contestant: &Contestant,
    front: Front,
    connections: usize,
    pipeline: usize,
    scene: &Scene,
) -> Fallible<Measured> {
    let answer = if connections == 1 { Answer::EchoInThread } else { Answer::Echo };
    let turn = Turn::with_answer(contestant, Load::Messages(front), answer, scene.scratch)?;
    let role = Role::Requests { to: turn.address, connections, pipeline, span: span(scene) };
    let (tally, spent) = load(&turn, &role, scene)?;
    Ok(measured(per_unit(&tally, spent), tally))
}

/// The client closes first, so the client's side of each connection stays in TIME_WAIT, and so does the forwarder's
/// towards its target. Both count from zero in each turn, as no port is listened on twice; the number on the whole
/// machine is told with the reading.
pub(super) fn connects(
    contestant: &Contestant,
    front: Front,
    at_once: usize,
    scene: &Scene,
) -> Fallible<Measured> {
    let (says, answer) = match front {
        Front::SendsHeader => (Says::Message, Answer::EchoAfterHeader),
        Front::TakesHeader => (Says::Header, Answer::Echo),
        Front::ByName => (Says::Hello, Answer::Echo),
        Front::Plain | Front::Unix | Front::EndsTls | Front::Tunnel => (Says::Message, Answer::Echo),
    };
    let turn = Turn::with_answer(contestant, Load::Messages(front), answer, scene.scratch)?;
    let at_most = few_enough(scene);
    let role = Role::Connects { to: turn.address, says, at_once, at_most, span: span(scene) };
    let time_wait = measure::time_wait();
    let (tally, spent) = load(&turn, &role, scene)?;
    let mut figures = per_unit(&tally, spent);
    figures.insert("time_wait", time_wait);
    Ok(measured(figures, tally))
}

/// Lets the role load the turn; returns its tally and who spent how much for it.
pub(super) fn load<A>(turn: &Turn<A>, role: &Role, scene: &Scene) -> Fallible<(Tally, Spent)> {
    let before = turn.so_far();
    let Report { tally, cpu } = role.start(scene.scratch)?.hear()?;
    std::thread::sleep(CLEAR_UP);
    let spent = turn.so_far().since(before, cpu);
    // A smoke run only wants to see it work: where others have the machine, the first answer may come late.
    let came = if scene.options.smoke { tally.all } else { tally.measured };
    if came == 0 {
        return Err(format!("nothing came through: {:?}", tally.failed).into());
    }
    Ok((tally, spent))
}

fn rate(tally: &Tally) -> f64 {
    if tally.measured == 0 { 0.0 } else { tally.measured as f64 / tally.seconds }
}

pub(super) fn per_gigabyte(tally: &Tally, spent: Spent) -> Figures {
    let mut figures = Figures::from([("rate", rate(tally) / 1e9)]);
    spent.add_to(&mut figures, 1e9 / tally.all as f64);
    figures
}

pub(super) fn per_unit(tally: &Tally, spent: Spent) -> Figures {
    let mut figures = Figures::from([("rate", rate(tally))]);
    figures.extend(tally.p50_us.map(|p50| ("p50", p50)));
    figures.extend(tally.p99_us.map(|p99| ("p99", p99)));
    spent.add_to(&mut figures, 1e6 / tally.all as f64);
    figures
}

pub(super) fn measured(mut figures: Figures, tally: Tally) -> Measured {
    figures.insert("failed", tally.failed.values().sum::<u64>() as f64);
    Measured { figures, failures: tally.failed }
}

pub(super) fn span(scene: &Scene) -> Span {
    Span { warm_up: scene.options.warm_up(), measured: scene.options.measured() }
}
