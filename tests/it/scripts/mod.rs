//! Random scripts of both ends, each played directly and with Loopgate in between: what the ends see must be the same, and
//! the records must tell it.
//!
//! A few scripts are played with every run of the tests, and many by `.ci/run`, which sets `SEEDS`, a list, and `SCRIPTS`,
//! the number of them for each seed and way. A script that differs is printed; `SCRIPT='…'` plays it again.

mod dice;
mod end;
mod model;
mod play;
mod script;
mod tunnel;
mod ways;

use std::env;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use loopgate::ledger::Record;

use self::dice::Dice;
use self::play::{Played, Stage};
use self::script::Script;
use self::ways::{Road, WAYS, Way};
use crate::harness::Connection;

/// The number of scripts of each way in a run of all tests.
const FEW: u64 = 8;

/// How often a script that differed is played again. One that never does so again met a moment that cannot be told apart: a
/// side that resets before the kernel has acknowledged what it has read. It is printed, and does not count.
const REPLAYS: usize = 5;

/// After so many scripts that differ, no more of that way are played.
const ENOUGH: usize = 5;

#[test]
fn both_ends_see_what_they_would_see_without_it() {
    if let Ok(text) = env::var("SCRIPT") {
        let script = Script::parse(&text).expect("SCRIPT is the text of a script");
        let way = Way::called(&script.way).expect("there is such a way");
        let difference = differs(&Road::open(way), way, &script);
        assert!(difference.is_none(), "{}", difference.unwrap_or_default());
        return;
    }
    let seeds = env::var("SEEDS").unwrap_or_else(|_| "1".to_owned());
    let seeds: Vec<u64> = seeds.split(',').map(|seed| seed.parse().expect("SEEDS are numbers")).collect();
    let scripts = env::var("SCRIPTS").map_or(FEW, |number| number.parse().expect("SCRIPTS is a number"));
    let only = env::var("WAYS").ok();
    let differing = AtomicUsize::new(0);
    thread::scope(|scope| {
        for (number, way) in WAYS.iter().enumerate() {
            if only.as_ref().is_some_and(|only| !only.split(',').any(|it| it == way.name)) {
                continue;
            }
            let (seeds, differing) = (&seeds, &differing);
            let play = move || differing.fetch_add(play_all(way, number, seeds, scripts), Relaxed);
            thread::Builder::new().name(way.name.to_owned()).spawn_scoped(scope, play).unwrap();
        }
    });
    assert_eq!(differing.into_inner(), 0, "scripts differ; they are printed above");
}

/// Returns how many differ.
fn play_all(way: &Way, number: usize, seeds: &[u64], scripts: u64) -> usize {
    let road = Road::open(way);
    let mut differing = 0;
    for (seed, script) in seeds.iter().flat_map(|seed| (0..scripts).map(move |script| (*seed, script))) {
        let script = Script::by_chance(way.name, way.is_client_first, &mut Dice::of(seed, number, script));
        if let Some(difference) = differs(&road, way, &script) {
            println!("{difference}");
            if (0..REPLAYS).any(|_| differs(&road, way, &script).is_some()) {
                differing += 1;
            } else {
                println!("  not so in {REPLAYS} more plays");
            }
        }
        if differing == ENOUGH {
            break;
        }
    }
    differing
}

/// Plays a script directly and on the way; tells what differs.
fn differs(road: &Road, way: &Way, script: &Script) -> Option<String> {
    let direct = play(road, way, script, None).0;
    let (through, records) = play(road, way, script, Some(&direct));
    let found = model::differences(way, &direct, &through, &records);
    if found.is_empty() {
        return None;
    }
    let records: Vec<String> = records.iter().map(Record::to_string).collect();
    let (found, records) = (found.join("\n  "), records.join("\n  "));
    Some(format!(
        "SCRIPT='{script}'\n  {found}\n  directly: {}\n  through it: {}\n  {records}\n",
        shown(&direct),
        shown(&through),
    ))
}

fn shown(played: &Played) -> String {
    let Played { client, target, moments, .. } = played;
    format!("{moments:?}\n    client {client:?}\n    target {target:?}")
}

fn play(road: &Road, way: &Way, script: &Script, seen: Option<&Played>) -> (Played, Vec<Record>) {
    let client = match seen {
        None => Connection::to(road.target.address),
        Some(_) => road.connect(),
    };
    let mut stage = Stage::begin(way, script, client, seen, || road.target.accept());
    stage.play(&script.steps);
    let records = if seen.is_some() { road.records() } else { Vec::new() };
    (stage.conclude(), records)
}
