//! Every forwarder we know, each with its best options for the job.
//!
//! "Best" as its own documentation has it: splice where it can, as many workers as cores, half-close kept, limits out
//! of the way, no log. (Loopgate keeps its records, which are on by default.)

mod envoy;
mod haproxy;
mod list;
mod loopgate;
mod nginx;
mod tunnels;

use std::fmt::Write;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use list::all;
pub(crate) use loopgate::{file as loopgate_file, text as loopgate_text};

/// Loopgate among them.
pub(crate) const OURS: &str = "loopgate";

pub(crate) struct Forwarder {
    pub(crate) name: &'static str,
    pub(crate) find: Find,
    pub(crate) version_argument: &'static str,
    pub(crate) routes: Routes,
    /// Whether it carries UDP as well.
    pub(crate) datagrams: bool,
    /// What it can do with connections, as far as it is measured.
    pub(crate) fronts: &'static [Front],
    /// Writes its configuration and says how to start it, in the foreground. Of a tunnel, that is the end where visitors
    /// come in.
    pub(crate) command: fn(&Path, &Job) -> io::Result<Command>,
    /// The same of the end of a tunnel that stands beside the target; it is started when the first listens at the place
    /// between them.
    pub(crate) other_end: Option<fn(&Path, &Job) -> io::Result<Command>>,
}

#[derive(Clone, Copy)]
pub(crate) enum Find {
    Ours,
    OnPath(&'static str),
    Variable(&'static str),
    /// The bench's own program.
    Itself,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Routes {
    Many,
    /// One route per process: takes no part where a thousand are needed.
    One,
}

/// What a forwarder has to do with a connection besides carrying it. What some others could do, too, is not measured.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Front {
    Plain,
    /// To carry it from one Unix socket to another.
    Unix,
    /// To end the TLS of the client.
    EndsTls,
    /// To send a PROXY header of version 1 to the target.
    SendsHeader,
    /// To take one from the client.
    TakesHeader,
    /// To find the target by the name in the client's TLS hello, which it passes on.
    ByName,
    /// To carry it, or datagrams, through two programs, the second of which connected to the first.
    Tunnel,
}

/// The name a client's hello asks for, where that chooses the target.
pub(crate) const NAME: &str = "bench.example";

pub(crate) struct Job<'a> {
    pub(crate) routes: &'a [Route],
    pub(crate) load: Load,
    /// A certificate and its key, in one file.
    pub(crate) pair: &'a Path,
    /// The forwarder's own directory.
    pub(crate) folder: &'a Path,
    /// Where the ends of a tunnel meet.
    pub(crate) between: Option<SocketAddr>,
}

impl Job<'_> {
    /// Where the ends of a tunnel meet.
    fn between(&self) -> io::Result<SocketAddr> {
        self.between.ok_or_else(|| io::Error::other("no tunnel is asked for"))
    }

    /// Where each route listens and where it goes; a Unix socket's path follows `unix`.
    fn ends(&self, unix: &str) -> Vec<(String, String)> {
        if self.load.front() != Front::Unix {
            return ends(self.routes);
        }
        let end = |path: PathBuf| format!("{unix}{}", path.display());
        vec![(end(listening_socket(self.folder)), end(target_socket(self.folder)))]
    }
}

fn ends(routes: &[Route]) -> Vec<(String, String)> {
    routes.iter().map(|Route { listen, target }| (listen.to_string(), target.to_string())).collect()
}

/// Where a forwarder with this folder listens if it is a Unix socket.
pub(crate) fn listening_socket(folder: &Path) -> PathBuf {
    folder.join("listen.sock")
}

/// Where its target does: beside the folder, as it is none of the forwarder's.
pub(crate) fn target_socket(folder: &Path) -> PathBuf {
    folder.with_file_name("target.sock")
}

#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) listen: SocketAddr,
    pub(crate) target: SocketAddr,
}

/// What will be forwarded: some want larger buffers for streams, which would cost them memory when idle.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Load {
    Streams(Front),
    Messages(Front),
    Datagrams(Front),
    /// Flows that are held and then left to idle out.
    IdleFlows,
}

impl Load {
    pub(crate) fn is_udp(self) -> bool {
        matches!(self, Load::Datagrams(_) | Load::IdleFlows)
    }

    pub(crate) fn front(self) -> Front {
        match self {
            Load::Streams(front) | Load::Messages(front) | Load::Datagrams(front) => front,
            Load::IdleFlows => Front::Plain,
        }
    }

    fn is_streams(self) -> bool {
        matches!(self, Load::Streams(_))
    }

    /// How long a flow may be idle, in seconds.
    fn idle(self) -> u32 {
        if self == Load::IdleFlows { IDLE_FLOW } else { 60 }
    }
}

/// Seconds until a flow idles out, where a workload waits for that.
pub(crate) const IDLE_FLOW: u32 = 5;

fn socat(program: &Path, job: &Job) -> io::Result<Command> {
    let mut command = Command::new(program);
    if job.load.front() == Front::Unix {
        let (listen, target) = (listening_socket(job.folder), target_socket(job.folder));
        command.args(["-b", "65536", "-t", "3600"]);
        command.arg(format!("UNIX-LISTEN:{},fork,backlog=4096", listen.display()));
        command.arg(format!("UNIX-CONNECT:{}", target.display()));
        return Ok(command);
    }
    let Route { listen, target } = job.routes[0];
    if job.load.is_udp() {
        let (ip, port) = (listen.ip(), listen.port());
        command.args(["-b", "65536", "-T", &job.load.idle().to_string()]);
        command.arg(format!("UDP4-LISTEN:{port},bind={ip},reuseaddr,fork")).arg(format!("UDP4:{target}"));
        return Ok(command);
    }
    if job.load.is_streams() {
        command.args(["-b", "65536"]);
    }
    command.args(["-t", "3600"]);
    command.arg(format!(
        "TCP4-LISTEN:{},bind={},reuseaddr,fork,backlog=4096,nodelay",
        listen.port(),
        listen.ip()
    ));
    command.arg(format!("TCP4:{target},nodelay"));
    Ok(command)
}

fn rinetd(program: &Path, job: &Job) -> io::Result<Command> {
    let mut text = String::new();
    for Route { listen, target } in job.routes {
        let (from, to) = (listen.ip(), target.ip());
        let _ = writeln!(text, "{from} {} {to} {}", listen.port(), target.port());
    }
    with_file(program, job, &["-f", "-c"], "rinetd.conf", &text)
}

/// A thread for each connection is all it has.
fn stunnel(program: &Path, job: &Job) -> io::Result<Command> {
    let mut text = String::from("foreground = yes\npid =\ndebug = err\nsyslog = no\n");
    text.push_str("socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n");
    for (index, Route { listen, target }) in job.routes.iter().enumerate() {
        let _ = write!(text, "[bench{index}]\naccept = {listen}\nconnect = {target}\n");
        let _ = writeln!(text, "cert = {}", job.pair.display());
    }
    with_file(program, job, &[], "stunnel.conf", &text)
}

fn realm(program: &Path, job: &Job) -> io::Result<Command> {
    let mut text = String::from("[log]\nlevel = \"off\"\n\n");
    if job.load.is_udp() {
        let idle = job.load.idle();
        let _ = write!(text, "[network]\nno_tcp = true\nuse_udp = true\nudp_timeout = {idle}\n\n");
    }
    for Route { listen, target } in job.routes {
        let _ = write!(text, "[[endpoints]]\nlisten = \"{listen}\"\nremote = \"{target}\"\n\n");
    }
    with_file(program, job, &["-c"], "realm.toml", &text)
}

/// Portunus listens on every address of the machine: it has no key for one.
fn portunus(program: &Path, job: &Job) -> io::Result<Command> {
    let mut text = String::new();
    for (index, Route { listen, target }) in job.routes.iter().enumerate() {
        let protocol = if job.load.is_udp() { "udp" } else { "tcp" };
        let _ = write!(text, "[[rule]]\nname = \"bench-{index}\"\nprotocol = \"{protocol}\"\n");
        let _ = write!(text, "listen_port = {}\ntarget = \"{target}\"\n\n", listen.port());
    }
    with_file(program, job, &["--config"], "portunus.toml", &text)
}

/// The program with its arguments, the last of which is the path of a file with this text.
fn with_file(program: &Path, job: &Job, arguments: &[&str], name: &str, text: &str) -> io::Result<Command> {
    let file = job.folder.join(name);
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.args(arguments).arg(file).current_dir(job.folder);
    Ok(command)
}
