//! What a connection costs that does nothing.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Pid;

use super::{Measured, Scene};
use crate::contestant::Contestant;
use crate::figures::Figures;
use crate::forwarders::{Front, Load};
use crate::role::Role;
use crate::turn::Turn;
use loopgate_load::{Answer, Fallible, Held, measure};

/// Sizes and times of the workload.
struct Scale {
    few: usize,
    many: usize,
    settle: Duration,
    idle: Duration,
}

/// The cost of one more connection is a slope, so that what a forwarder takes once is not booked on its connections.
/// "Start" is with one connection held, after its first exchange; that one stays until the end.
pub(super) fn turn(contestant: &Contestant, front: Front, scene: &Scene) -> Fallible<Measured> {
    let scale = Scale::of(front, scene.options.smoke);
    let turn = Turn::with_answer(contestant, Load::Messages(front), Answer::Echo, scene.scratch)?;
    let group = turn.forwarder().ok_or("direct holds no connections")?.id();
    let mut holder = Role::Hold { to: turn.address }.start(scene.scratch)?;
    let mut failed = 0;
    let mut hold = |count: usize, settle: Duration| -> Fallible<Level> {
        holder.tell(&count.to_string())?;
        let held: Held = holder.hear()?;
        failed += held.failed;
        sleep(settle);
        Ok(Level::look(group, held.open))
    };

    let start = hold(1, scale.settle)?;
    let few = hold(scale.few, scale.settle)?;
    let many = hold(scale.many, scale.settle)?;
    let before = measure::cpu_seconds(group);
    sleep(scale.idle);
    let cpu = measure::cpu_seconds(group) - before;
    // Closing them has its price; what is left running for them must have none.
    hold(1, scale.settle)?;
    let before = measure::cpu_seconds(group);
    sleep(scale.idle);
    let cpu_after = measure::cpu_seconds(group) - before;
    let after = hold(1, Duration::ZERO)?;

    if many.open <= few.open {
        return Err(format!("holds no more than {} connections", many.open).into());
    }
    let more = (many.open - few.open) as f64;
    let figures = Figures::from([
        ("memory", (many.anonymous - few.anonymous) / more / 1e3),
        ("descriptors", (many.descriptors - few.descriptors) / more),
        ("cpu", cpu * 1e3 / scale.idle.as_secs_f64()),
        ("cpu_after", cpu_after * 1e3 / scale.idle.as_secs_f64()),
        ("left", (after.anonymous - start.anonymous) / 1e6),
        ("failed", failed as f64),
    ]);
    Ok(Measured { figures, failures: BTreeMap::from([("connections not held".to_owned(), failed as u64)]) })
}

/// The forwarder with so many connections open.
struct Level {
    open: usize,
    anonymous: f64,
    descriptors: f64,
}

impl Level {
    fn look(group: Pid, open: usize) -> Level {
        let descriptors = measure::descriptors(group) as f64;
        Level { open, anonymous: measure::anonymous_bytes(group), descriptors }
    }
}

impl Scale {
    /// Through a tunnel each connection costs a handshake, at least.
    fn of(front: Front, smoke: bool) -> Scale {
        let ms = Duration::from_millis;
        if smoke {
            return Scale { few: 20, many: 60, settle: ms(50), idle: ms(200) };
        }
        if front == Front::Tunnel {
            return Scale { few: 60, many: 1_060, settle: ms(400), idle: ms(1_000) };
        }
        Scale { few: 500, many: 3_000, settle: ms(400), idle: ms(3_000) }
    }
}
