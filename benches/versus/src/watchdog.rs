//! Ends the whole bench when it takes too long or is told to stop, and leaves nothing running.

use std::path::Path;
use std::time::Duration;

use loopgate_load::kill_all;
use tokio::signal::unix::{SignalKind, signal};

/// Watches from its own thread until the process ends.
pub(crate) fn start(limit: Duration, scratch: &Path) {
    let scratch = scratch.to_owned();
    std::thread::spawn(move || {
        let why = wait(limit).unwrap_or_else(|error| format!("the watchdog cannot watch: {error}"));
        eprintln!("versus: {why}; ending every program it started");
        kill_all();
        let _ = std::fs::remove_dir_all(scratch);
        std::process::exit(1);
    });
}

fn wait(limit: Duration) -> std::io::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            () = tokio::time::sleep(limit) => Ok(format!("not done after {} s", limit.as_secs())),
            _ = interrupt.recv() => Ok("interrupted".to_owned()),
            _ = terminate.recv() => Ok("told to stop".to_owned()),
        }
    })
}
