//! Where the key of this machine is looked for if nobody names its file.
//!
//! The environment is an argument, so that a test can show the order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The name of the file in each place.
const FILE: &str = "tunnel.key";

/// Where a key is looked for, and where a new one goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The files that are looked for, in this order.
    pub looked_for: Vec<PathBuf>,
    /// Where a new key is written; `None` if the environment names no folder for it.
    pub made_at: Option<PathBuf>,
}

/// The places for the routes of this configuration file, or of the command line:
///
/// 1. `$CREDENTIALS_DIRECTORY/tunnel.key`, what systemd's LoadCredential= brings. It is read only.
/// 2. `tunnel.key` beside the configuration file. A new key goes there, if there is a configuration file.
/// 3. `$STATE_DIRECTORY/tunnel.key`, of systemd's StateDirectory=; several folders stand with colons between them
///    (systemd.exec(5)).
/// 4. `$XDG_STATE_HOME/loopgate/tunnel.key`, without that variable in `~/.local/state`.
///
/// Without a configuration file a new key goes to the first folder of 3, else to 4.
pub fn places(config: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Places {
    // The XDG base directory specification ignores relative paths; systemd writes none.
    let folder = |path: PathBuf| Some(path).filter(|path| path.is_absolute());
    let named = |name| variable(name).map(PathBuf::from).and_then(folder);
    let credentials = named("CREDENTIALS_DIRECTORY");
    let beside = config.map(|file| file.parent().unwrap_or(Path::new("")).to_owned());
    let states = variable("STATE_DIRECTORY").unwrap_or_default();
    let states: Vec<PathBuf> = std::env::split_paths(&states).filter_map(folder).collect();
    let user = named("XDG_STATE_HOME").or_else(|| named("HOME").map(|home| home.join(".local/state")));
    let user = user.map(|folder| folder.join("loopgate"));

    let made_in = beside.as_ref().or(states.first()).or(user.as_ref());
    let made_at = made_in.map(|folder| folder.join(FILE));
    let folders = credentials.into_iter().chain(beside).chain(states).chain(user);
    Places { looked_for: folders.map(|folder| folder.join(FILE)).collect(), made_at }
}

impl Places {
    /// The first file that exists. One that cannot be examined counts as existing: reading it will say why.
    pub fn found(&self) -> Option<&Path> {
        self.looked_for.iter().find(|path| path.try_exists().unwrap_or(true)).map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: Option<&str>, variables: &[(&str, &str)]) -> (Vec<String>, Option<String>) {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        let places = places(config.map(Path::new), variable);
        let shown = |path: &PathBuf| path.display().to_string();
        (places.looked_for.iter().map(shown).collect(), places.made_at.as_ref().map(shown))
    }

    #[test]
    fn a_key_is_looked_for_in_the_order_that_the_manual_has() {
        let (looked_for, made_at) = of(
            Some("/etc/loopgate/loopgate.toml"),
            &[
                ("CREDENTIALS_DIRECTORY", "/run/credentials/loopgate.service"),
                ("STATE_DIRECTORY", "/var/lib/loopgate:/var/lib/other"),
                ("XDG_STATE_HOME", "/x"),
                ("HOME", "/h"),
            ],
        );

        assert_eq!(
            looked_for,
            [
                "/run/credentials/loopgate.service/tunnel.key",
                "/etc/loopgate/tunnel.key",
                "/var/lib/loopgate/tunnel.key",
                "/var/lib/other/tunnel.key",
                "/x/loopgate/tunnel.key",
            ]
        );
        assert_eq!(made_at.as_deref(), Some("/etc/loopgate/tunnel.key"));
    }

    #[test]
    fn a_new_key_never_goes_where_credentials_are() {
        let credentials = ("CREDENTIALS_DIRECTORY", "/c");

        assert_eq!(of(None, &[credentials]).1, None);
        assert_eq!(
            of(None, &[credentials, ("HOME", "/h")]).1.unwrap(),
            "/h/.local/state/loopgate/tunnel.key"
        );
        let state = ("STATE_DIRECTORY", "/s");
        assert_eq!(of(None, &[credentials, state, ("HOME", "/h")]).1.unwrap(), "/s/tunnel.key");
        assert_eq!(of(Some("loopgate.toml"), &[credentials, state]).1.unwrap(), "tunnel.key");
    }

    #[test]
    fn relative_folders_of_the_environment_are_ignored() {
        let variables = [
            ("CREDENTIALS_DIRECTORY", "c"),
            ("STATE_DIRECTORY", ":s"),
            ("XDG_STATE_HOME", "x"),
            ("HOME", "h"),
        ];

        assert_eq!(of(None, &variables), (vec![], None));
    }
}
