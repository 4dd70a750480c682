//! A process that holds a socket, in the words of its own machine.
//!
//! Plain facts without a judgement: `probe` fills them, `diagnosis` judges, causes and reports name them.

use std::time::{Duration, SystemTime};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A process that holds a socket, or probably does. Its texts are fit for a terminal: control characters are escaped,
/// secrets are masked, lengths are bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its process id, as this PID namespace counts.
    pub pid: u32,
    /// Its short name, as `ps` shows it.
    pub comm: String,
    /// Its command line, word by word; empty where it has none or hides it.
    pub cmdline: Vec<String>,
    /// Its program file; ` (deleted)` follows where that was replaced or removed. `None` where it may not be read.
    pub exe: Option<String>,
    /// Its effective user.
    pub uid: u32,
    /// That user's name in /etc/passwd.
    pub user: Option<String>,
    /// When it started. Together with `pid` this is its identity: a process id alone may be used again.
    #[serde(rename = "start", serialize_with = "rfc3339")]
    pub started: Option<SystemTime>,
    /// How long it had been running when it was looked at.
    #[serde(skip)]
    pub age: Option<Duration>,
    /// The directory it works in; `None` where that may not be read.
    pub cwd: Option<String>,
    /// The terminal it belongs to, as `pts/3`.
    pub terminal: Option<String>,
    /// The process id of its parent; 0 where there is none here.
    #[serde(rename = "ppid")]
    pub parent: u32,
    /// Who started it, the first ancestor first and itself last. JSON has two lists: `chain` of names, `chain_pids`.
    #[serde(flatten, serialize_with = "chain")]
    pub chain: Vec<Ancestor>,
    /// The letter of its state, as proc_pid_stat(5) has it: `R`, `S`, `T` (stopped), `t` (in a debugger) …
    pub state: char,
    /// The process that traces it, as a debugger does.
    pub tracer: Option<u32>,
    /// The systemd service it belongs to, where that is not the one this process runs in.
    pub unit: Option<Unit>,
    /// The container it lives in, where that is not the one this process lives in.
    pub container: Option<Container>,
    /// Whether it runs the very program file this process runs.
    pub same_program: bool,
    /// Whether it is this process itself.
    pub this_process: bool,
    /// Whether its descriptor was seen. Otherwise it only fits what is known of the socket.
    #[serde(rename = "certainty", serialize_with = "certainty")]
    pub proven: bool,
    /// Its sockets that the diagnosis is about.
    pub sockets: Vec<HeldSocket>,
}

/// A process on the way from the first one to a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Its process id.
    pub pid: u32,
    /// Its short name.
    pub comm: String,
}

/// A service of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// Its name, as `nginx.service`.
    pub name: String,
    /// Whether it belongs to a user's own systemd (`systemctl --user`).
    pub of_user: bool,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    /// What runs it.
    pub engine: Engine,
    /// What the engine calls it: a name, or the first 12 digits of its id.
    pub name: String,
}

/// What runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // They are names.
pub enum Engine {
    Docker,
    Podman,
    /// A runtime of Kubernetes: containerd, CRI-O.
    Cri,
    Lxc,
    Nspawn,
    Flatpak,
}

/// A socket in the hands of a holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldSocket {
    /// Its state, as tcp(7) names it; empty for what has none.
    pub state: &'static str,
    /// The address or path it is bound to.
    pub local: String,
    /// The other end, where it has one.
    pub remote: Option<String>,
    /// Its inode.
    pub inode: u32,
    /// How it covers the address in question: `exact`, `wildcard`, `dual_stack`, `specific`.
    pub overlap: &'static str,
}

impl Holder {
    /// Its command line in one text; its short name where it has none.
    pub fn command(&self) -> String {
        if self.cmdline.is_empty() { self.comm.clone() } else { self.cmdline.join(" ") }
    }

    /// Whether it is stopped (Ctrl-Z, SIGSTOP) or stands in a debugger: it holds on and does not answer.
    pub fn suspended(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

fn rfc3339<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| humantime::format_rfc3339_millis(time).to_string()).serialize(serializer)
}

fn chain<S: Serializer>(chain: &[Ancestor], serializer: S) -> Result<S::Ok, S::Error> {
    let mut told = serializer.serialize_map(Some(2))?;
    told.serialize_entry("chain", &chain.iter().map(|ancestor| &ancestor.comm).collect::<Vec<_>>())?;
    told.serialize_entry("chain_pids", &chain.iter().map(|ancestor| ancestor.pid).collect::<Vec<_>>())?;
    told.end()
}

fn certainty<S: Serializer>(proven: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *proven { "proven" } else { "likely" })
}
