//! systemd's socket units: finds the unit for a port that systemd itself listens on for a service.
//!
//! It reads the unit files (systemd.socket(5), systemd.unit(5)) and does not query systemd.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::probe::read_text;
use crate::units::shown;

/// The folders of unit files; a file in an earlier folder overrides one of the same name in a later folder.
const FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];
const MAX_UNITS: usize = 1024;
const MAX_FILE: u64 = 16 * 1024;
const MAX_NAME: usize = 64;

/// The socket unit with a `ListenStream=` or `ListenDatagram=` on this port.
pub fn listening_on(port: u16) -> Option<String> {
    listening_in(&FOLDERS.map(Path::new), port)
}

fn listening_in(folders: &[&Path], port: u16) -> Option<String> {
    let mut units: BTreeMap<String, PathBuf> = BTreeMap::new();
    for folder in folders {
        let files = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        for file in files.take(MAX_UNITS) {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.ends_with(".socket") {
                units.entry(name).or_insert(file.path());
            }
        }
    }
    let listens = |path: &PathBuf| {
        read_text(path, MAX_FILE).is_ok_and(|unit| unit.lines().any(|line| names(line, port)))
    };
    units.iter().find(|(_, path)| listens(path)).map(|(name, _)| shown(name, MAX_NAME))
}

/// `ListenStream=127.0.0.1:8080`, `ListenStream = [::1]:8080`, `ListenDatagram=8080`
fn names(line: &str, port: u16) -> bool {
    let Some((key, value)) = line.split_once('=') else { return false };
    let value = value.split('%').next().unwrap_or_default().trim();
    matches!(key.trim(), "ListenStream" | "ListenDatagram")
        && value.rsplit(':').next().is_some_and(|number| number.parse() == Ok(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_a_port_is_found_and_the_administrators_file_counts() {
        let (ours, vendors) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(ours.path().join("a.socket"), "[Socket]\nListenStream=127.0.0.1:81\n").unwrap();
        fs::write(vendors.path().join("a.socket"), "[Socket]\nListenStream=80\n").unwrap();
        fs::write(vendors.path().join("b.socket"), "[Socket]\nListenStream = [::]:8080\n").unwrap();
        let find = |port| listening_in(&[ours.path(), vendors.path()], port);

        assert_eq!(find(8080).as_deref(), Some("b.socket"));
        assert_eq!(find(81).as_deref(), Some("a.socket"));
        assert_eq!(find(80), None);
    }
}
