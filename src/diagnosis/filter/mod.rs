//! Evaluates which rules of a packet filter take a packet, in the order of the hooks, and what they do with it. Pure.
//!
//! Every test runs as in the kernel, over the known bytes of the packet; a test of an unknown byte, a limit, or a match
//! not implemented here gives "maybe". The rules' counters are judged in `diagnosis::network`.

use crate::probe::firewall::Ruleset;

mod act;
mod answer;
mod extension;
mod machine;
mod packet;
mod passage;
#[cfg(test)]
mod tests;
mod walk;

pub use answer::Answer;
pub use packet::{Device, Packet, Protocol, Role};
pub use passage::{Effect, Hit, Passage, Way};
use walk::Walk;

/// What happens to the first packet of a connection and to the answer to it.
pub fn connection(ruleset: &Ruleset, first: &Packet, way: &Way) -> Passage {
    let mut walk = Walk::new(ruleset, first.clone(), way);
    walk.run();
    let mut passage = walk.passage;
    if passage.hits.iter().any(|hit| hit.certain && !matches!(hit.effect, Effect::Redirect(_))) {
        return passage;
    }
    let back = match way {
        Way::Loopback(device) => Way::Loopback(device.clone()),
        Way::Out(device) => Way::In(device.clone()),
        Way::In(device) => Way::Out(device.clone()),
    };
    let answered = one(ruleset, &walk.packet.answer(), &back);
    passage.hits.extend(answered.hits);
    passage.matching += answered.matching;
    passage.cut |= answered.cut;
    passage
}

/// What happens to one packet.
pub fn one(ruleset: &Ruleset, packet: &Packet, way: &Way) -> Passage {
    let mut walk = Walk::new(ruleset, packet.clone(), way);
    walk.run();
    walk.passage
}
