//! Loopgate, by its configuration file.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Front, Job, NAME, Route, ends};

/// Where Loopgate's configuration lies, for the workload that changes it.
pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join("loopgate.toml")
}

pub(crate) fn text(routes: &[Route]) -> String {
    routes_text(&ends(routes))
}

fn routes_text(ends: &[(String, String)]) -> String {
    let mut text = String::new();
    for (index, (listen, target)) in ends.iter().enumerate() {
        let name = if ends.len() == 1 { "bench".to_owned() } else { format!("bench-{index:04}") };
        let _ = write!(text, "[routes.{name}]\nlisten = \"{listen}\"\ntarget = \"{target}\"\n\n");
    }
    text
}

pub(super) fn command(program: &Path, job: &Job) -> io::Result<Command> {
    let file = file(job.folder);
    let mut text = routes_text(&job.ends("unix:"));
    if job.load.is_udp() {
        let _ = write!(text, "[defaults]\nprotocol = \"udp\"\nidle_timeout = \"{}s\"\n", job.load.idle());
    }
    text.push_str(&match job.load.front() {
        Front::Plain | Front::Unix => String::new(),
        Front::EndsTls => format!("[routes.bench.tls]\ncertificate = \"{}\"\n", job.pair.display()),
        Front::SendsHeader => "[defaults]\nsend_proxy = \"v1\"\n".to_owned(),
        Front::TakesHeader => "[defaults]\naccept_proxy = [\"127.0.0.1\"]\n".to_owned(),
        Front::ByName => format!("[routes.bench.names]\n\"{NAME}\" = \"{}\"\n", job.routes[0].target),
    });
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg("run").arg("-c").arg(file);
    Ok(command)
}
