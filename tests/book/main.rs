//! Keeps the README true: its tables name exactly what there is, its configurations load, and so do the examples.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use loopgate::ledger::Record;
use loopgate::outcome::{
    Agreed, Attempt, Cause, Datagrams, DropReason, Drops, End, Flow, Kernel, Limit, Outcome, Phase, Side,
    Timing, Traffic, Way,
};
use loopgate::plan;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The rows of the table whose header begins with `first`, each as its cells.
fn table(first: &str) -> Vec<Vec<String>> {
    let readme = readme();
    let (_, rows) = readme.split_once(&format!("\n\n| {first} |")).unwrap();
    let rows = rows.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// What stands between backticks: `` `up`, `down` `` → up and down.
fn words(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let parts = readme.split("\n```").filter_map(|part| part.strip_prefix(&format!("{language}\n")));
    parts.map(|part| part.to_owned() + "\n").collect()
}

/// A record in which nothing is left out.
fn full(end: End) -> Record {
    let second = Duration::from_secs(1);
    let [client, target] = [51324, 3000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let lossy = Flow { read: 2, delivered: 1 };
    let mut drops = Drops::default();
    drops.add(DropReason::TooBig, 1);
    let (version, cipher) = ("TLSv1.3".into(), "TLS_AES_128_GCM_SHA256".into());
    let agreed = Box::new(Agreed { version, cipher, group: None, alpn: None, resumed: false });
    Record {
        route: "web".into(),
        target: "localhost:3000".into(),
        client: client.into(),
        via: Some(client.into()),
        name: Some("a.example".into()),
        client_tls: Some(agreed.clone()),
        target_tls: Some(agreed),
        outcome: Outcome {
            end,
            phase: Phase::Relay,
            closed_by: Some(Side::Client),
            target: Some(target.into()),
            attempts: vec![Attempt { address: target.into(), took: second, cause: Some(Cause::Refused) }],
            traffic: Traffic { up: lossy, down: lossy },
            timing: Timing { connect: Some(second), first_byte: Some(second), total: second },
            way: Way::Splice,
            datagrams: Some(Box::new(Datagrams {
                up_dropped: drops,
                down_dropped: drops,
                target_dropped: 1,
                ..Datagrams::default()
            })),
            kernel: Some(Kernel::default()),
            hint: None,
        },
        count: 2,
    }
}

#[test]
fn the_table_of_fields_names_every_field_and_no_other() {
    let record = full(End::NoTarget(Cause::Refused));
    let text = record.to_string();
    let before_hint = text.split(" hint=").next().unwrap();
    let keys = before_hint.split(' ').map(|pair| pair.split('=').next().unwrap().to_owned());
    let text_keys: BTreeSet<String> = keys.chain(["hint".to_owned()]).collect();
    let json = serde_json::to_value(&record).unwrap();
    let json_keys: BTreeSet<String> = json.as_object().unwrap().keys().cloned().collect();

    let rows = table("text");
    let column = |n: usize| rows.iter().flat_map(|row| words(&row[n])).collect::<BTreeSet<String>>();

    assert_eq!(column(0), text_keys);
    assert_eq!(column(1), json_keys);
}

#[test]
fn the_table_of_ends_names_every_code_and_what_haproxy_calls_it() {
    let haproxy = |end: End| -> BTreeSet<String> {
        match end {
            End::NoTarget(_) => Cause::ALL.map(|cause| End::NoTarget(cause).haproxy().to_owned()).into(),
            End::Limited(_) => Limit::ALL.map(|limit| End::Limited(limit).haproxy().to_owned()).into(),
            end => [end.haproxy().to_owned()].into(),
        }
    };
    let wanted: Vec<_> = End::ALL.iter().map(|end| (end.code().to_owned(), haproxy(*end))).collect();

    let rows = table("`end`").into_iter();
    let told: Vec<_> =
        rows.map(|row| (words(&row[0]).concat(), words(&row[2]).into_iter().collect())).collect();

    assert_eq!(told, wanted);
}

#[test]
fn the_table_of_causes_says_whose_trouble_each_is() {
    let trouble = |cause: Cause| if cause.blames_target() { "target" } else { "ours" };
    let wanted = Cause::ALL.map(|cause| {
        let haproxy = format!("`{}`", End::NoTarget(cause).haproxy());
        (format!("`{}`", cause.code()), trouble(cause).to_owned(), haproxy)
    });

    let rows = table("`cause`");
    let told: Vec<_> = rows.iter().map(|row| (row[0].clone(), row[2].clone(), row[3].clone())).collect();

    assert_eq!(told, wanted);
    assert!(rows.iter().all(|row| !row[4].is_empty()), "each has a remedy");
}

#[test]
fn the_table_of_dropped_datagrams_names_every_reason() {
    let wanted = DropReason::ALL.map(|why| why.code().to_owned()).to_vec();

    let rows = table("dropped");

    assert_eq!(rows.iter().map(|row| words(&row[0]).concat()).collect::<Vec<_>>(), wanted);
}

#[test]
fn the_readme_and_the_help_agree_on_the_exit_codes() {
    let help = Command::new(env!("CARGO_BIN_EXE_loopgate")).args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.split_once("Exit codes:").unwrap().1;
    let number = |word: &str| word.parse::<u8>().ok();
    let of_help: BTreeSet<u8> = listed.split_whitespace().filter_map(number).collect();

    let of_readme: BTreeSet<u8> =
        table("exit code of `run`").iter().filter_map(|row| number(&row[0])).collect();

    assert_eq!(of_readme, of_help);
    assert!(of_readme.len() > 5);
}

#[test]
fn the_contents_name_every_section_and_lead_to_it() {
    let readme = readme();
    let (_, rest) = readme.split_once("\n## Contents\n").unwrap();
    let (contents, _) = rest.split_once("\n## ").unwrap();
    let contents = contents.split_whitespace().collect::<Vec<_>>().join(" ");
    // What stands between fences is no heading, whatever it begins with.
    let text: String = readme.split("\n```").step_by(2).collect();
    let link = |heading: &str| {
        let legal = |c: &char| c.is_alphanumeric() || *c == ' ' || *c == '-';
        let anchor: String = heading.to_lowercase().chars().filter(legal).collect();
        format!("[{heading}](#{})", anchor.replace(' ', "-"))
    };
    let headings = |mark: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(mark)).map(link).collect()
    };
    let (sections, tasks) = (headings("## "), headings("### "));

    for section in sections.iter().filter(|section| !section.starts_with("[Contents]")) {
        assert!(contents.contains(section), "add {section} to the contents of the README");
    }
    let known = |part: &str| sections.iter().chain(&tasks).any(|link| link.contains(&format!("](#{part})")));
    for part in contents.split("](#").skip(1).map(|part| part.split(')').next().unwrap()) {
        assert!(known(part), "the contents of the README lead to #{part}, which is no section");
    }
    assert!(sections.len() > 10 && tasks.len() > 10);
}

#[test]
fn every_configuration_of_the_readme_loads() {
    let blocks = blocks("toml");

    for block in &blocks {
        if let Err(problems) = plan::parse("tests/configs/files/README.md", block, &[]) {
            panic!("{problems}\n{block}");
        }
    }
    assert!(blocks.len() >= 7, "only {} found", blocks.len());
}

#[test]
fn every_example_loads_and_is_named_in_the_readme() {
    let readme = readme();
    let files: Vec<_> = fs::read_dir(root().join("examples")).unwrap().map(|it| it.unwrap().path()).collect();
    let mut loaded = 0;

    for file in files {
        let name = format!("examples/{}", file.file_name().unwrap().to_str().unwrap());
        assert!(readme.contains(&format!("]({name})")), "the README does not link to {name}");
        if name.ends_with(".toml") {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("# "), "{name} does not begin by saying what it is for");
            let beside_files = name.replace("examples/", "tests/configs/files/");
            plan::parse(&beside_files, &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
            loaded += 1;
        }
    }

    assert_eq!(loaded, readme.matches(".toml](examples/").count(), "examples the README names");
}
