//! Loopgate beside the other forwarders of this machine, in one run: `cargo versus --help`.
//!
//! The method, in short. Every turn starts one target, one forwarder and one load generator, each a fresh process, and
//! ends them all before the next turn: two forwarders never share the machine, and none profits from what another left
//! behind. Turns are interleaved: each round visits every contestant once, in an order that changes from round to
//! round; of small work, until the medians that are compared are sure enough. `direct` is the same load without a
//! forwarder. A figure is the median of its rounds, beside the smallest and the largest. CPU is that of the whole process groups of the forwarder, the client and the target over the whole turn,
//! divided by all the work of the turn, warm-up included. All traffic is on loopback, in a network namespace of the run's own where that is permitted,
//! and all processes share the machine's cores, or as many of them as the options say.
//!
//! The bench tells whether the aims are met; it asserts nothing, and its exit code is 0 whenever it could measure.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench answers on its terminal")]
#![allow(clippy::disallowed_methods, reason = "the roles and the watchdog of a bench decide when they end")]

mod certificate;
mod contestant;
mod echo;
mod figures;
mod forwarders;
mod lineup;
mod listening;
mod machine;
mod namespace;
mod options;
mod ours;
mod ports;
mod reading;
mod role;
mod rounds;
mod setting;
mod spent;
mod spread;
mod tell;
mod turn;
mod watchdog;
mod workload;
mod yardstick;

use std::process::ExitCode;
use std::time::Duration;

use loopgate_load::Fallible;

use forwarders::OURS;
use options::Options;
use setting::Setting;

/// How much longer than its budget a run may take before it is ended from outside.
const GRACE: Duration = Duration::from_secs(75);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("versus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Fallible<()> {
    if let Some(role) = role::asked_for() {
        return role?.play();
    }
    if let Some(trial) = namespace::trial() {
        return trial;
    }
    if let Some(forwarded) = yardstick::asked_for() {
        return forwarded;
    }

    let options = Options::from_arguments();
    if cfg!(debug_assertions) && !options.smoke {
        return Err("its load generators were built without optimization; start it as `cargo versus`".into());
    }
    let workloads = workload::chosen(&options)?;
    lineup::check_names(&options.with)?;
    let ours = if lineup::takes_part(OURS, &options) { Some(ours::program()?) } else { None };

    // After the build, which may need the network and every processor; before the first thread.
    let setting = Setting::take(&options)?;
    let scratch = tempfile::Builder::new().prefix("versus-").tempdir()?;
    watchdog::start(options.budget() + GRACE, scratch.path());
    machine::raise_descriptor_limit()?;

    let lineup = lineup::lineup(ours, &options, scratch.path())?;
    let machine = machine::Machine::look();
    tell::table::opening(&machine, &setting, &lineup, &options);

    let run = rounds::run(&workloads, &lineup, &setting, &options, scratch.path());
    tell::table::closing(&run, &lineup);

    std::fs::create_dir_all(&options.out)?;
    let (json, svg) = (options.out.join("versus.json"), options.out.join("versus.svg"));
    std::fs::write(&json, tell::json::document(&machine, &setting, &lineup, &run, &options))?;
    std::fs::write(&svg, tell::svg::chart(&machine, &setting, &lineup, &run, &options))?;
    println!("\nwritten: {} and {}", json.display(), svg.display());
    Ok(())
}
