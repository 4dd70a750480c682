//! The forwarder in the way: a child of the bench, or whoever holds the listening socket of a route.

use std::io::Read;
use std::net::SocketAddr;
use std::process::{ChildStderr, Stdio};
use std::thread::{self, JoinHandle};

use loopgate_load::{Player, measure};
use rustix::process::Pid;

use super::load::Ends;
use super::part::{Forwarding, Part};
use crate::probe::process::holders;
use crate::probe::sockets;

/// The most of what a child says that is kept: the report of an address that cannot be had is a page.
const MOST_WORDS: u64 = 16 << 10;

/// A forwarder, and how its CPU is known.
pub(super) struct Forwarder {
    pub(super) ends: Ends,
    pub(super) cost: Cost,
}

/// Whose CPU is counted.
pub(super) enum Cost {
    /// A child's, with what it started.
    Child(Player),
    /// That of the processes that hold the listening socket, by number and name.
    Held(Vec<(Pid, String)>),
    /// Nobody's: why it cannot be known.
    Hidden(String),
}

impl Cost {
    /// CPU seconds so far.
    pub(super) fn seconds(&self) -> Option<f64> {
        match self {
            Cost::Child(player) => measure::cpu_seconds_of(player.group.id()),
            Cost::Held(processes) => {
                processes.iter().map(|(process, _)| measure::cpu_seconds_of(*process)).sum()
            }
            Cost::Hidden(_) => None,
        }
    }

    /// Who it is, for the heading.
    pub(super) fn who(&self) -> String {
        match self {
            Cost::Child(player) => format!("started for this, pid {}", player.group.id().as_raw_nonzero()),
            Cost::Held(processes) => {
                let each = |(pid, name): &(Pid, String)| format!("{name} (pid {})", pid.as_raw_nonzero());
                processes.iter().map(each).collect::<Vec<_>>().join(", ")
            }
            Cost::Hidden(why) => why.clone(),
        }
    }

    /// The numbers of its processes.
    pub(super) fn processes(&self) -> Vec<i32> {
        match self {
            Cost::Child(player) => vec![player.group.id().as_raw_nonzero().get()],
            Cost::Held(processes) => processes.iter().map(|(pid, _)| pid.as_raw_nonzero().get()).collect(),
            Cost::Hidden(_) => Vec::new(),
        }
    }
}

impl Forwarder {
    /// Starts a process that runs these routes, whose streams go to `stream`, and everything else to any other target.
    ///
    /// # Errors
    /// What the process said when it could not listen.
    pub(super) fn start(specs: Vec<String>, stream: Option<SocketAddr>) -> Result<Forwarder, String> {
        let mut player = Part::Forward(specs).start(Stdio::piped()).map_err(|error| error.to_string())?;
        let words = player.group.child().stderr.take().map(drain);
        let Ok(listening) = player.hear::<Vec<Forwarding>>() else {
            // Its end is the end of what it says.
            drop(player);
            let words = words.and_then(|words| words.join().ok()).unwrap_or_default();
            // Its log comes before; the report is what matters here.
            let words = words.find("error:").map_or(words.as_str(), |at| &words[at..]).to_owned();
            return Err(if words.is_empty() {
                "error: the forwarder ended without a word".to_owned()
            } else {
                words
            });
        };
        let at = |wanted: bool| {
            let is_stream =
                |it: &&Forwarding| stream.is_none_or(|at| (it.target == at.to_string()) == wanted);
            listening.iter().find(is_stream).and_then(|it| it.listen.parse().ok())
        };
        let (Some(stream), Some(exchange)) = (at(true), at(false)) else {
            return Err("error: the forwarder does not listen".to_owned());
        };
        Ok(Forwarder { ends: Ends { stream, exchange }, cost: Cost::Child(player) })
    }

    /// The one that listens there already.
    pub(super) fn running(listen: SocketAddr) -> Forwarder {
        Forwarder { ends: Ends::both(listen), cost: holders_of(listen) }
    }
}

fn holders_of(listen: SocketAddr) -> Cost {
    let hidden = |why: &str| Cost::Hidden(format!("its CPU cannot be read: {why}"));
    let Ok(Some(listener)) = sockets::listener(listen) else {
        return hidden("the listening socket is not seen from here");
    };
    let mut held: Vec<(Pid, String)> = Vec::new();
    for found in holders::of(&[listener]).found {
        let pid = i32::try_from(found.holder.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|pid| held.iter().all(|(other, _)| other != pid)) {
            held.push((pid, crate::units::shown(&found.holder.comm, 32)));
        }
    }
    if held.is_empty() {
        hidden("its process is another user's; try as that user, or as root")
    } else {
        Cost::Held(held)
    }
}

/// Reads what a forwarder says, so that it never waits for a reader, and keeps the beginning.
fn drain(mut errors: ChildStderr) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        let _ = (&mut errors).take(MOST_WORDS).read_to_end(&mut kept);
        let mut buffer = vec![0; 64 << 10];
        while errors.read(&mut buffer).is_ok_and(|length| length > 0) {}
        String::from_utf8_lossy(&kept).into_owned()
    })
}
