//! The file's bytes → text; a file that cannot be a configuration is refused before it is parsed.
//!
//! This module neither chooses the file nor watches it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::problem::{Place, Problem};
use super::regular::{Content, Limit, Unread, read_file_or_pipe, read_regular};

/// The largest configuration that is read. 1,000 routes take about a tenth of it.
pub(crate) const LIMIT: Limit = Limit { mebibytes: 1, name: "the limit for a configuration" };

/// The whole text of the file, of the pipe or of what is typed at `path`.
///
/// # Errors
/// A problem if it cannot be read, is larger than [`LIMIT`], or is not UTF-8.
pub(crate) fn read_file(path: &Path) -> Result<String, Box<Problem>> {
    text(read_file_or_pipe(path, LIMIT).map_err(|unread| {
        let (what, mut help) = unread.told();
        if path == Path::new("-") {
            help = "write /dev/stdin to read from a pipe";
        }
        Box::new(Problem::new(Place::File, "", what).help(help))
    })?)
}

/// Who beside root and this user may write a regular file, in words that follow its name; `None` if nobody may, or if it is
/// no regular file (as a pipe, which only its writer has).
pub(crate) fn others_may_write(path: &Path) -> Option<String> {
    let meta = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    written_by_others(&meta)
}

/// The same of a folder: who may put files there.
pub(crate) fn others_may_write_in(folder: &Path) -> Option<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let meta = fs::metadata(folder).ok().filter(fs::Metadata::is_dir)?;
    written_by_others(&meta)
}

fn written_by_others(meta: &fs::Metadata) -> Option<String> {
    let (mode, owner) = (meta.mode() & 0o7777, meta.uid());
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Some(format!("it belongs to user {owner}"));
    }
    (mode & 0o022 != 0).then(|| format!("its mode is {mode:04o}"))
}

/// Why a file is not included: what is wrong, to follow its name, and what to do.
pub(super) struct NotIncluded {
    pub(super) what: String,
    pub(super) help: String,
    /// Whether it may be read later without having changed.
    pub(super) is_busy: bool,
}

impl NotIncluded {
    pub(super) fn new(what: &str, help: &str) -> NotIncluded {
        NotIncluded { what: what.to_owned(), help: help.to_owned(), is_busy: false }
    }
}

/// The whole text of a regular file that is included.
pub(super) fn read_included(path: &Path) -> Result<String, NotIncluded> {
    let content = read_regular(path, LIMIT).map_err(|unread| {
        let (what, mut help) = unread.told();
        if matches!(unread, Unread::Directory) {
            help = "name a file, or the files in it, as conf.d/*.toml";
        }
        NotIncluded { is_busy: matches!(unread, Unread::Leased), ..NotIncluded::new(&what, help) }
    })?;
    content.text().map_err(|at| NotIncluded::new(&no_text(at), AS_UTF8))
}

const AS_UTF8: &str = "save the file as UTF-8";

fn no_text((line, byte): (usize, usize)) -> String {
    format!("line {line} is not UTF-8 text (byte {byte} of the file)")
}

fn text(content: Content) -> Result<String, Box<Problem>> {
    content.text().map_err(|at| Box::new(Problem::new(Place::File, "", no_text(at)).help(AS_UTF8)))
}

/// Whether a text holds a certificate or a key. Such a file is never quoted, whatever it was named as.
pub(crate) fn is_pem(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("-----BEGIN "))
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
        let most = usize::try_from(LIMIT.bytes()).unwrap();

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
