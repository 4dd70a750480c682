//! Reads README and the pages of the book.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the package as text.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every page of the book, as paths below the package, `docs/SUMMARY.md` among them.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 30, "only {} pages found", found.len());
    found
}

/// README and every page of the book.
pub(crate) fn all() -> Vec<PathBuf> {
    [PathBuf::from("README.md")].into_iter().chain(pages()).collect()
}

/// The text without fenced blocks.
pub(crate) fn prose(text: &str) -> String {
    format!("\n{text}").split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// The fenced blocks of one language.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let text = format!("\n{text}");
    let fenced = text.split("\n```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.strip_prefix(&format!("{language}\n")))
        .map(|it| format!("{it}\n"))
        .collect()
}

/// The headings of a page, each with its marks: `## Exit codes`.
pub(crate) fn headings(text: &str) -> Vec<String> {
    prose(text).lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect()
}

/// Where a heading is found in its page, by the rule that GitHub and mdBook share.
pub(crate) fn anchor(heading: &str) -> String {
    let plain = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = plain.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The rows of the table of a page whose header begins with `first`, each as its cells.
pub(crate) fn table(page: &str, first: &str) -> Vec<Vec<String>> {
    let text = read(page);
    let start = format!("\n\n| {first} |");
    let (_, rows) = text.split_once(&start).unwrap_or_else(|| panic!("{page} has no table of {first}"));
    rows.lines().skip(2).map_while(cells).collect()
}

/// The cells of a row; `None` where the line is no row.
pub(crate) fn cells(line: &str) -> Option<Vec<String>> {
    let inside = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inside.split('|').map(|cell| cell.trim().to_owned()).collect())
}

/// The words between backticks: `` `up`, `down` `` → up and down.
pub(crate) fn words(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What the program answers on standard output.
pub(crate) fn answer(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_loopgate")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands, in the order of the help.
pub(crate) fn commands() -> Vec<String> {
    let names = listed(&answer(&["--help"]));
    assert!(names.len() >= 8, "{names:?}");
    names
}

/// The commands that a help lists; none if it lists none.
pub(crate) fn listed(help: &str) -> Vec<String> {
    let Some((_, rest)) = help.split_once("Commands:\n") else { return Vec::new() };
    let name =
        |line: &str| line.strip_prefix("  ").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
    let names = rest.split_once("\n\n").unwrap().0.lines().filter_map(name);
    names.filter(|name| !name.is_empty() && name != "help").collect()
}
