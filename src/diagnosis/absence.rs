//! Why a dial was refused: the rules, pure, and the one call that asks for their facts without dialling again.

use std::net::SocketAddr;

use super::finding::{Diagnosis, Question, Subject};
use super::verdict::{Certainty, Verdict};
use super::who::names;
use crate::outcome::Holder;
use crate::probe::holders::{self, Held};
use crate::probe::sockets::{self, Socket, TcpState};

/// What is known about a refused dial.
struct Facts {
    address: SocketAddr,
    /// Whether the kernel would answer with a listener all the same; `None` where it would not say.
    listens: Option<bool>,
    /// The listeners on the port, whatever their address.
    listeners: Vec<Socket>,
    held: Vec<Held>,
}

/// Finds out why `address` refuses. It looks into /proc for at most 300 ms, and only where somebody listens on the port.
pub fn refusal(address: SocketAddr) -> Diagnosis {
    let mut listeners = sockets::on_port(address.port()).rows;
    listeners.retain(|socket| socket.state == TcpState::Listen);
    let held = if listeners.is_empty() { Vec::new() } else { holders::of(&listeners).found };
    let listens = sockets::listening(address).ok();
    judge(&Facts { address, listens, listeners, held })
}

fn judge(facts: &Facts) -> Diagnosis {
    let address = facts.address;
    let elsewhere = facts.listeners.first();
    let (verdict, certainty) = match (facts.listens, elsewhere) {
        (Some(true), _) => (Verdict::FirewallReject, Certainty::Likely),
        (_, Some(socket)) if socket.local.is_ipv4() == address.is_ipv4() => {
            (Verdict::TargetOnOtherAddress, Certainty::Proven)
        }
        (_, Some(_)) => (Verdict::TargetOnOtherFamily, Certainty::Proven),
        (Some(false), None) => (Verdict::TargetNotRunning, Certainty::Proven),
        (None, None) => (Verdict::TargetNotRunning, Certainty::Likely),
    };
    let mut told = Diagnosis::new(Question::Reach, Subject::Tcp(address), verdict, certainty);
    told.summary = match elsewhere {
        _ if verdict == Verdict::FirewallReject => {
            format!("{} listens on it, yet it is refused: a packet filter rejects", who(facts))
        }
        Some(socket) => format!("nothing listens on it; {} listens on {}", who(facts), socket.local),
        None => "nothing listens on it".to_owned(),
    };
    told
}

fn who(facts: &Facts) -> String {
    let holders: Vec<&Holder> = facts.held.iter().map(|held| &held.holder).take(1).collect();
    names(&holders)
}
