//! Loopgate, by its configuration file.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tunnels::output;
use super::{Front, Job, NAME, Route, ends};

/// The folder of a tunnel's other end, in that of the first.
const OTHER_END: &str = "other";

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
    if job.load.front() == Front::Tunnel {
        return accepting(program, job);
    }
    let file = file(job.folder);
    let mut text = routes_text(&job.ends("unix:"));
    if job.load.is_udp() {
        let _ = write!(text, "[defaults]\nprotocol = \"udp\"\nidle_timeout = \"{}s\"\n", job.load.idle());
    }
    text.push_str(&match job.load.front() {
        Front::Plain | Front::Unix | Front::Tunnel => String::new(),
        Front::EndsTls => format!("[routes.bench.tls]\ncertificate = \"{}\"\n", job.pair.display()),
        Front::SendsHeader => "[defaults]\nsend_proxy = \"v1\"\n".to_owned(),
        Front::TakesHeader => "[defaults]\naccept_proxy = [\"127.0.0.1\"]\n".to_owned(),
        Front::ByName => format!("[routes.bench.names]\n\"{NAME}\" = \"{}\"\n", job.routes[0].target),
    });
    fs::write(&file, text)?;
    Ok(run(program, &file))
}

/// The end of a tunnel where visitors come in; the other end's folder is made as well, since each needs the other's key.
fn accepting(program: &Path, job: &Job) -> io::Result<Command> {
    let (between, listen) = (job.between()?, job.routes[0].listen);
    let other = job.folder.join(OTHER_END);
    fs::create_dir(&other)?;
    new_key(program, job.folder)?;
    let text = format!(
        "[tunnel]\nlisten = \"{between}\"\nprivate_key = \"tunnel.key\"\n[tunnels.home]\npublic_key = \"{}\"\n\
         may_listen = [\"{listen}{}\"]\n",
        new_key(program, &other)?,
        if job.load.is_udp() { "/udp" } else { "" }
    );
    fs::write(file(job.folder), text)?;
    Ok(run(program, &file(job.folder)))
}

/// The end beside the target.
pub(super) fn dialling(program: &Path, job: &Job) -> io::Result<Command> {
    let (between, route) = (job.between()?, job.routes[0]);
    let folder = job.folder.join(OTHER_END);
    let text = format!(
        "[tunnel]\nprivate_key = \"tunnel.key\"\n[tunnels.vps]\nconnect = \"{between}\"\npublic_key = \"{}\"\n\
         [routes.bench]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\nprotocol = \"{}\"\n",
        public_key(program, job.folder)?,
        route.listen,
        route.target,
        if job.load.is_udp() { "udp" } else { "tcp" }
    );
    fs::write(file(&folder), text)?;
    Ok(run(program, &file(&folder)))
}

/// Makes the key in a folder; the public one.
fn new_key(program: &Path, folder: &Path) -> io::Result<String> {
    output(Command::new(program).args(["tunnel", "key", "--file"]).arg(folder.join("tunnel.key")))?;
    public_key(program, folder)
}

fn public_key(program: &Path, folder: &Path) -> io::Result<String> {
    let mut command = Command::new(program);
    command.args(["tunnel", "key", "--public", "--file"]).arg(folder.join("tunnel.key"));
    Ok(output(&mut command)?.trim().to_owned())
}

fn run(program: &Path, file: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("run").arg("-c").arg(file);
    command
}
