//! The file's bytes → text; what cannot be a configuration is refused before it is parsed.
//!
//! It does not choose the file and does not watch it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::problem::{Place, Problem};

/// The largest file that is read. 1,000 routes take about a tenth of it.
const MAX_BYTES: u64 = 1024 * 1024;

/// The whole text of the file at `path`.
pub(crate) fn read_file(path: &Path) -> Result<String, Box<Problem>> {
    let problem = |message: String| Problem::new(Place::File, "", message);
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let (what, help) = unreadable(&error);
            return Err(Box::new(problem(what).help(help)));
        }
    };
    if bytes.len() as u64 > MAX_BYTES {
        let problem = problem("the file is larger than 1 MiB, and no configuration is".into());
        return Err(Box::new(problem.help("is this the right file?")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        let problem = problem(format!("line {line} is not UTF-8 text (byte {good} of the file)"));
        Box::new(problem.help("save the file as UTF-8"))
    })
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(error: &io::Error) -> (String, &'static str) {
    match error.kind() {
        ErrorKind::NotFound => ("there is no such file".into(), "check the path, or write the file"),
        ErrorKind::IsADirectory => ("this is a directory".into(), "name the file in it"),
        ErrorKind::PermissionDenied => {
            ("this user may not read the file".into(), "change its permissions, or run as a user who may")
        }
        _ => (format!("the file cannot be read: {error}"), "check the path"),
    }
}
