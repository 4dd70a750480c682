//! The Loopgate to measure: built from this checkout as a release is, or the program that VERSUS_LOOPGATE names.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use loopgate_load::Fallible;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// Built on every run, which costs cargo a moment where nothing changed: an older program beside it would be measured
/// in silence.
pub(crate) fn program() -> Fallible<PathBuf> {
    match env::var_os("VERSUS_LOOPGATE") {
        Some(other) => Ok(PathBuf::from(other)),
        None => build(),
    }
}

fn build() -> Fallible<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(&cargo);
    command.args(["build", "--release", "--package", "loopgate", "--bin", "loopgate"]);
    command.args(["--message-format", "json-render-diagnostics", "--manifest-path", MANIFEST]);
    // Its errors and warnings go to the terminal.
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{}: {error}", cargo.display()))?;
    if !output.status.success() {
        return Err(format!("Loopgate cannot be built: cargo ended with {}", output.status).into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = messages.filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    programs.next_back().ok_or_else(|| "cargo names no program after building Loopgate".into())
}
