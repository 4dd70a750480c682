//! The key of this machine, made where a command line that dials a tunnel needs one and nobody has made any.

use super::output::{code, complain, refuse};
use crate::plan::{self, Plan, Sources};
use crate::transport::tunnel::identity::{KeyFault, PrivateKey, PublicKey, places};
use crate::units::shown_path;

/// A key that was made just now.
pub(super) struct Made {
    path: String,
    key: PublicKey,
}

/// Loads the plan. If nothing is wrong but that this machine has no key, and no file is run, the key is made: whoever has a
/// file decides where it is kept, and a service is given it.
///
/// # Errors
/// The exit code; what is wrong has been told.
pub(super) fn load(sources: &Sources) -> Result<(Plan, Option<Made>), u8> {
    let problems = match plan::load(sources) {
        Ok(plan) => return Ok((plan, None)),
        Err(problems) => problems,
    };
    let is_wanted = sources.file.is_none() && sources.tunnels.dials() && plan::lacks_own_key(&problems);
    if !is_wanted {
        return Err(refuse(&problems));
    }
    let made = make(sources).map_err(|fault| {
        complain(&format!("error: {fault}\n = help: {}", fault.help));
        code::CONFIG
    })?;
    match (made, plan::load(sources)) {
        (Some(made), Ok(plan)) => Ok((plan, Some(made))),
        (_, Ok(plan)) => Ok((plan, None)),
        (_, Err(problems)) => Err(refuse(&problems)),
    }
}

/// Makes the key where it is looked for; `None` if the environment names no folder for it.
fn make(sources: &Sources) -> Result<Option<Made>, KeyFault> {
    let places = places(sources.tunnels.named_in.as_deref(), |name| std::env::var_os(name));
    let Some(path) = places.made_at else { return Ok(None) };
    let failed = |what| KeyFault { path: path.clone(), what, help: "try again".to_owned(), is_missing: true };
    let key = PrivateKey::generate().map_err(failed)?;
    key.write_new(&path)?;
    Ok(Some(Made { path: shown_path(&path), key: key.public() }))
}

impl Made {
    /// Logs where it is, and how the other end comes to know it.
    pub(super) fn tell(&self) {
        let Made { path, key } = self;
        tracing::info!(
            "Wrote {path}, the private key of this machine, which stays here. The other end lets it in with --tunnel \
             NAME={key}, or in its file: [tunnels.NAME] public_key = \"{key}\""
        );
    }
}
