//! Who takes part: which forwarders are here, which versions, and whether each really forwards.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Fallible;
use crate::forwarders::{FORWARDERS, Find, Forwarder, Front, Load};
use crate::options::Options;
use crate::role::{tls_config, tls_connect};
use crate::turn::Turn;

pub(crate) const OURS: &str = "loopgate";
pub(crate) const DIRECT: &str = "direct";

pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// None for `direct`: the client meets the target itself.
    pub(crate) forwarder: Option<(&'static Forwarder, PathBuf)>,
}

impl Contestant {
    /// Whether it does this with connections; `direct` does nothing to them.
    pub(crate) fn can(&self, front: Front) -> bool {
        self.forwarder.as_ref().map_or(front == Front::Plain, |(it, _)| it.fronts.contains(&front))
    }
}

pub(crate) struct Lineup {
    pub(crate) contestants: Vec<Contestant>,
    /// Who does not take part, and why.
    pub(crate) skipped: Vec<(&'static str, String)>,
}

/// Finds everybody, and lets each forward one message before it may take part.
pub(crate) fn lineup(ours: Option<PathBuf>, options: &Options, scratch: &Path) -> Fallible<Lineup> {
    let mut lineup = Lineup { contestants: Vec::new(), skipped: Vec::new() };
    if takes_part(DIRECT, options) {
        lineup.contestants.push(Contestant { name: DIRECT, version: String::new(), forwarder: None });
    }
    for forwarder in FORWARDERS.iter().filter(|forwarder| takes_part(forwarder.name, options)) {
        match admit(forwarder, ours.as_deref(), scratch) {
            Ok(contestant) => lineup.contestants.push(contestant),
            Err(why) => lineup.skipped.push((forwarder.name, why.to_string())),
        }
    }
    if lineup.contestants.is_empty() {
        return Err("nobody is left to measure".into());
    }
    Ok(lineup)
}

/// Whether the options ask for it: for everybody, unless they name some.
pub(crate) fn takes_part(name: &str, options: &Options) -> bool {
    options.with.is_empty() || options.with.iter().any(|with| with == name)
}

pub(crate) fn check_names(names: &[String]) -> Fallible<()> {
    let known = || FORWARDERS.iter().map(|forwarder| forwarder.name).chain([DIRECT]);
    match names.iter().find(|name| known().all(|known| known != name.as_str())) {
        Some(name) => {
            Err(format!("--with {name}: known are {}", known().collect::<Vec<_>>().join(", ")).into())
        }
        None => Ok(()),
    }
}

fn admit(forwarder: &'static Forwarder, ours: Option<&Path>, scratch: &Path) -> Fallible<Contestant> {
    let program = find(forwarder.find, ours)?;
    let version = version(&program, forwarder.version_argument);
    let contestant = Contestant { name: forwarder.name, version, forwarder: Some((forwarder, program)) };
    if contestant.can(Front::Plain) {
        let turn = Turn::with_echo(&contestant, Load::Messages(Front::Plain), scratch)?;
        exchange(turn.address)?;
    } else {
        let turn = Turn::with_echo(&contestant, Load::Messages(Front::EndsTls), scratch)?;
        echoed(tls_connect(turn.address, &tls_config()?)?)?;
    }
    Ok(contestant)
}

fn find(find: Find, ours: Option<&Path>) -> Fallible<PathBuf> {
    match find {
        Find::Ours => Ok(ours.ok_or("was not built")?.to_owned()),
        Find::OnPath(name) => on_path(name).ok_or_else(|| "not installed".into()),
        Find::Variable(name) => {
            let path = std::env::var_os(name).ok_or_else(|| format!("{name} is not set to its program"))?;
            Ok(PathBuf::from(path))
        }
    }
}

/// Servers live where an ordinary user's PATH does not look.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The first line with a digit in it: nobody agrees on more.
fn version(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let is_number = |word: &&str| word.contains('.') && word.chars().any(|letter| letter.is_ascii_digit());
    let number = text.lines().flat_map(str::split_whitespace).find(is_number);
    number.unwrap_or("of unknown version").trim_start_matches("nginx/").to_owned()
}

/// Sends some bytes through and wants the same back.
pub(crate) fn exchange(address: SocketAddr) -> Fallible<()> {
    let patience = Duration::from_secs(2);
    let stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    echoed(stream)
}

/// The same over a connection that stands, or is about to.
fn echoed(mut stream: impl Read + Write) -> Fallible<()> {
    let message: Vec<u8> = (0..=255).cycle().take(32 * 1024).collect();
    let mut answer = vec![0; message.len()];
    stream.write_all(&message).map_err(|error| format!("takes no bytes: {error}"))?;
    stream.read_exact(&mut answer).map_err(|error| format!("carries no answer: {error}"))?;
    if answer == message { Ok(()) } else { Err("alters the bytes it carries".into()) }
}
