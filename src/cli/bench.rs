//! `loopgate bench`: what a service can do, and what the detour through a route costs.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueHint};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep;

use super::output::{answer, code, colour, complain, refuse};
use super::run;
use super::signals::Signals;
use crate::bench::{
    self, Asked, BOUNDS, Cut, Event, Forwarding, Look, Part, Refusal, Report, Service, Setup, measure,
};
use crate::engine::Declared;
use crate::ledger::LineQueue;
use crate::plan::{self, Sources};
use crate::probe::system::limits;
use crate::sources::Reloader;
use crate::units::{Misread, TimeSpan, shown_json};

pub(super) const HELP: &str = "\
Without ADDRESS, a built-in target is loaded directly and through a route that
is started for it, in turn: streams, requests, connections, with their latency,
the CPU of the forwarder, and what the detour costs. With ADDRESS, the service
there is asked what it does: one that echoes, one that takes all and says
nothing (discard), or an iperf3 server is loaded; of any other, only connecting
is measured. Stopped by signal n, it prints what it has and exits with 128 + n.

Examples:
  loopgate bench                                what the detour costs here
  loopgate bench 127.0.0.1:7                    what the echo service does
  loopgate bench 127.0.0.1:7 --through 8080:7   the same and through a route
  loopgate bench --through web                  the file's route web, as it runs
  loopgate bench 5201 --for 1m                  an iperf3 server, for a minute

Exit codes:
  0  everything was measured
  1  the service or the route does not answer, or a measurement failed
  2  the configuration or the command line has a problem";

/// How much longer than asked it may take before it is given up.
const GRACE: Duration = Duration::from_secs(90);
/// Enough for 50 connections at once with the forwarder, which has two of each and its own.
const DESCRIPTORS: u64 = 160;
const TIME: &str = "10s";
/// Where neither a terminal nor COLUMNS says how wide it is.
const WIDTH: usize = 80;

/// What to measure.
#[derive(Args)]
pub(super) struct BenchArgs {
    /// A service to load, such as 127.0.0.1:7, [::1]:7 or 7; without it the route's target, or a built-in one
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,

    /// Measure the detour through a route: one to start, as -L takes it (port 0: any), or the name of one that runs
    #[arg(long, value_name = "SPEC|ROUTE")]
    through: Option<String>,

    /// The file of the route's name [default: as for run]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// How long it takes in all, about: 1s to 10m
    #[arg(long = "for", value_name = "TIME", default_value = TIME, value_parser = time)]
    time: Duration,

    /// What the service does, instead of asking it
    #[arg(long, value_name = "echo|discard|iperf3", value_parser = service)]
    expect: Option<Service>,

    /// Load an address of another machine, which must be yours to load
    #[arg(long)]
    yes_remote: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// What this process is in a bench that runs
    #[arg(long, hide = true, value_parser = part, exclusive = true)]
    part: Option<Part>,
}

fn time(text: &str) -> Result<Duration, String> {
    let time: TimeSpan = text.parse().map_err(|misread: Misread| misread.to_string())?;
    if time.0 < Duration::from_secs(BOUNDS.0) || time.0 > Duration::from_secs(BOUNDS.1) {
        return Err("write a time from 1s to 10m".to_owned());
    }
    Ok(time.0)
}

fn service(text: &str) -> Result<Service, String> {
    Service::named(text).ok_or_else(|| "write echo, discard or iperf3".to_owned())
}

fn part(text: &str) -> Result<Part, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Measures and prints what came of it; the exit code says whether that is everything.
pub(super) fn bench(args: BenchArgs) -> u8 {
    if let Some(part) = args.part {
        return play(part);
    }
    // Parts inherit the limit.
    let _ = limits::raise_descriptors();
    if let Some(limit) = limits::descriptors().soft.filter(|limit| *limit < DESCRIPTORS) {
        let text = format!(
            "error: {limit} descriptors are too few: at least {DESCRIPTORS} are needed; raise `ulimit -n`"
        );
        return complained(&text, code::INTERNAL);
    }
    let asked = Asked {
        address: args.address,
        through: args.through,
        config: args.config,
        expect: args.expect,
        remote: args.yes_remote,
        time: args.time,
    };
    let setup = match Setup::new(&asked) {
        Ok(setup) => setup,
        Err(Refusal::Config(problems)) => return refuse(&problems),
        Err(Refusal::Usage(text)) => return complained(&text, code::CONFIG),
        Err(Refusal::Unreachable(text)) => return complained(&text, code::INTERNAL),
    };
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complained(&format!("error: cannot start: {error}"), code::INTERNAL),
    };
    let mut report = Report::new(&setup);
    let began = Instant::now();
    let ended = runtime.block_on(until_ended(setup, args.time + GRACE, &mut report));
    let cut = match &ended {
        Ended::Itself(_) => None,
        Ended::Signal(_) => Some(Cut::Signal),
        Ended::Late => Some(Cut::Time),
    };
    report.ended(began.elapsed(), cut);
    let code = match ended {
        Ended::Itself(Err(why)) => return complained(&why, code::INTERNAL),
        Ended::Itself(Ok(())) if report.is_whole() => code::OK,
        Ended::Itself(Ok(())) | Ended::Late => code::INTERNAL,
        Ended::Signal(number) => 128 + number,
    };
    if cut.is_some() && !report.has_figures() {
        return complained("error: stopped; nothing was measured", code);
    }
    print(&report, args.json, code)
}

fn complained(text: &str, code: u8) -> u8 {
    complain(text);
    code
}

fn print(report: &Report, json: bool, code: u8) -> u8 {
    answer(|out| {
        if json {
            writeln!(out, "{}", shown_json(&format!("{:#}", report.json())))?;
        } else {
            let stdout = std::io::stdout();
            let look = Look { columns: columns(&stdout), colour: colour(&stdout) };
            out.write_all(report.text(look).as_bytes())?;
        }
        Ok(code)
    })
}

/// The width of a terminal: what COLUMNS says, else what it says itself.
fn columns(stream: &impl std::os::fd::AsFd) -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(stream).ok().map(|size| size.ws_col.into());
    said.or_else(asked).filter(|columns| *columns > 0).unwrap_or(WIDTH)
}

/// How a bench ended.
enum Ended {
    Itself(Result<(), String>),
    Signal(u8),
    /// Given up.
    Late,
}

/// Measures in a thread beside, until that ends, a signal comes, or the time is long over. In the last two cases all
/// processes are ended here; the thread ends with this one.
async fn until_ended(setup: Setup, longest: Duration, report: &mut Report) -> Ended {
    let Signals { mut stop, mut hangup, .. } = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return Ended::Itself(Err(format!("error: cannot start: {error}"))),
    };
    let (tell, hears) = unbounded_channel();
    let (done, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let result = measure(&setup, |event| _ = tell.send(event));
        drop(tell);
        let _ = done.send(result);
    });
    let finished = async {
        listen(hears, report).await;
        ended.await.unwrap_or_else(|_| {
            Err("error: the measuring ended; this is a bug in Loopgate, please report it".to_owned())
        })
    };
    let ended = tokio::select! {
        result = finished => Ended::Itself(result),
        number = stop.next() => Ended::Signal(number),
        () = hangup.next() => Ended::Signal(1),
        () = sleep(longest) => Ended::Late,
    };
    if !matches!(ended, Ended::Itself(_)) {
        clear_progress();
        loopgate_load::kill_all();
    }
    ended
}

/// Hears what happens until the end, and shows it on a terminal.
async fn listen(mut events: UnboundedReceiver<Event>, report: &mut Report) {
    while let Some(event) = events.recv().await {
        if let Some(progress) = report.hear(event) {
            show_progress(&progress);
        }
    }
    clear_progress();
}

/// On a terminal alone, in place of the line before. Spaces clear it: no escape code is needed.
fn show_progress(progress: &bench::Progress) {
    let mut stderr = std::io::stderr().lock();
    if stderr.is_terminal() {
        let columns = columns(&stderr);
        let text = progress.text(columns);
        let _ = write!(stderr, "\r{text:<width$}", width = columns.saturating_sub(1))
            .and_then(|()| stderr.flush());
    }
}

fn clear_progress() {
    let mut stderr = std::io::stderr().lock();
    if stderr.is_terminal() {
        let width = columns(&stderr).saturating_sub(1);
        let _ = write!(stderr, "\r{:width$}\r", "").and_then(|()| stderr.flush());
    }
}

/// Is a part of a bench that runs elsewhere.
fn play(part: Part) -> u8 {
    match part {
        Part::Forward(specs) => forward(specs),
        part => match part.play() {
            Ok(()) => code::OK,
            Err(error) => complained(&format!("error: {error}"), code::INTERNAL),
        },
    }
}

/// The forwarder: routes as `run` has them, with all that a record costs.
fn forward(specs: Vec<String>) -> u8 {
    bench::end_with_the_bench();
    let plan = match plan::parse("", "", &specs) {
        Ok(plan) => plan,
        Err(problems) => return refuse(&problems),
    };
    let reloader = |plan, handle| Reloader::new(Sources::default(), plan, handle);
    run::serve(
        plan,
        reloader,
        async |_| Ok(()),
        async |declared: &Declared, _: &LineQueue| {
            let target = |it: &crate::engine::Listening| {
                it.targets.first().map(ToString::to_string).unwrap_or_default()
            };
            let each = declared.listening.iter();
            let all: Vec<Forwarding> =
                each.map(|it| Forwarding { listen: it.address.to_string(), target: target(it) }).collect();
            // Without a reader, standard input has ended as well.
            let _ = bench::announce(&all);
            Ok(None)
        },
    )
}
