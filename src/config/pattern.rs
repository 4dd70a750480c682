//! `conf.d/*.toml`: the files of one folder whose names match a pattern.
//!
//! Only `*` and `?` in the last part of a path, which is all that folders of configurations need. Written by hand,
//! because the crates for it walk whole trees without a bound and treat hidden files in their own way.

#[cfg(feature = "cli")]
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The most entries of a folder that are examined.
pub(super) const MAX_ENTRIES: usize = 10_000;

/// The endings of files that editors and package managers leave beside the original.
const LEFTOVERS: &[&str] = &[
    "~",
    ".swp",
    ".swo",
    ".swx",
    ".tmp",
    ".bak",
    ".orig",
    ".rej",
    ".save",
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-dist",
    ".dpkg-tmp",
    ".rpmsave",
    ".rpmnew",
    ".rpmorig",
    ".ucf-old",
    ".ucf-dist",
];

/// Whether a path is a pattern.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?'])
}

/// Every file that matches, sorted by name.
///
/// # Errors
/// The errno of listing the folder, which must exist: one that is missing for a moment must not remove its routes; `FileTooLarge` if it has more than [`MAX_ENTRIES`] entries.
pub(super) fn matches(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let (folder, name) = (pattern.parent().unwrap_or(Path::new("")), pattern.file_name().unwrap_or_default());
    let name = name.to_string_lossy();
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut found = Vec::new();
    for (n, entry) in fs::read_dir(here)?.enumerate() {
        if n == MAX_ENTRIES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let entry = entry?.file_name();
        let entry_name = entry.to_string_lossy();
        if !is_leftover(&entry_name) && fits(&name, &entry_name) {
            found.push(folder.join(&entry));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether [`matches`] finds a file of this name with this last part of a pattern.
#[cfg(feature = "cli")]
pub(super) fn takes(pattern: &OsStr, name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    !is_leftover(&name) && fits(&pattern.to_string_lossy(), &name)
}

/// Whether the file is hidden, or left there by another program.
fn is_leftover(name: &str) -> bool {
    name.starts_with(['.', '#']) || LEFTOVERS.iter().any(|end| name.ends_with(end))
}

/// Whether a name matches a pattern: `*` stands for any text, `?` for one character. Linear except for the last `*`.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to continue if the part after the last `*` does not match: behind the `*`, one character later in the name.
    let mut again: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                again = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match again {
                Some((after, from)) => {
                    again = Some((after, from + 1));
                    (p, n) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_by_stars_and_question_marks() {
        for (pattern, name, is_fit) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml.x", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("??-*", "10-web.toml", true),
            ("??-*", "1-web.toml", false),
            ("ü?", "üö", true),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, name), is_fit, "{pattern} {name}");
        }
        assert!(!fits(&"a*".repeat(100), &"a".repeat(99)));
    }

    #[test]
    fn hidden_files_and_leftovers_are_not_listed() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["b.toml", "a.toml", ".c.toml", "d.toml~", ".e.toml.swp", "#f.toml#", "g.toml.bak", "h.txt"]
        {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let found = matches(&folder.path().join(pattern)).unwrap();
            found.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        };

        assert_eq!(names("*.toml"), ["a.toml", "b.toml"]);
        assert_eq!(names("*"), ["a.toml", "b.toml", "h.txt"]);
        assert_eq!(matches(&folder.path().join("none/*")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let kind = |pattern: &str| matches(&folder.path().join(pattern)).unwrap_err().kind();
        assert_eq!(kind("a.toml/*"), io::ErrorKind::NotADirectory);
    }
}
