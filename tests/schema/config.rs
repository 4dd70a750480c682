//! `schema/config.schema.json` is generated from the configuration's own keys and types, and it accepts and rejects the
//! same as the parser.

use std::fs;
use std::path::{Path, PathBuf};

use loopgate::{config, plan};
use serde_json::{Value, json};

use super::validate;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn checked_in() -> Value {
    serde_json::from_str(&fs::read_to_string(root().join("schema/config.schema.json")).unwrap()).unwrap()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    files
}

/// The faults that the schema finds in a text; `None` if the text is not TOML.
fn problems(text: &str, schema: &Value) -> Option<Vec<String>> {
    let mut file: Value = toml::from_str(text).ok()?;
    without_dates(&mut file);
    Some(validate::problems(&file, schema))
}

/// The parser delivers a date as a table with a private key; JSON has no dates, and no key of the configuration takes
/// one.
fn without_dates(value: &mut Value) {
    match value {
        Value::Object(table) if table.keys().any(|key| key.starts_with("$__toml")) => *value = Value::Null,
        Value::Object(table) => table.values_mut().for_each(without_dates),
        Value::Array(list) => list.iter_mut().for_each(without_dates),
        _ => {}
    }
}

#[test]
fn the_checked_in_schema_is_what_the_keys_give() {
    let path = root().join("schema/config.schema.json");
    let schema = config::schema();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{schema:#}\n")).unwrap();
    }

    assert!(checked_in() == schema, "UPDATE=1 cargo test --test schema writes {} anew", path.display());
}

#[test]
fn whatever_loads_fits_the_schema() {
    let schema = config::schema();
    let files = [
        files("tests/configs/ok"),
        files("tests/configs/tunnels/ok"),
        files("examples"),
        vec![root().join("config.example.toml")],
    ];

    for path in files.iter().flatten() {
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(problems(&text, &schema), Some(vec![]), "{}", path.display());
    }

    assert!(files.iter().all(|files| !files.is_empty()));
}

#[test]
fn unknown_keys_and_wrong_kinds_are_refused() {
    let schema = config::schema();
    let route = "[routes.a]\nlisten = \"1\"\ntarget = \"2\"\n";
    assert_eq!(problems(route, &schema), Some(vec![]));

    for wrong in [
        "colour = 1",
        "connect_timeout = 5",
        "connect_timeout = \"5\"",
        "protocol = \"sctp\"",
        "v6only = \"true\"",
        "source = []",
        "socket_mode = \"rw\"",
        "max_flows = 0",
    ] {
        let found = problems(&format!("{route}{wrong}\n"), &schema).unwrap();
        assert_eq!(found.len(), 1, "{wrong}: {found:?}");
    }
    for wrong in
        ["[limit]\n", "[routes.\"a b\"]\nlisten = \"1\"\ntarget = \"2\"\n", "[routes.b]\nlisten = \"1\"\n"]
    {
        assert!(!problems(wrong, &schema).unwrap().is_empty(), "{wrong}");
    }
}

#[test]
fn the_bad_configurations_of_a_wrong_shape_are_refused() {
    let schema = config::schema();
    // What only the meaning of a value, or two of them together, makes wrong is beyond a schema.
    let mut refused = 0;

    for path in files("tests/configs/bad") {
        let text = fs::read_to_string(&path).unwrap();
        let Some(found) = problems(&text, &schema) else { continue };
        let want = fs::read_to_string(path.with_extension("want")).unwrap();
        let structural =
            ["unknown key", "unknown table", "unknown word", "this key is missing", ": must be "];
        if structural.iter().any(|words| want.contains(words)) {
            assert!(!found.is_empty(), "{}:\n{want}", path.display());
            refused += 1;
        }
    }

    assert!(refused >= 5, "only {refused} of that kind");
}

/// A value of each kind, as a key may or may not take it.
const VALUES: [&str; 22] = [
    "1",
    "0",
    "-1",
    "1.5",
    "true",
    "\"\"",
    "\"1\"",
    "\"2s\"",
    "\"127.0.0.1:80\"",
    "\"10mbit\"",
    "\"100/s\"",
    "\"64KiB\"",
    "\"0600\"",
    "\"x\"",
    "\"10.0.0.0/8\"",
    "[]",
    "[1]",
    "[\"127.0.0.1\"]",
    "[\"127.0.0.1:80\"]",
    "{}",
    "{ x = 1 }",
    "1979-05-27",
];

#[test]
fn what_the_reader_takes_fits_and_what_is_of_a_wrong_kind_does_not() {
    let schema = config::schema();
    let mut compared = 0;

    // If a value may have several forms, the schema does not report which part of which form it violates.
    for path in config::keys().into_iter().filter(|path| !path.contains(".target.")) {
        // A key of the file itself is in no table.
        let (table, key) = path.rsplit_once('.').unwrap_or(("", &path));
        let table = table.replace("NAME", "a");
        let own = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
        for value in VALUES {
            let text = sample(&table, key, value);
            let (told, found) = (told_of(&text, &own), problems(&text, &schema).unwrap());
            let of_key = found.iter().any(|problem| problem.contains(&format!(".{own}")));
            match told.as_deref() {
                None => assert!(!of_key, "{path} = {value} is read, and the schema says {found:?}"),
                Some(told) if told.starts_with("must be ") => {
                    assert!(of_key, "{path} = {value} {told}, and the schema takes it");
                }
                Some(_) => {}
            }
            compared += 1;
        }
    }

    assert!(compared > 500);
}

/// A file in which one key has one value, and what its tables cannot go without.
fn sample(table: &str, key: &str, value: &str) -> String {
    let route: String = [("listen", "\"127.0.0.1:8080\""), ("target", "\"127.0.0.1:3000\"")]
        .iter()
        .filter(|(own, _)| (table, *own) != ("routes.a", key))
        .map(|(own, value)| format!("{own} = {value}\n"))
        .collect();
    match table {
        "" => format!("{key} = {value}\n[routes.a]\n{route}"),
        "routes.a" => format!("[routes.a]\n{route}{key} = {value}\n"),
        table => format!("[routes.a]\n{route}[{table}]\n{key} = {value}\n"),
    }
}

/// The parser's message about one key, if any.
fn told_of(text: &str, path: &str) -> Option<String> {
    let problems = plan::parse("f.toml", text, &[]).err()?;
    let of_key = |key: &str| key == path || key.starts_with(&format!("{path}."));
    problems.list.iter().find(|problem| of_key(&problem.key)).map(|problem| problem.message.clone())
}

#[test]
fn what_is_printed_is_what_is_checked_in() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_loopgate")).arg("schema").output().unwrap();

    let told: Value = serde_json::from_slice(&output.stdout).unwrap();

    assert_eq!((output.status.code(), told == config::schema()), (Some(0), true));
    assert_eq!(told["additionalProperties"], json!(false));
}
