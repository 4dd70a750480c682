//! `loopgate run`: the whole program, from plan to exit code.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::timeout;

use super::log;
use super::output::{code, complain, refuse};
use super::signals::Signals;
use super::suggest_port::with_command;
use crate::engine::{self, Declared, Handle, Kind, Listening, NotListening, Refused, Settings};
use crate::ledger::{Ledger, LogFormat};
use crate::plan::{self, Plan, Sources};
use crate::probe;
use crate::sources::apply::{Reloader, warn_of_cautions, warn_of_open_routes};

/// How long a stop at once may take to reset the sessions that are left.
const LAST_RESETS: Duration = Duration::from_secs(1);

/// How long the last lines may take to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Descriptors of the main runtime (its poller twice, its wake-up, its end of the signals) and of the signals' pair.
const OWN: usize = 6;

/// Where routes with more listeners than this are summed up in one line.
const MAX_FORWARDING_LINES: usize = 50;

/// Runs until a signal stops it.
pub(super) fn run(sources: Sources, format: Option<LogFormat>) -> u8 {
    let mut plan = match plan::load(&sources) {
        Ok(plan) => plan,
        Err(problems) => return refuse(&problems),
    };
    // What the command line says holds over reloads, too.
    plan.log.format = format.unwrap_or(plan.log.format);
    let reloader = |plan, handle| Reloader::new(sources, plan, handle).with_log_format(format);
    serve(plan, reloader, async |_| Ok(()), |_| ())
}

/// Runs `plan`; `before` is awaited on the runtime before anything is bound, and may finish the plan; `after` is called
/// once everything listens.
pub(super) fn serve(
    plan: Plan,
    reloader: impl FnOnce(Plan, Handle) -> Reloader,
    before: impl AsyncFnOnce(&mut Plan) -> std::io::Result<()>,
    after: impl FnOnce(&Declared),
) -> u8 {
    let Ok((queue, ledger)) = log::start(&plan.log).inspect_err(|e| complain(&format!("error: no log: {e}")))
    else {
        return code::INTERNAL;
    };
    // Without the right to raise it, the limit stays what it is.
    let _ = probe::system::limits::raise_descriptors();
    if let Err(why) = enough_descriptors(&plan) {
        return out_of_resources(&why);
    }
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return out_of_resources(&format!("error: cannot start: {e}")),
    };
    let code = runtime.block_on(life(plan, ledger, reloader, before, after));
    queue.close(LAST_LINES);
    code
}

async fn life(
    mut plan: Plan,
    ledger: Arc<Ledger>,
    reloader: impl FnOnce(Plan, Handle) -> Reloader,
    before: impl AsyncFnOnce(&mut Plan) -> std::io::Result<()>,
    after: impl FnOnce(&Declared),
) -> u8 {
    let started = match Signals::catch() {
        Ok(signals) => before(&mut plan).await.map(|()| signals),
        Err(e) => Err(e),
    };
    let settings = settings(&plan);
    let (signals, handle) = match started.and_then(|it| Ok((it, engine::start(settings, ledger)?))) {
        Ok(started) => started,
        Err(e) => return out_of_resources(&format!("error: cannot start: {e}")),
    };
    handle.limit_handshakes(plan.limits.handshakes);
    match handle.declare(plan.source.clone(), plan.routes.clone()).await {
        Ok(declared) => {
            announce(&declared);
            warn_of_open_routes(plan.routes.values());
            warn_of_cautions(plan.routes.values());
            after(&declared);
        }
        Err(Refused::Bind(failures)) => {
            let arguments: Vec<String> = std::env::args().skip(1).collect();
            let trouble = engine::diagnose(&failures).with(|finding| with_command(finding, &arguments));
            complain(&trouble.report());
            return trouble.exit_code();
        }
        Err(refused) => {
            complain(&format!("error: {refused}"));
            return code::INTERNAL;
        }
    }
    until_stopped(signals, reloader(plan, handle.clone()), &handle).await
}

/// Reloads as often as it is asked to; stops at the first signal that says so, at once at the second.
async fn until_stopped(signals: Signals, mut reloader: Reloader, handle: &Handle) -> u8 {
    let (mut hangup, mut terminate, mut interrupt) = signals.split();
    let reloading = async {
        loop {
            let hung_up = async { hangup.recv().await.unwrap_or_default() };
            reloader.turn(hung_up).await;
        }
    };
    tokio::select! {
        _ = Signals::stop(&mut terminate, &mut interrupt) => {}
        () = reloading => {}
    }
    Signals::settle(&mut terminate, &mut interrupt).await;
    let patience = reloader.plan().limits.drain_timeout;
    tokio::select! {
        stopped = handle.stop(patience) => match stopped {
            Ok(_) => {
                tracing::info!("stopped");
                code::OK
            }
            Err(e) => {
                tracing::error!("stopped without a drain: {e} by a bug of ours; please report it");
                code::INTERNAL
            }
        },
        number = Signals::stop(&mut terminate, &mut interrupt) => {
            // The stop that was dropped resets who is left: the end of a process alone would look like a whole answer.
            let _ = timeout(LAST_RESETS, handle.stop(Duration::ZERO)).await;
            tracing::warn!("stopped at once by a second signal");
            128 + number
        }
    }
}

/// Whether there are enough to start at all. Asked first, as the runtime panics where it gets none for its signals.
fn enough_descriptors(plan: &Plan) -> Result<(), String> {
    let descriptors = probe::system::limits::descriptors();
    let Some(limit) = descriptors.soft else { return Ok(()) };
    // Where they cannot be counted there is none left.
    let used = descriptors.used.unwrap_or(limit);
    let needed = used + (OWN + Settings::least_descriptors(plan)) as u64;
    if needed <= limit {
        return Ok(());
    }
    Err(format!("error: {limit} descriptors are too few: at least {needed} are needed; raise `ulimit -n`"))
}

/// Shares the descriptors out, and says so.
fn settings(plan: &Plan) -> Settings {
    let settings = Settings::fitting(plan);
    let most = settings.budget.connections;
    let limit = probe::system::limits::descriptors()
        .soft
        .map_or("any number of".to_owned(), |limit| limit.to_string());
    match plan.limits.connections {
        Some(wanted) if wanted > most => tracing::warn!(
            "limits.connections = {wanted} needs more than the {limit} descriptors there may be: at most {most} \
             sessions at one time; raise `ulimit -n`"
        ),
        _ => tracing::info!("at most {most} sessions at one time ({limit} descriptors, two a session)"),
    }
    settings
}

/// Said only now that every socket listens.
fn announce(declared: &Declared) {
    let routes: Vec<_> = declared.listening.iter().filter(|it| it.owner.kind() == Kind::Route).collect();
    for Listening { owner, address, targets } in routes.iter().take(MAX_FORWARDING_LINES) {
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        tracing::info!("Forwarding {address} -> {} ({owner})", targets.join(", "));
    }
    let more = routes.len().saturating_sub(MAX_FORWARDING_LINES);
    if more > 0 {
        tracing::info!("Forwarding {more} more listeners");
    }
    for NotListening { owner, address, why } in &declared.not_listening {
        tracing::warn!("{owner} does NOT listen on {address}: {why}; trying on");
    }
}

fn out_of_resources(why: &str) -> u8 {
    complain(why);
    8
}
