//! The pages of exit codes and signals name exactly those there are.

use std::collections::BTreeSet;

use crate::pages::{answer, table};

#[test]
fn the_page_of_exit_codes_and_the_help_agree() {
    let number = |word: &str| word.parse::<u8>().ok();

    for command in ["run", "explain", "doctor", "validate", "import", "certificate", "tunnel key", "bench"] {
        let first = match command {
            "explain" | "doctor" => "exit code of `explain` and `doctor`".to_owned(),
            command => format!("exit code of `{command}`"),
        };
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = answer(&words);
        let listed = help.split_once("Exit codes:").unwrap().1;
        let of_help: BTreeSet<u8> =
            listed.lines().filter_map(|line| number(line.split_whitespace().next()?)).collect();

        let rows = table("docs/reference/exit-codes.md", &first);
        let of_page: BTreeSet<u8> = rows.iter().filter_map(|row| number(&row[0])).collect();

        assert_eq!(of_page, of_help, "{command}");
        assert!(of_page.len() >= 2, "{command}");
    }
}

#[test]
fn the_page_of_signals_names_those_of_the_help() {
    let help = answer(&["run", "--help"]);
    let signals = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_uppercase());
        words.filter(|word| word.len() > 3 && word.starts_with("SIG")).map(str::to_owned).collect()
    };

    // The help leaves out those that users do not send: ignored ones, and those of a crash.
    let rows = table("docs/reference/signals.md", "signal");
    let is_for_users =
        |row: &&Vec<String>| row[1] != "nothing" && !row[1].contains("reset every TCP connection");
    let of_page: BTreeSet<String> =
        rows.iter().filter(is_for_users).flat_map(|row| signals(&row[0])).collect();

    assert_eq!(of_page, signals(&help));
    assert!(of_page.len() >= 3);
}
