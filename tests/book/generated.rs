//! Parts of pages that are written by the program, or taken from files, and kept equal to them.
//!
//! `UPDATE=1 cargo test --test book` writes them anew; the change is then a visible diff.

use std::fmt::Write as _;
use std::fs;

use loopgate::diagnosis::{Severity, Verdict};

use crate::pages::{answer, commands, listed, read, root};

/// Checks what a page has between `<!-- name:begin -->` and `<!-- name:end -->`, or writes it.
fn holds(page: &str, name: &str, wanted: &str) {
    let text = read(page);
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page} has no {begin}"));
    let (held, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{page} has no {end}"));
    if held == wanted {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join(page), format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    panic!("{page}: what stands between {name}:begin and {name}:end is old: UPDATE=1 cargo test --test book");
}

/// The groups of verdicts, each with the first of it, in the order of the list.
const GROUPS: [(&str, Verdict); 6] = [
    ("Listening", Verdict::PortHeld),
    ("Reaching a target", Verdict::TargetNotRunning),
    ("A session", Verdict::TargetStalledWindow),
    ("A tunnel", Verdict::TunnelNotLoopgate),
    ("Standing facts", Verdict::PortInEphemeralRange),
    ("No fault", Verdict::Healthy),
];

#[test]
fn the_page_of_verdicts_has_each_with_what_explain_says() {
    let mut page = String::new();
    for verdict in Verdict::ALL {
        if let Some((group, _)) = GROUPS.iter().find(|(_, first)| first == verdict) {
            write!(page, "\n## {group}\n").unwrap();
        }
        let severity = match verdict.severity() {
            Severity::Fine => "Fine",
            Severity::Warning => "Warning",
            Severity::Unclear => "Unclear",
            Severity::Error => "Error",
        };
        let advice = verdict.advice();
        let (id, meaning, why, remedy) = (verdict.id(), verdict.meaning(), advice.why, advice.remedy);
        write!(page, "\n### `{id}`\n\n*{severity}.* {meaning}\n\n- Why: {why}\n- What to do: {remedy}\n")
            .unwrap();
    }
    page.push('\n');

    for (group, _) in GROUPS {
        assert!(page.contains(&format!("\n## {group}\n")), "no verdict begins {group}");
    }
    holds("docs/reference/verdicts.md", "verdicts", &page);
}

#[test]
fn the_page_of_the_command_line_is_what_help_prints() {
    let mut page = format!("\n```text\n{}\n```\n", answer(&["--help"]).trim_end());
    for command in commands() {
        let help = answer(&[&command, "--help"]);
        write!(page, "\n## `{command}`\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
        for nested in listed(&help) {
            let help = answer(&[&command, &nested, "--help"]);
            write!(page, "\n## `{command} {nested}`\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
        }
    }
    page.push('\n');

    holds("docs/reference/command-line.md", "help", &page);
}

#[test]
fn the_page_of_examples_has_each_of_them_whole() {
    let entries = fs::read_dir(root().join("examples")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".toml"));
    names.sort();

    let mut page = String::new();
    for name in &names {
        let text = read(format!("examples/{name}"));
        write!(page, "\n## {name}\n\n```toml\n{}\n```\n", text.trim_end()).unwrap();
    }
    page.push('\n');

    assert!(names.len() > 20, "{names:?}");
    holds("docs/examples.md", "examples", &page);
}

#[test]
fn the_page_of_the_library_shows_the_example_whole() {
    let text = read("examples/embed.rs");

    holds("docs/library.md", "embed", &format!("\n```rust\n{}\n```\n\n", text.trim_end()));
}

#[test]
fn the_page_of_keys_has_what_their_declarations_say() {
    let page = loopgate::config::reference();

    for path in loopgate::config::keys() {
        let key = path.rsplit('.').next().unwrap();
        assert!(page.contains(&format!("\n| `{key}` | ")), "{path} has no row");
    }
    holds("docs/reference/config.md", "keys", &page);
}
