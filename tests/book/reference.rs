//! The pages of keys, exit codes and signals name exactly those there are.

use std::collections::{BTreeMap, BTreeSet};

use loopgate::config;

use crate::pages::{answer, cells, read, table, words};

const KEYS: &str = "docs/reference/config.md";

/// The heading of the page under which the keys of a table stand, where there is but one.
fn heading(table: &str) -> &str {
    match table {
        "routes.NAME.target" => "### Targets",
        "limits" => "### `limits`",
        "log" => "### `log`",
        "routes.NAME.health" | "defaults.health" => "### `health`",
        "routes.NAME.tls" | "defaults.tls" => "### `tls`",
        "routes.NAME.target_tls" | "defaults.target_tls" => "### `target_tls`",
        "routes.NAME" | "defaults" => "routes",
        other => panic!("{KEYS} has no part for the table {other}"),
    }
}

/// The rows of keys by the heading they stand under; those of all settings of routes are one.
fn described() -> BTreeMap<String, Vec<Vec<String>>> {
    let text = read(KEYS);
    let (_, rest) = text.split_once("<!-- keys:begin -->").unwrap();
    let (keys, _) = rest.split_once("<!-- keys:end -->").unwrap();
    let mut found: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    let mut part = String::new();
    for line in keys.lines() {
        if line.starts_with("### ") {
            let own =
                ["### Targets", "### `limits`", "### `log`", "### `health`", "### `tls`", "### `target_tls`"];
            part = own.into_iter().find(|own| *own == line).unwrap_or("routes").to_owned();
        }
        let row = cells(line).filter(|row| row[0].starts_with('`'));
        found.entry(part.clone()).or_default().extend(row);
    }
    found.retain(|_, rows| !rows.is_empty());
    found
}

#[test]
fn the_page_of_keys_names_every_key_and_no_other() {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in config::keys() {
        let (table, key) = path.rsplit_once('.').unwrap();
        wanted.entry(heading(table).to_owned()).or_default().insert(key.to_owned());
    }
    // Tables under a route are headings of their own.
    wanted
        .entry("routes".to_owned())
        .or_default()
        .retain(|key| !["health", "tls", "target_tls"].contains(&key.as_str()));

    let described = described();

    let names =
        |rows: &[Vec<String>]| rows.iter().map(|row| words(&row[0]).concat()).collect::<BTreeSet<_>>();
    let named: BTreeMap<_, _> = described.iter().map(|(part, rows)| (part.clone(), names(rows))).collect();
    assert_eq!(named, wanted);
    assert!(described.values().map(Vec::len).sum::<usize>() > 60);
}

#[test]
fn the_page_of_keys_tells_the_defaults_of_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(&read("schema/config.schema.json")).unwrap();
    let described = described();
    let mut compared = 0;

    for (table, pointer) in [
        ("defaults", "/properties/defaults"),
        ("defaults.health", "/properties/defaults/properties/health"),
        ("limits", "/properties/limits"),
        ("log", "/properties/log"),
    ] {
        let keys = schema.pointer(pointer).unwrap()["properties"].as_object().unwrap();
        for (key, form) in keys {
            let Some(default) = form.get("default") else { continue };
            let row = described[heading(table)].iter().find(|row| row[0] == format!("`{key}`")).unwrap();
            assert!(
                row[2].starts_with(&format!("`{default}`")),
                "{table}.{key} is {default}, not {}",
                row[2]
            );
            compared += 1;
        }
    }

    assert!(compared > 20, "only {compared} defaults compared");
}

#[test]
fn the_page_of_exit_codes_and_the_help_agree() {
    let number = |word: &str| word.parse::<u8>().ok();

    for command in ["run", "explain", "doctor", "validate", "import", "certificate"] {
        let first = match command {
            "explain" | "doctor" => "exit code of `explain` and `doctor`".to_owned(),
            command => format!("exit code of `{command}`"),
        };
        let help = answer(&[command, "--help"]);
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

    let rows = table("docs/reference/signals.md", "signal");
    let of_page: BTreeSet<String> = rows.iter().flat_map(|row| signals(&row[0])).collect();

    assert_eq!(of_page, signals(&help));
    assert!(of_page.len() >= 3);
}
