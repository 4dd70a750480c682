//! Which file is read if the command line names none.
//!
//! The environment and the file system are arguments, so that a test can show the order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::{Place, Problem, Problems};
use crate::units::shown_path;

const FILE: &str = "loopgate.toml";

/// The configuration file that [`find_file`] finds with the environment of this process.
///
/// # Errors
/// The one problem of [`find_file`].
pub fn default_file() -> Result<PathBuf, Problems> {
    // A path that cannot be examined counts as found: reading it will report why.
    find_file(|name| std::env::var_os(name), |path| path.try_exists().unwrap_or(true))
}

/// Where a user's own file is: `$XDG_CONFIG_HOME/loopgate/loopgate.toml`, in `~/.config` without the variable; `None` if the
/// environment names no folder.
#[cfg(feature = "cli")]
pub(crate) fn user_file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    user_folder(&|name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from))
        .map(|folder| in_folder(folder).join(FILE))
}

/// The XDG base directory specification: relative paths are ignored.
fn user_folder(variable: &impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let xdg = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    xdg.or_else(|| variable("HOME").map(|home| home.join(".config")))
}

/// The first that exists of `$LOOPGATE_CONFIG` (used even if it does not exist), `./loopgate.toml`,
/// `$XDG_CONFIG_HOME/loopgate/loopgate.toml` (`~/.config` without it) and `/etc/loopgate/loopgate.toml`.
///
/// # Errors
/// One problem that lists the places, if no file exists in any.
pub fn find_file(
    variable: impl Fn(&str) -> Option<OsString>,
    exists: impl Fn(&Path) -> bool,
) -> Result<PathBuf, Problems> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(named) = variable("LOOPGATE_CONFIG") {
        return Ok(named);
    }
    let user = user_folder(&variable);
    let places: Vec<PathBuf> =
        [Some(PathBuf::from(".")), user.map(in_folder), Some(in_folder("/etc".into()))]
            .into_iter()
            .flatten()
            .map(|folder| folder.join(FILE))
            .collect();
    match places.iter().find(|place| exists(place)) {
        Some(found) => Ok(found.clone()),
        None => Err(nowhere(&places)),
    }
}

fn in_folder(config: PathBuf) -> PathBuf {
    config.join("loopgate")
}

fn nowhere(places: &[PathBuf]) -> Problems {
    let places: Vec<String> = places.iter().map(|place| shown_path(place)).collect();
    let message =
        format!("no configuration: $LOOPGATE_CONFIG is not set, and there is no {}", places.join(", no "));
    let help = "name a file with -c FILE, or give a route on the command line, as 8080:3000";
    Problems::new("", "", vec![Problem::new(Place::File, "", message).help(help)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)], files: &[&str]) -> Result<String, String> {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        let exists = |path: &Path| files.contains(&path.to_str().unwrap());
        match find_file(variable, exists) {
            Ok(path) => Ok(path.display().to_string()),
            Err(problems) => Err(problems.list[0].message.clone()),
        }
    }

    #[test]
    fn the_places_are_looked_at_in_their_order() {
        let here = "./loopgate.toml";
        let home = "/h/.config/loopgate/loopgate.toml";
        let xdg = "/x/loopgate/loopgate.toml";
        let etc = "/etc/loopgate/loopgate.toml";
        let variables = [("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")];

        assert_eq!(find(&[("LOOPGATE_CONFIG", "/c")], &[here]), Ok("/c".into()));
        assert_eq!(find(&[("LOOPGATE_CONFIG", "")], &[here]), Ok(here.into()));
        assert_eq!(find(&variables, &[etc, home, xdg, here]), Ok(here.into()));
        assert_eq!(find(&variables, &[etc, home, xdg]), Ok(xdg.into()));
        assert_eq!(find(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")], &[etc, home]), Ok(home.into()));
        assert_eq!(find(&[], &[etc, home]), Ok(etc.into()));
    }

    #[test]
    fn nothing_found_says_where_it_looked() {
        assert_eq!(
            find(&[("HOME", "/h")], &[]).unwrap_err(),
            "no configuration: $LOOPGATE_CONFIG is not set, and there is no ./loopgate.toml, \
             no /h/.config/loopgate/loopgate.toml, no /etc/loopgate/loopgate.toml"
        );
    }
}
