//! The manual page and the completions match the commands.
//!
//! `UPDATE=1 cargo test --test manual` rewrites the page; the change is then a visible diff.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn told(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_loopgate")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands the help lists.
fn commands() -> Vec<String> {
    let help = told(&["--help"]);
    let listed = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let name = |line: &str| {
        line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()).map(str::to_owned)
    };
    listed.lines().filter_map(name).filter(|name| name != "help").collect()
}

#[test]
fn the_checked_in_page_is_what_the_command_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/loopgate.1");
    let page = told(&["man"]);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }

    let checked_in = fs::read_to_string(&path).unwrap_or_default();

    assert!(page == checked_in, "UPDATE=1 cargo test --test manual writes {} anew", path.display());
}

#[test]
fn the_page_has_every_command_and_every_section() {
    let page = told(&["man"]);
    let commands = commands();

    for command in &commands {
        let (own, nested) = (format!("\n.SS {command}\n"), format!("\n.SS \"{command} "));
        assert!(page.contains(&own) || page.contains(&nested), "{command}");
    }
    for section in ["NAME", "SYNOPSIS", "FILES", "ENVIRONMENT", "SIGNALS", "\"EXIT STATUS\"", "EXAMPLES"] {
        assert!(page.contains(&format!("\n.SH {section}\n")), "{section}");
    }
    assert!(commands.len() >= 8, "{commands:?}");
}

#[test]
fn every_shell_gets_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = told(&["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell} does not know {command}");
        }
    }
}

#[test]
#[ignore = "needs bash"]
fn bash_completes_commands_options_and_words() {
    for (words, wanted) in [
        ("loopgate ex", "explain"),
        ("loopgate explain --li", "--listen"),
        ("loopgate completions z", "zsh"),
        ("loopgate import --from rin", "rinetd"),
        ("loopgate run --log-format j", "json"),
        ("loopgate tunnel k", "key"),
    ] {
        let last = words.rsplit(' ').next().unwrap();
        let before = words.rsplit(' ').nth(1).unwrap();
        let script = format!(
            "{}\nCOMP_WORDS=({words})\nCOMP_CWORD={}\nCOMP_LINE='{words}'\nCOMP_POINT=${{#COMP_LINE}}\n\
             _loopgate loopgate '{last}' '{before}'\necho \"${{COMPREPLY[*]}}\"\ncomplete -p loopgate >/dev/null\n",
            told(&["completions", "bash"]),
            words.split(' ').count() - 1,
        );
        let mut bash = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();

        let output = bash.wait_with_output().unwrap();

        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), wanted, "{words}: {output:?}");
        assert!(output.status.success() && output.stderr.is_empty(), "{words}: {output:?}");
    }
}
