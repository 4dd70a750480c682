//! The output of `--json` matches `schema/diagnosis.schema.json`, and configurations match `schema/config.schema.json`.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

mod config;
mod validate;

use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use loopgate::diagnosis::{SCHEMA, Verdict};
use serde_json::{Value, json};

fn explain(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_loopgate"))
        .arg("explain")
        .args(arguments)
        .arg("--json")
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

fn diagnosis_schema() -> Value {
    serde_json::from_str(include_str!("../../schema/diagnosis.schema.json")).unwrap()
}

#[test]
fn a_taken_a_free_and_a_foreign_address_are_told_in_the_schema() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = tcp.local_addr().unwrap().to_string();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let received = udp.local_addr().unwrap().to_string();
    let mut verdicts = Vec::new();

    for question in [
        &[&taken[..], "--listen"][..],
        &[&received, "--listen", "--udp"],
        &["127.0.0.1:0", "--listen"],
        &["192.0.2.7:8080", "--listen"],
        &["[fe80::1]:8080", "--listen"],
    ] {
        let told = explain(question);
        assert_eq!(
            validate::problems(&told, &diagnosis_schema()),
            Vec::<String>::new(),
            "{question:?}: {told}"
        );
        verdicts.push(told["verdict"].as_str().unwrap().to_owned());
    }

    assert_eq!(verdicts[0], "port-held");
    assert_eq!(verdicts[3], "address-not-local");
}

#[test]
fn the_schema_lists_every_verdict_and_no_other() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/diagnosis.schema.json");
    let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let ids = json!(Verdict::ALL.iter().map(|verdict| verdict.id()).collect::<Vec<_>>());

    if std::env::var_os("UPDATE").is_some() {
        schema["$defs"]["verdict"]["enum"] = ids.clone();
        std::fs::write(path, format!("{schema:#}\n")).unwrap();
    }

    assert_eq!(
        schema["$defs"]["verdict"]["enum"], ids,
        "UPDATE=1 cargo test --test schema writes the list anew"
    );
    assert_eq!(schema["properties"]["schema"]["const"], SCHEMA);
}

#[test]
fn what_is_not_in_the_schema_is_found() {
    let mut told = explain(&["127.0.0.1:0", "--listen"]);
    told["verdict"] = json!("fine");
    told["holders"] = Value::Null;
    told.as_object_mut().unwrap().remove("summary");

    let wrong = validate::problems(&told, &diagnosis_schema());

    assert_eq!(wrong.len(), 3, "{wrong:?}");
}
