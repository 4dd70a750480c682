//! Finds out whether the files that a process runs have changed on disk since it started.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::outcome::Holder;
use crate::units::shown;

/// A file that changed while a process runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The file's path, escaped for a terminal.
    pub file: String,
    /// Whether it was deleted; otherwise it was written after the process started.
    pub deleted: bool,
}

/// Programs that run the file their first argument names.
const INTERPRETERS: [&str; 9] = ["python", "node", "ruby", "perl", "php", "bash", "deno", "bun", "lua"];
/// The endings of such files: changes of a data file do not count.
const SCRIPTS: [&str; 11] = ["py", "js", "mjs", "cjs", "ts", "rb", "pl", "php", "sh", "lua", "pyc"];

/// The file that changed; `None` if none did or none may be read.
pub fn changed(holder: &Holder) -> Option<Changed> {
    let exe = fs::read_link(format!("/proc/{}/exe", holder.pid)).ok()?;
    let text = exe.to_string_lossy();
    if let Some(path) = text.strip_suffix(" (deleted)") {
        return Some(Changed { file: shown(path, 160), deleted: true });
    }
    let started = holder.started?;
    let script = script(holder, &text);
    [Some(exe.clone()), script]
        .into_iter()
        .flatten()
        .find(|file| is_newer(file, started))
        .map(|file| Changed { file: shown(&file.to_string_lossy(), 160), deleted: false })
}

fn script(holder: &Holder, exe: &str) -> Option<PathBuf> {
    let program = Path::new(exe).file_name()?.to_str()?;
    if !INTERPRETERS.iter().any(|name| program.starts_with(name)) {
        return None;
    }
    let argument = Path::new(holder.cmdline.get(1)?);
    let ending = argument.extension()?.to_str()?;
    let path = Path::new(holder.cwd.as_ref()?).join(argument);
    SCRIPTS.contains(&ending).then_some(path)
}

/// Start times are exact to a hundredth of a second, and a file may be written just before it is run, so a difference
/// below one second does not count.
fn is_newer(file: &Path, started: SystemTime) -> bool {
    let Ok(written) = fs::metadata(file).and_then(|metadata| metadata.modified()) else { return false };
    written.duration_since(started).is_ok_and(|later| later.as_secs() >= 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::process;

    #[test]
    fn this_process_runs_what_is_there() {
        assert_eq!(changed(&process::identify(std::process::id()).unwrap()), None);
    }
}
