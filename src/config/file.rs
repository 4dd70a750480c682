//! The file's bytes → text; a file that cannot be a configuration is refused before it is parsed.
//!
//! This module neither chooses the file nor watches it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::problem::{Place, Problem};

/// The largest file that is read, in bytes. 1,000 routes take about a tenth of it.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;

/// The whole text of the file at `path`.
///
/// # Errors
/// A problem if it cannot be read, is larger than [`MAX_BYTES`], or is not UTF-8.
pub(crate) fn read_file(path: &Path) -> Result<String, Box<Problem>> {
    let problem = |message: String| Problem::new(Place::File, "", message);
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let (what, mut help) = unreadable(&error);
            if path == Path::new("-") {
                help = "write /dev/stdin to read from a pipe";
            }
            return Err(Box::new(problem(what).help(help)));
        }
    };
    if bytes.len() as u64 > MAX_BYTES {
        let problem = problem("the file is larger than 1 MiB, the limit for a configuration".into());
        return Err(Box::new(problem.help("is this the right file?")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        let problem = problem(format!("line {line} is not UTF-8 text (byte {good} of the file)"));
        Box::new(problem.help("save the file as UTF-8"))
    })
}

/// Whether a text holds a certificate or a key. Such a file is never quoted, whatever it was named as.
pub(crate) fn is_pem(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("-----BEGIN "))
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    // One byte more than allowed distinguishes a file that is too large from one that just fits.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a file cannot be read, and what to do.
pub(crate) fn unreadable(error: &io::Error) -> (String, &'static str) {
    match error.kind() {
        ErrorKind::NotFound => ("there is no such file".into(), "check the path, or write the file"),
        ErrorKind::IsADirectory => ("this is a directory".into(), "name the file in it"),
        ErrorKind::PermissionDenied => {
            ("this user may not read the file".into(), "change its permissions, or run as a user who may")
        }
        _ => (format!("the file cannot be read: {error}"), "check the path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read_file(file.path()).map_or_else(|problem| problem.message, |text| format!("read {}", text.len()))
    }

    #[test]
    fn a_file_that_cannot_be_a_configuration_is_refused() {
        let most = usize::try_from(MAX_BYTES).unwrap();

        assert_eq!(outcome(b""), "read 0");
        assert_eq!(outcome(&vec![b'#'; most]), format!("read {most}"));
        assert!(outcome(&vec![b'#'; most + 1]).starts_with("the file is larger than 1 MiB"));
        assert_eq!(outcome(b"a\nb\xff"), "line 2 is not UTF-8 text (byte 3 of the file)");
    }

    #[test]
    fn a_path_that_is_not_a_file_is_reported_as_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| read_file(path).unwrap_err().message;

        assert_eq!(message(folder.path()), "this is a directory");
        assert_eq!(message(&folder.path().join("x.toml")), "there is no such file");
        let help = read_file(Path::new("-")).unwrap_err().help;
        assert_eq!(help.as_deref(), Some("write /dev/stdin to read from a pipe"));
    }
}
