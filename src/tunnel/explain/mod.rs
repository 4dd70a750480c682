//! Why a tunnel does not do what it is for: this machine walks the way to the other end, asks it a question that changes
//! nothing there, and looks at what is on its own side.
//!
//! It needs no program that runs, and no async runtime of its own; rules and words are in `diagnosis`.

mod ask;
mod here;
mod second_look;
mod walk;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use super::dial::hints;
use super::link::Terms;
use crate::address::{Protocol, There, TunnelName};
use crate::diagnosis::tunnel::{self, Offer, TunnelFacts};
use crate::diagnosis::{self, Certainty, Diagnosis, Subject, Verdict};
use crate::plan::{Plan, Tunnel};
use ask::Question;

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Depth {
    /// The one thing in the tunnel that was asked about, if any.
    pub only: Option<There>,
    /// Whether the targets of the routes that listen in the tunnel are tried.
    pub targets: bool,
    /// Whether the program should run, so that something waits where other Loopgates connect to.
    pub runs: bool,
    /// How long a target may take to answer.
    pub timeout: Duration,
}

/// Diagnoses a tunnel of a plan. It takes at most three seconds for each of three steps and each address of `connect`, beside
/// what the targets take; it makes no control, and nobody is replaced. Blocks.
pub fn explain(plan: &Arc<Plan>, tunnel: &Arc<Tunnel>, depth: &Depth) -> Diagnosis {
    let begun = Instant::now();
    let mut diagnosis = match gathered(plan, tunnel, depth) {
        Ok(facts) => tunnel::diagnose(&facts),
        Err(error) => no_runtime(&tunnel.name, &error),
    };
    diagnosis.elapsed = begun.elapsed();
    diagnosis
}

fn gathered(plan: &Arc<Plan>, tunnel: &Arc<Tunnel>, depth: &Depth) -> io::Result<TunnelFacts> {
    let terms = Terms::new(plan.clone(), tunnel.clone());
    let mut facts = known(&terms, depth);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if tunnel.connect.is_empty() {
        if depth.runs {
            facts.listeners = Some(here::listeners(&plan.tunnels, &runtime));
        }
    } else {
        let question = Question::about(&terms, &facts.offers, &beyond(&terms, depth));
        facts.tries = walk::tries(&terms, &question, &runtime);
    }
    if depth.targets {
        facts.targets = here::targets(&terms, &facts.offers, depth.timeout);
    }
    Ok(facts)
}

/// What the plan says.
fn known(terms: &Terms, depth: &Depth) -> TunnelFacts {
    let tunnel = &terms.tunnel;
    let offers = hints::asked(terms);
    let (offers, there) = match &depth.only {
        None => (offers, None),
        Some(only) => one(offers, &tunnel.name, only),
    };
    TunnelFacts {
        name: tunnel.name.to_string(),
        connect: tunnel.connect.iter().map(ToString::to_string).collect(),
        own_key: own_key(terms),
        machine: hints::machine(),
        their_keys: tunnel.public_keys.iter().map(ToString::to_string).collect(),
        offers,
        exposed: tunnel.open_to_everybody(),
        there,
        ..TunnelFacts::default()
    }
}

/// What is dialled through the tunnel: by the routes of this machine, or the one that was asked about.
fn beyond(terms: &Terms, depth: &Depth) -> Vec<(There, Protocol)> {
    let mut all = Vec::new();
    for route in terms.plan.routes.values() {
        let there = route.every_target().filter_map(|it| it.there().cloned());
        for there in there.filter(|it| it.tunnel == terms.tunnel.name) {
            let one = (there.to.clone(), route.carries.protocol());
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    let Some(only) = &depth.only else { return all };
    all.retain(|(to, _)| to == only);
    let is_own = terms.offers().get(&only.to_string()).is_some();
    if all.is_empty() && !is_own {
        // Nothing here says which.
        all.extend([Protocol::Tcp, Protocol::Udp].map(|protocol| (only.clone(), protocol)));
    }
    all
}

/// This machine's key towards the other end.
fn own_key(terms: &Terms) -> String {
    let of_listener = terms.plan.tunnels.private_key.as_ref().filter(|_| terms.tunnel.connect.is_empty());
    of_listener.unwrap_or(&terms.tunnel.private_key).public().to_string()
}

/// The route that was asked about, if it is one of this machine; else what the other end alone can say.
fn one(offers: Vec<Offer>, tunnel: &TunnelName, only: &There) -> (Vec<Offer>, Option<String>) {
    let only = only.to_string();
    let own: Vec<Offer> = offers.into_iter().filter(|it| it.route == only).collect();
    let there = own.is_empty().then(|| format!("tunnel:{tunnel}/{only}"));
    (own, there)
}

/// No descriptor is left, or no memory.
fn no_runtime(name: &TunnelName, error: &io::Error) -> Diagnosis {
    let subject = Subject::Tunnel { name: name.to_string(), connect: Vec::new() };
    let verdict = match error.raw_os_error() {
        Some(libc::EMFILE) => Verdict::OwnFdLimit,
        Some(libc::ENFILE) => Verdict::SystemFileLimit,
        _ => Verdict::Unknown,
    };
    let mut diagnosis = Diagnosis::new(diagnosis::Question::Reach, subject, verdict, Certainty::Proven);
    diagnosis.failed_with(error);
    diagnosis.summary = "this machine cannot dial".to_owned();
    diagnosis
}
