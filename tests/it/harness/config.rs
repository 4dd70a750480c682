//! A configuration file, and the ways in which editors and programs save it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

/// A configuration file in its own temporary directory.
pub(crate) struct Config {
    folder: TempDir,
    pub(crate) path: PathBuf,
    saves: u32,
}

/// How a file is saved.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Save {
    /// Truncated and written.
    InPlace,
    /// Written to another file and renamed over, as editors do.
    RenameOver,
    /// A directory exchanged behind two symlinks, as Kubernetes does with a ConfigMap.
    SymlinkSwap,
    /// Removed, and written again.
    AfterAMissingMoment,
}

impl Save {
    pub(crate) const ALL: [Save; 4] =
        [Save::InPlace, Save::RenameOver, Save::SymlinkSwap, Save::AfterAMissingMoment];
}

impl Config {
    pub(crate) fn new(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loopgate.toml");
        fs::write(&path, text).unwrap();
        Config { folder, path, saves: 0 }
    }

    pub(crate) fn save(&mut self, how: Save, text: &str) {
        self.saves += 1;
        let beside = self.folder.path().join(format!("beside-{}", self.saves));
        match how {
            Save::InPlace => fs::write(&self.path, text).unwrap(),
            Save::RenameOver => {
                fs::write(&beside, text).unwrap();
                fs::rename(&beside, &self.path).unwrap();
            }
            Save::AfterAMissingMoment => {
                fs::remove_file(&self.path).unwrap();
                fs::write(&self.path, text).unwrap();
            }
            Save::SymlinkSwap => {
                // loopgate.toml -> ..data/loopgate.toml, ..data -> beside-N
                fs::create_dir(&beside).unwrap();
                fs::write(beside.join("loopgate.toml"), text).unwrap();
                let (data, link) = (self.folder.path().join("..data"), self.folder.path().join("link"));
                symlink(&beside, &link).unwrap();
                fs::rename(&link, &data).unwrap();
                if !self.path.is_symlink() {
                    symlink("..data/loopgate.toml", &link).unwrap();
                    fs::rename(&link, &self.path).unwrap();
                }
            }
        }
    }
}
