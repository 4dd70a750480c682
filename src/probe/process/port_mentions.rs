//! Finds out whether a process is related to a port: its arguments, its environment or the script it runs mention the
//! number.
//!
//! Nothing that is read is kept or shown.

use std::path::{Path, PathBuf};

use super::names_number;
use crate::probe::read_start;

const MAX_ENVIRONMENT: u64 = 64 * 1024;
const MAX_TEXT: u64 = 64 * 1024;
/// The most arguments tried as the file of a script.
const MAX_FILES: usize = 4;
/// The most processes tried: few programs have more than three ancestors in the same service.
const MAX_GENERATIONS: usize = 4;

/// Whether a process or one of its ancestors, given from the youngest on, mentions the number anywhere.
pub fn name_number(generations: impl IntoIterator<Item = u32>, number: u16) -> bool {
    generations
        .into_iter()
        .take(MAX_GENERATIONS)
        .any(|pid| names_number(pid, number) || environment_names(pid, number) || program_names(pid, number))
}

/// The environment, such as `PORT=3000`, which only its user and root may read.
fn environment_names(pid: u32, number: u16) -> bool {
    let environment = read_start(format!("/proc/{pid}/environ"), MAX_ENVIRONMENT).unwrap_or_default();
    has_number(&environment, number)
}

/// A shell script or other source file that an interpreter runs.
fn program_names(pid: u32, number: u16) -> bool {
    let command = read_start(format!("/proc/{pid}/cmdline"), MAX_TEXT).unwrap_or_default();
    let arguments = command.split(|byte| *byte == 0).skip(1);
    let words = arguments.filter_map(|word| std::str::from_utf8(word).ok()).filter(|word| !word.is_empty());
    let files = words.filter(|word| !word.starts_with('-')).map(|word| within(pid, word));
    files.take(MAX_FILES).any(|file| {
        // Reading a pipe or a device could block.
        file.is_file() && has_number(&read_start(file, MAX_TEXT).unwrap_or_default(), number)
    })
}

/// A path as the process sees it: below its root, relative to its working directory.
fn within(pid: u32, path: &str) -> PathBuf {
    let start = if path.starts_with('/') { "root" } else { "cwd" };
    Path::new(&format!("/proc/{pid}/{start}")).join(path.trim_start_matches('/'))
}

fn has_number(text: &[u8], number: u16) -> bool {
    let wanted = number.to_string();
    text.split(|byte| !byte.is_ascii_digit()).any(|digits| digits == wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_number_in_the_environment_or_the_script_ties_a_process_to_a_port() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("serve.sh");
        std::fs::write(&script, "# on 61234\necho\nread line").unwrap();
        let mut child = Command::new("sh")
            .arg("serve.sh")
            .current_dir(&folder)
            .env("PORT", "61235")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The shell runs the script once it has written the script's first line.
        let mut out = child.stdout.take().unwrap();
        std::io::Read::read_exact(&mut out, &mut [0]).unwrap();

        let found = [61234, 61235, 61236].map(|port| name_number([child.id()], port));
        child.kill().unwrap();
        child.wait().unwrap();

        assert_eq!(found, [true, true, false]);
    }

    #[test]
    fn only_a_whole_number_counts() {
        assert!(has_number(b"PORT=3000", 3000) && !has_number(b"PORT=13000", 3000));
    }
}
