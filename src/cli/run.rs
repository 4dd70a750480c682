//! `loopgate run`: the whole program, from the plan to the exit code.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::timeout;

use super::output::{code, complain};
use super::signals::Signals;
use super::{first_key, in_vain, log, suggest_port};
use crate::diagnosis;
use crate::engine::{self, Declared, Handle, Kind, NotListening, Refused, Settings};
use crate::ledger::{Ledger, LineQueue, LogFormat};
use crate::limits::OF_PROGRAM;
use crate::plan::{Plan, Sources};
use crate::probe;
use crate::sources::{
    MAX_FORWARDING_LINES, Reloader, Undeclared, declare, log_listening, warn_of_cautions,
    warn_of_open_routes, warn_of_tunnels,
};
use crate::tunnel::Tunnels;

/// How long an immediate stop may take to reset the remaining sessions.
const LAST_RESETS: Duration = Duration::from_secs(1);

/// How long telling the other ends of tunnels may take that the program stops.
const GOODBYES: Duration = Duration::from_secs(2);

/// How long writing the last log lines may take.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Runs until a signal stops it.
pub(super) fn run(sources: Sources, format: Option<LogFormat>) -> u8 {
    let (mut plan, made) = match first_key::load(&sources) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    // The command line's format overrides the file's, after reloads too.
    plan.log.format = format.unwrap_or(plan.log.format);
    let reloader = |plan, handle| Reloader::new(sources, plan, handle).with_log_format(format);
    let tell = async |_: &mut Plan| {
        made.iter().for_each(first_key::Made::tell);
        Ok(())
    };
    serve(plan, reloader, tell, async |_, _| Ok(None))
}

/// A second engine in this process with its tunnels: the other end of those of the first.
pub(super) struct Second {
    pub(super) handle: Handle,
    pub(super) tunnels: Tunnels,
}

/// Runs `plan` until a signal stops it. `before` is awaited on the runtime before anything is bound, and may complete
/// the plan; `after` once every socket listens, and may start a second engine, which ends with the first; its error is an
/// exit code.
pub(super) fn serve(
    plan: Plan,
    reloader: impl FnOnce(Plan, Handle) -> Reloader,
    before: impl AsyncFnOnce(&mut Plan) -> std::io::Result<()>,
    after: impl AsyncFnOnce(&Declared, &LineQueue) -> Result<Option<Second>, u8>,
) -> u8 {
    if let Some(calls) = engine::refused_needs() {
        return denied(&calls);
    }
    let (queue, ledger) = match log::start(&plan.log) {
        Ok(log) => log,
        Err(error) => return cannot_start(&error),
    };
    // Without the permission to raise it, the limit stays as it is.
    let _ = probe::system::limits::raise_descriptors();
    if let Err(why) = enough_descriptors(&plan) {
        return out_of_resources(&why);
    }
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cannot_start(&error),
    };
    let after = async |declared: &Declared| after(declared, &queue).await;
    let code = runtime.block_on(life(plan, ledger, reloader, before, after));
    queue.close(LAST_LINES);
    code
}

async fn life(
    mut plan: Plan,
    ledger: Arc<Ledger>,
    reloader: impl FnOnce(Plan, Handle) -> Reloader,
    before: impl AsyncFnOnce(&mut Plan) -> std::io::Result<()>,
    after: impl AsyncFnOnce(&Declared) -> Result<Option<Second>, u8>,
) -> u8 {
    let started = match Signals::catch() {
        Ok(signals) => before(&mut plan).await.map(|()| signals),
        Err(e) => Err(e),
    };
    let settings = settings(&plan);
    let (signals, handle) = match started.and_then(|it| Ok((it, engine::start(settings, ledger)?))) {
        Ok(started) => started,
        Err(error) => return cannot_start(&error),
    };
    handle.limit_handshakes(plan.limits.handshakes);
    let tunnels = Arc::new(Tunnels::new(handle.clone()));
    let second = match declare(&handle, &tunnels, &plan).await {
        Ok(declared) => {
            announce(&declared);
            warn_of_open_routes(plan.routes.values());
            warn_of_cautions(plan.routes.values());
            warn_of_tunnels(plan.tunnels.links.values());
            match after(&declared).await {
                Ok(second) => second,
                Err(code) => return code,
            }
        }
        Err(Undeclared::NoThread(error)) => return cannot_start(&error),
        Err(Undeclared::Refused(Refused::Bind(failures))) => {
            let arguments: Vec<String> = std::env::args().skip(1).collect();
            let instead = |address, free| suggest_port::command(&arguments, address, free);
            let diagnoses = engine::diagnose(&failures, &instead);
            complain(&diagnosis::bind_report(&diagnoses));
            return diagnosis::exit_code(&diagnoses);
        }
        Err(Undeclared::Refused(refused)) => {
            complain(&format!("error: {refused}"));
            return code::INTERNAL;
        }
    };
    let reloader = reloader(plan, handle.clone()).with_tunnels(tunnels.clone());
    until_stopped(signals, reloader, &handle, &tunnels, second.as_ref()).await
}

/// Reloads whenever the file changes or SIGHUP arrives; without a file, SIGHUP stops. Drains and stops at the first
/// signal that stops; the second ends the drain.
async fn until_stopped(
    mut signals: Signals,
    mut reloader: Reloader,
    handle: &Handle,
    tunnels: &Tunnels,
    second: Option<&Second>,
) -> u8 {
    let Signals { hangup, stop, told } = &mut signals;
    let in_vain = in_vain::known(reloader.plan(), tunnels);
    let reloading = async {
        // The terminal was closed, and nothing else knows of a run that has no file.
        if !reloader.has_file() {
            return hangup.next().await;
        }
        loop {
            reloader.turn(hangup.next()).await;
        }
    };
    tokio::select! {
        _ = stop.next() => {}
        () = reloading => {}
        () = told.answer() => {}
        why = in_vain => {
            let code = in_vain::told(why);
            tunnels.stop(GOODBYES).await;
            // Nobody can have connected.
            let _ = timeout(LAST_RESETS, handle.stop(Duration::ZERO)).await;
            return code;
        }
    }
    stop.settle().await;
    let patience = reloader.plan().limits.drain_timeout;
    let stopping = drain(handle, tunnels, second, patience);
    tokio::select! {
        stopped = stopping => match stopped {
            Ok(_) => {
                tracing::info!("stopped");
                code::OK
            }
            Err(e) => {
                tracing::error!("stopped without a drain: {e}; this is a bug in Loopgate, please report it");
                code::INTERNAL
            }
        },
        number = stop.next() => {
            // The sessions that remain are reset: without that, the kernel would close their sockets with a FIN when
            // the process ends, and a truncated answer would look complete.
            let _ = timeout(LAST_RESETS, handle.stop(Duration::ZERO)).await;
            stop_second(second).await;
            tracing::warn!("stopped at once by a second signal");
            128 + number
        }
    }
}

/// Ends tunnels, then sessions, those of a second engine after their visitors' own.
async fn drain(
    handle: &Handle,
    tunnels: &Tunnels,
    second: Option<&Second>,
    patience: Duration,
) -> Result<usize, Refused> {
    let goodbyes = GOODBYES.min(patience);
    // First, so that the other ends open no session here any more; those that are open drain.
    if let Some(second) = second {
        second.tunnels.stop(goodbyes).await;
    }
    tunnels.stop(goodbyes).await;
    let stopped = handle.stop(patience).await;
    stop_second(second).await;
    stopped
}

/// Stops the second engine, whose sessions have ended with those of the first.
async fn stop_second(second: Option<&Second>) {
    if let Some(second) = second {
        let _ = timeout(LAST_RESETS, second.handle.stop(LAST_RESETS / 2)).await;
    }
}

/// Checks that there are enough descriptors to start. This comes first because the runtime panics if it gets none for
/// its signal pipe.
///
/// # Errors
/// The message for the user, if there are too few.
fn enough_descriptors(plan: &Plan) -> Result<(), String> {
    let descriptors = probe::system::limits::descriptors();
    let Some(limit) = descriptors.soft else { return Ok(()) };
    // What cannot be counted is unknown, not used up.
    let used = descriptors.used.unwrap_or(0);
    let needed = used + (OF_PROGRAM + Settings::least_descriptors(plan)) as u64;
    if needed <= limit {
        return Ok(());
    }
    Err(format!("error: {limit} descriptors are too few: at least {needed} are needed; raise `ulimit -n`"))
}

/// The engine's settings, from the plan and the descriptor limit. Logs how many sessions fit.
fn settings(plan: &Plan) -> Settings {
    let settings = Settings::fitting(plan);
    let most = settings.budget.connections;
    let limit = probe::system::limits::descriptors()
        .soft
        .map_or("any number of".to_owned(), |limit| limit.to_string());
    match plan.limits.connections {
        Some(wanted) if wanted > most => tracing::warn!(
            "limits.connections = {wanted} needs more than the {limit} descriptors allowed: at most {most} \
             sessions at one time; raise `ulimit -n`"
        ),
        _ => tracing::info!("at most {most} sessions at one time ({limit} descriptors, two a session)"),
    }
    settings
}

/// Logs what listens, and what does not. Called only once every socket listens: programs wait for these lines.
fn announce(declared: &Declared) {
    let routes: Vec<_> = declared.listening.iter().filter(|it| it.owner.kind() == Kind::Route).collect();
    routes.iter().take(MAX_FORWARDING_LINES).for_each(|listening| log_listening(listening));
    let more = routes.len().saturating_sub(MAX_FORWARDING_LINES);
    if more > 0 {
        tracing::info!("Forwarding {more} more listeners");
    }
    for listening in declared.listening.iter().filter(|it| it.owner.kind() == Kind::Service) {
        tracing::info!("Tunnels connect to {}", listening.address);
    }
    for NotListening { owner, address, why } in &declared.not_listening {
        tracing::warn!("{owner} does NOT listen on {address}: {why}; still trying");
    }
}

fn denied(calls: &str) -> u8 {
    complain(&format!(
        "error: cannot start: this process may not call {calls}; allow it in the seccomp filter (systemd: \
         SystemCallFilter=@system-service)"
    ));
    6
}

/// A thread, a runtime or a signal handler could not be had.
pub(super) fn cannot_start(error: &std::io::Error) -> u8 {
    out_of_resources(&match engine::is_no_thread(error) {
        true => format!("error: cannot start: no thread can be started ({error}); {}", engine::NO_THREAD),
        false => format!("error: cannot start: {error}"),
    })
}

pub(super) fn out_of_resources(why: &str) -> u8 {
    complain(why);
    8
}
