//! The key of this machine: read where it is, or made.

use std::path::{Path, PathBuf};

use crate::transport::tunnel::identity::{KeyFault, Places, PrivateKey};

/// The key, and where it is.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) key: PrivateKey,
    pub(super) is_new: bool,
}

/// Reads the key in this file, or where it is looked for; makes one if there is none and one is wanted.
pub(super) fn key(named: Option<&Path>, is_wanted: bool, places: &Places) -> Result<Found, KeyFault> {
    let named = named.or_else(|| places.found());
    let path = named.or(places.made_at.as_deref()).ok_or_else(nowhere)?;
    match PrivateKey::read(path) {
        Ok(key) => Ok(Found { path: path.to_owned(), key, is_new: false }),
        Err(fault) if fault.is_missing && is_wanted => {
            let failed = |what| KeyFault { what, ..fault };
            let key = PrivateKey::generate().map_err(failed)?;
            key.write_new(path)?;
            Ok(Found { path: path.to_owned(), key, is_new: true })
        }
        Err(fault) => Err(fault),
    }
}

fn nowhere() -> KeyFault {
    KeyFault {
        path: "tunnel.key".into(),
        what: "there is no folder for it: neither HOME nor XDG_STATE_HOME is set, and no configuration file exists".into(),
        help: "name the file with --file FILE".into(),
        is_missing: true,
    }
}
