//! Programs that are only tunnels: rathole in its three ways to secure one, and OpenSSH.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Find, Forwarder, Front, Job, Routes};
use crate::contestant::on_path;

const fn tunnel(
    name: &'static str,
    program: &'static str,
    version_argument: &'static str,
    datagrams: bool,
    command: fn(&Path, &Job) -> io::Result<Command>,
    other_end: fn(&Path, &Job) -> io::Result<Command>,
) -> Forwarder {
    Forwarder {
        name,
        find: Find::OnPath(program),
        version_argument,
        routes: Routes::One,
        datagrams,
        fronts: &[Front::Tunnel],
        command,
        other_end: Some(other_end),
    }
}

pub(super) static TUNNELS: [Forwarder; 4] = [
    tunnel(
        "rathole",
        "rathole",
        "--version",
        true,
        |program, job| rathole(program, job, Security::None),
        rathole_client,
    ),
    tunnel(
        "rathole-noise",
        "rathole",
        "--version",
        true,
        |program, job| rathole(program, job, Security::Noise),
        rathole_client,
    ),
    tunnel(
        "rathole-tls",
        "rathole",
        "--version",
        true,
        |program, job| rathole(program, job, Security::Tls),
        rathole_client,
    ),
    tunnel("ssh", "sshd", "-V", false, sshd, ssh),
];

/// How rathole secures what it carries.
#[derive(Clone, Copy)]
enum Security {
    /// Not at all.
    None,
    /// Noise NK: only the accepting end has a key.
    Noise,
    /// TLS of the platform's library: only the accepting end has a certificate.
    Tls,
}

/// Where visitors come in. The other end's file is written as well: both need what is made here.
fn rathole(program: &Path, job: &Job, security: Security) -> io::Result<Command> {
    let (between, route) = (job.between()?, job.routes[0]);
    let (ours, theirs) = match security {
        Security::None => (String::new(), String::new()),
        Security::Noise => noise(program)?,
        Security::Tls => tls(job)?,
    };
    let protocol = if job.load.is_udp() { "udp" } else { "tcp" };
    let server = format!(
        "[server]\nbind_addr = \"{between}\"\ndefault_token = \"bench\"\n[server.services.bench]\ntype = \"{protocol}\"\n\
         bind_addr = \"{}\"\nnodelay = true\n{ours}",
        route.listen
    );
    let client = format!(
        "[client]\nremote_addr = \"{between}\"\ndefault_token = \"bench\"\n[client.services.bench]\ntype = \"{protocol}\"\n\
         local_addr = \"{}\"\nnodelay = true\n{theirs}",
        route.target
    );
    fs::write(job.folder.join("client.toml"), client)?;
    fs::write(job.folder.join("server.toml"), server)?;
    Ok(rathole_with(program, "--server", &job.folder.join("server.toml")))
}

fn rathole_client(program: &Path, job: &Job) -> io::Result<Command> {
    Ok(rathole_with(program, "--client", &job.folder.join("client.toml")))
}

fn rathole_with(program: &Path, end: &str, file: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(end).arg(file).env("RUST_LOG", "error");
    command
}

/// The tables of both ends. `--genkey` prints each key below its heading.
fn noise(program: &Path) -> io::Result<(String, String)> {
    let printed = output(Command::new(program).arg("--genkey"))?;
    let below = |heading: &str| {
        let mut lines = printed.lines().skip_while(|line| !line.starts_with(heading));
        lines.nth(1).map(str::trim).ok_or_else(|| io::Error::other(format!("--genkey prints no {heading}")))
    };
    let table = |end: &str, key: &str| {
        format!(
            "[{end}.transport]\ntype = \"noise\"\n[{end}.transport.noise]\n{key}\n[{end}.transport.tcp]\nnodelay = true\n"
        )
    };
    let ours = table("server", &format!("local_private_key = \"{}\"", below("Private Key")?));
    let theirs = table("client", &format!("remote_public_key = \"{}\"", below("Public Key")?));
    Ok((ours, theirs))
}

/// The tables of both ends. rathole wants the certificate in a file of PKCS #12.
fn tls(job: &Job) -> io::Result<(String, String)> {
    let identity = job.folder.join("identity.pfx");
    let mut command = Command::new("openssl");
    command.args(["pkcs12", "-export", "-passout", "pass:bench", "-in"]).arg(job.pair);
    output(command.arg("-out").arg(&identity))?;
    let ours = format!(
        "[server.transport]\ntype = \"tls\"\n[server.transport.tls]\npkcs12 = \"{}\"\npkcs12_password = \"bench\"\n\
         [server.transport.tcp]\nnodelay = true\n",
        identity.display()
    );
    let theirs = format!(
        "[client.transport]\ntype = \"tls\"\n[client.transport.tls]\ntrusted_root = \"{}\"\nhostname = \"localhost\"\n\
         [client.transport.tcp]\nnodelay = true\n",
        job.pair.display()
    );
    Ok((ours, theirs))
}

/// A server of the bench's own, which knows one key. As root it wants `/run/sshd`, which Debian's unit makes.
fn sshd(program: &Path, job: &Job) -> io::Result<Command> {
    let between = job.between()?;
    for name in ["host_key", "key"] {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(job.folder.join(name));
        output(&mut command)?;
    }
    let folder = job.folder.display();
    let text = format!(
        "ListenAddress {between}\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/key.pub\nPidFile none\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nLogLevel ERROR\n"
    );
    let file = job.folder.join("sshd_config");
    fs::write(&file, text)?;
    fs::set_permissions(job.folder.join("key"), fs::Permissions::from_mode(0o600))?;
    let mut command = Command::new(program);
    command.args(["-D", "-e", "-f"]).arg(file);
    Ok(command)
}

/// `ssh -N -R`, which asks for the visitors' address at the other end.
fn ssh(_: &Path, job: &Job) -> io::Result<Command> {
    let (between, route) = (job.between()?, job.routes[0]);
    let program = on_path("ssh").ok_or_else(|| io::Error::other("ssh is not installed"))?;
    let mut command = Command::new(program);
    command.args(["-N", "-F", "none", "-i"]).arg(job.folder.join("key"));
    for option in ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ExitOnForwardFailure=yes"] {
        command.args(["-o", option]);
    }
    command.args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-p", &between.port().to_string()]);
    command.args(["-R", &format!("{}:{}", route.listen, route.target)]);
    command.arg(between.ip().to_string());
    Ok(command)
}

/// What a program prints; an error if it fails.
pub(super) fn output(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        io::Error::new(error.kind(), format!("{}: {error}", command.get_program().to_string_lossy()))
    })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(format!("{}: {words}", command.get_program().to_string_lossy())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
