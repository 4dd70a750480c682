//! A process that holds a socket, as its machine describes it.
//!
//! Plain facts without a judgement: `probe` fills them in, `diagnosis` judges, causes and reports name them.

use std::time::{Duration, SystemTime};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A process that holds a socket, or probably does. Its texts are safe for a terminal: control characters are escaped,
/// secrets are masked, lengths are bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its process id in this PID namespace.
    pub pid: u32,
    /// Its short name, as `ps` shows it.
    pub comm: String,
    /// Its command line, word by word; empty if it has none or hides it.
    pub cmdline: Vec<String>,
    /// Its program file, followed by ` (deleted)` if that was replaced or removed. `None` if it may not be read.
    pub exe: Option<String>,
    /// Its effective user.
    pub uid: u32,
    /// That user's name in /etc/passwd.
    pub user: Option<String>,
    /// When it started. Together with `pid` this is its identity: a process id may be reused.
    #[serde(rename = "start", serialize_with = "rfc3339")]
    pub started: Option<SystemTime>,
    /// When it started, counted from the start of the machine, in the kernel's ticks of a hundredth of a second.
    #[serde(skip)]
    pub since_boot: Option<Duration>,
    /// How long it had been running when it was examined.
    #[serde(skip)]
    pub age: Option<Duration>,
    /// Its working directory; `None` if that may not be read.
    pub cwd: Option<String>,
    /// Its controlling terminal, as `pts/3`.
    pub terminal: Option<String>,
    /// The process id of its parent; 0 if that is not in this namespace.
    #[serde(rename = "ppid")]
    pub parent: u32,
    /// Its ancestors, the first process first and itself last. JSON has two lists: `chain` of names, `chain_pids`.
    #[serde(flatten, serialize_with = "chain")]
    pub chain: Vec<Ancestor>,
    /// The letter of its state, as in proc_pid_stat(5): `R`, `S`, `T` (stopped), `t` (in a debugger) …
    pub state: char,
    /// The process that traces it, such as a debugger.
    pub tracer: Option<u32>,
    /// The systemd service it belongs to, if that is not this process's own.
    pub unit: Option<Unit>,
    /// The container it runs in, if that is not this process's own.
    pub container: Option<Container>,
    /// Whether it runs the same program file as this process.
    pub same_program: bool,
    /// Whether it is this process itself.
    pub this_process: bool,
    /// Whether its descriptor was seen. Otherwise it only matches what is known about the socket.
    #[serde(rename = "certainty", serialize_with = "certainty")]
    pub proven: bool,
    /// Its sockets that the diagnosis is about.
    pub sockets: Vec<HeldSocket>,
}

impl Holder {
    /// Whether it is a Loopgate, as far as can be seen: another user's by its name alone.
    pub(crate) fn is_loopgate(&self) -> bool {
        self.this_process || self.same_program || self.comm == env!("CARGO_PKG_NAME")
    }
}

/// An ancestor of a holder.
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
    /// The software that runs containers.
    pub engine: Engine,
    /// The engine's name for it: a name, or the first 12 digits of its id.
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

/// A socket held by a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldSocket {
    /// Its state, as tcp(7) names it; empty for a socket without one.
    pub state: &'static str,
    /// The address or path it is bound to.
    pub local: String,
    /// The other end, if it has one.
    pub remote: Option<String>,
    /// Its inode.
    pub inode: u32,
    /// How it covers the address in question: `exact`, `wildcard`, `dual_stack`, `specific`.
    pub overlap: &'static str,
}

impl Holder {
    /// Its command line as one text; its short name if it has none.
    pub fn command(&self) -> String {
        if self.cmdline.is_empty() { self.comm.clone() } else { self.cmdline.join(" ") }
    }

    /// A sorting key: the process that started first comes first, one of unknown start last, and of two that started within
    /// one tick the lower process id. A master thus stands before its workers.
    pub fn seniority(&self) -> (bool, Option<Duration>, u32) {
        (self.since_boot.is_none(), self.since_boot, self.pid)
    }

    /// Whether it is stopped (Ctrl-Z, SIGSTOP) or in a debugger: it keeps its sockets and does not respond.
    pub fn suspended(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

fn rfc3339<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| humantime::format_rfc3339_millis(time).to_string()).serialize(serializer)
}

fn chain<S: Serializer>(chain: &[Ancestor], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry("chain", &chain.iter().map(|ancestor| &ancestor.comm).collect::<Vec<_>>())?;
    map.serialize_entry("chain_pids", &chain.iter().map(|ancestor| ancestor.pid).collect::<Vec<_>>())?;
    map.end()
}

fn certainty<S: Serializer>(proven: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *proven { "proven" } else { "likely" })
}
