//! Which rules of a packet filter take a packet, in the order of the hooks, and what they do with it. Pure.
//!
//! Every test is run as the kernel runs it, over the bytes of the packet that are known; a test of an unknown byte, a limit
//! or a match that is not known here says "maybe". What counters say about it is `network.rs`'s.

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

/// What becomes of the first packet of a connection and of the answer to it.
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

/// What becomes of one packet.
pub fn one(ruleset: &Ruleset, packet: &Packet, way: &Way) -> Passage {
    let mut walk = Walk::new(ruleset, packet.clone(), way);
    walk.run();
    walk.passage
}
