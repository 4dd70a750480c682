//! Who takes part: which forwarders are here, and whether each really forwards.

use std::path::{Path, PathBuf};

use crate::contestant::{Contestant, DIRECT, find};
use crate::echo::{exchange, exchange_over};
use crate::forwarders::{self, Forwarder, Front, Load};
use crate::options::Options;
use crate::role::{tls_config, tls_connect};
use crate::turn::Turn;
use loopgate_load::Fallible;

pub(crate) struct Lineup {
    pub(crate) contestants: Vec<Contestant>,
    /// Who does not take part, and why.
    pub(crate) skipped: Vec<(&'static str, String)>,
}

/// Finds everybody, and lets each that takes connections forward one message before it may take part.
pub(crate) fn lineup(ours: Option<PathBuf>, options: &Options, scratch: &Path) -> Fallible<Lineup> {
    let mut lineup = Lineup { contestants: Vec::new(), skipped: Vec::new() };
    if takes_part(DIRECT, options) {
        lineup.contestants.push(Contestant { name: DIRECT, version: String::new(), forwarder: None });
    }
    for forwarder in forwarders::all().filter(|forwarder| takes_part(forwarder.name, options)) {
        match admit(forwarder, ours.as_deref(), scratch) {
            Ok(contestant) => lineup.contestants.push(contestant),
            Err(why) => lineup.skipped.push((forwarder.name, why.to_string())),
        }
    }
    if lineup.contestants.is_empty() {
        return Err("nobody is left to measure".into());
    }
    Ok(lineup)
}

/// Whether the options ask for it: for everybody, unless they name some.
pub(crate) fn takes_part(name: &str, options: &Options) -> bool {
    options.with.is_empty() || options.with.iter().any(|with| with == name)
}

pub(crate) fn check_names(names: &[String]) -> Fallible<()> {
    let known = || forwarders::all().map(|forwarder| forwarder.name).chain([DIRECT]);
    match names.iter().find(|name| known().all(|known| known != name.as_str())) {
        Some(name) => {
            Err(format!("--with {name}: known are {}", known().collect::<Vec<_>>().join(", ")).into())
        }
        None => Ok(()),
    }
}

fn admit(forwarder: &'static Forwarder, ours: Option<&Path>, scratch: &Path) -> Fallible<Contestant> {
    let contestant = find(forwarder, ours)?;
    if contestant.can(Front::Plain) {
        let turn = Turn::with_echo(&contestant, Load::Messages(Front::Plain), scratch)?;
        exchange(turn.address)?;
    } else if contestant.can(Front::EndsTls) {
        let turn = Turn::with_echo(&contestant, Load::Messages(Front::EndsTls), scratch)?;
        exchange_over(tls_connect(turn.address, &tls_config()?)?)?;
    } else if contestant.can(Front::Tunnel) {
        let turn = Turn::with_echo(&contestant, Load::Messages(Front::Tunnel), scratch)?;
        exchange(turn.address)?;
    }
    Ok(contestant)
}
