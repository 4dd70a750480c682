//! A forwarder of this machine, or none: its program, its version, what it can do.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::forwarders::{Find, Forwarder, Front};
use loopgate_load::Fallible;

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
        self.forwarder
            .as_ref()
            .map_or(matches!(front, Front::Plain | Front::Unix), |(it, _)| it.fronts.contains(&front))
    }
}

/// The forwarder with its program, where that is here; `ours` is Loopgate's.
pub(crate) fn find(forwarder: &'static Forwarder, ours: Option<&Path>) -> Fallible<Contestant> {
    let program = program(forwarder.find, ours)?;
    let version = match forwarder.find {
        Find::Itself => String::new(),
        _ => version(&program, forwarder.version_argument),
    };
    Ok(Contestant { name: forwarder.name, version, forwarder: Some((forwarder, program)) })
}

fn program(find: Find, ours: Option<&Path>) -> Fallible<PathBuf> {
    match find {
        Find::Ours => Ok(ours.ok_or("was not built")?.to_owned()),
        Find::OnPath(name) => on_path(name).ok_or_else(|| "not installed".into()),
        Find::Variable(name) => {
            let path = std::env::var_os(name).ok_or_else(|| format!("{name} is not set to its program"))?;
            Ok(PathBuf::from(path))
        }
        Find::Itself => Ok(std::env::current_exe()?),
    }
}

/// Servers live where an ordinary user's PATH does not look.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The first word with a digit and a point in it that is no time: nobody agrees on more.
fn version(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let is_number = |word: &&str| {
        word.contains('.') && !word.contains(':') && word.chars().any(|letter| letter.is_ascii_digit())
    };
    let number = text.lines().flat_map(str::split_whitespace).find(is_number);
    number.unwrap_or("of unknown version").trim_start_matches("nginx/").to_owned()
}
