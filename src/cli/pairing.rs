//! What `loopgate tunnel invite` and `join` have in common: the folder of files with tunnels, beside the configuration.

use std::path::{Path, PathBuf};

use super::output::{code, complain, refuse};
use super::own_key::{Found, key};
use crate::config::Problems;
use crate::plan::pairing::Outline;
use crate::plan::{self, Sources};
use crate::transport::tunnel::identity::places;
use crate::transport::tunnel::pairing::folder::{Folder, NAME, Unusable};
use crate::units::shown_path;

/// What makes the configuration include the folder.
pub(super) const INCLUDE: &str = "include = [\"tunnels.d/*.toml\"]";

/// Why a command ends, once that has been told: its exit code.
pub(super) struct Ended(pub(super) u8);

impl Ended {
    /// Tells what is wrong with the command line or the configuration, and what to do.
    pub(super) fn because(what: &str, help: &str) -> Ended {
        Ended::with(code::CONFIG, what, help)
    }

    /// The same with another exit code.
    pub(super) fn with(code: u8, what: &str, help: &str) -> Ended {
        let help = if help.is_empty() { String::new() } else { format!("\n = help: {help}") };
        complain(&format!("error: {what}{help}"));
        Ended(code)
    }
}

impl From<Problems> for Ended {
    fn from(problems: Problems) -> Ended {
        Ended(refuse(&problems))
    }
}

impl From<Unusable> for Ended {
    fn from(unusable: Unusable) -> Ended {
        Ended::because(&unusable.to_string(), &unusable.help)
    }
}

/// The folder beside this configuration, made if there is none.
pub(super) fn folder(file: &Path) -> Result<Folder, Ended> {
    let beside = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(Folder::make(&beside.join(NAME))?)
}

/// Whether the configuration takes a file of that folder; the line to add is told if it does not.
pub(super) fn included(outline: &Outline, file: &Path, path: &Path) -> Result<(), Ended> {
    if outline.includes(path) {
        return Ok(());
    }
    let file = shown_path(file);
    let what = format!("{file} does not include {}; nothing was written", shown_path(path));
    Err(Ended::because(
        &what,
        &format!("add this above its first table, and run the command again:\n{INCLUDE}"),
    ))
}

/// This machine's key: the file that `[tunnel]` names, or where it is looked for; made if there is none.
pub(super) fn own_key(outline: &Outline, file: &Path) -> Result<Found, Ended> {
    let places = places(Some(file), |name| std::env::var_os(name));
    let found = key(outline.private_key.as_deref(), true, &places);
    let found = found.map_err(|fault| Ended::with(code::INTERNAL, &fault.to_string(), &fault.help))?;
    if found.is_new {
        let path = shown_path(&found.path);
        complain(&format!("Wrote {path}, the private key of this machine: it stays here."));
    }
    Ok(found)
}

/// Whether the configuration is whole with what was written; every problem is told if it is not.
pub(super) fn whole(file: &Path) -> Result<(), Ended> {
    let sources = Sources { file: Some(PathBuf::from(file)), ..Sources::default() };
    plan::load(&sources)?;
    Ok(())
}
