//! `tests/configs`: what loads, and for what does not, the exact words a user reads.
//!
//! `UPDATE=1 cargo test --test configs` rewrites the words; the change is then a visible diff.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use loopgate::plan;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn every_ok_file_loads() {
    let files = files("ok");

    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        if let Err(problems) = plan::parse(name(path), &text, &[]) {
            panic!("{problems}");
        }
    }

    assert!(files.len() >= 4, "only {} files found", files.len());
}

#[test]
fn every_bad_file_is_told_in_the_wanted_words() {
    let files = files("bad");
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();

    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        let told = plan::parse(name(path), &text, &[]).expect_err(name(path)).render(false);
        let want = path.with_extension("want");
        if update {
            fs::write(&want, &told).unwrap();
        }
        let wanted = fs::read_to_string(&want).unwrap_or_default();
        if told != wanted {
            wrong.push(format!("--- {}: wanted\n{wanted}--- told\n{told}", name(path)));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() >= 20, "only {} files found", files.len());
}

/// The secret key of the first test of RFC 8032, section 7.1, and that of its third.
const KEYS: [(&str, &str); 2] = [
    ("tunnel.key", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"),
    ("other.key", "MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N77bdELzHct7Fm04U1B28JS4XOOi4LRFj3"),
];

/// What is told of a file beside which there are keys that only its owner may read, as git cannot keep them.
fn told_beside_keys(path: &Path) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, key) in KEYS {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
        fs::write(folder.path().join(name), pem).unwrap();
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = fs::read_to_string(path).unwrap();
    let file = folder.path().join(name(path));
    fs::write(&file, &text).unwrap();
    let told = plan::parse(&file.display().to_string(), &text, &[]).map(drop);
    let here = format!("{}/", folder.path().display());
    told.map_err(|problems| problems.render(false).replace(&here, ""))
}

#[test]
fn every_ok_tunnel_loads() {
    let files = files("tunnels/ok");

    for path in &files {
        if let Err(told) = told_beside_keys(path) {
            panic!("{told}");
        }
    }

    assert!(files.len() >= 2, "only {} files found", files.len());
}

#[test]
fn every_bad_tunnel_is_told_in_the_wanted_words() {
    let files = files("tunnels/bad");
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();

    for path in &files {
        let told = told_beside_keys(path).expect_err(name(path));
        let want = path.with_extension("want");
        if update {
            fs::write(&want, &told).unwrap();
        }
        let wanted = fs::read_to_string(&want).unwrap_or_default();
        if told != wanted {
            wrong.push(format!("--- {}: wanted\n{wanted}--- told\n{told}", name(path)));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() >= 5, "only {} files found", files.len());
}

#[test]
fn a_problem_of_the_command_line_names_its_argument() {
    let file = "[routes.web]\nlisten = \"127.0.0.1:8080\"\ntarget = \"127.0.0.1:3000\"\n";
    let told = |forwards: &[&str]| {
        let forwards: Vec<String> = forwards.iter().map(|forward| (*forward).to_owned()).collect();
        plan::parse("f.toml", file, &forwards).unwrap_err().render(false)
    };

    assert_eq!(
        told(&["8080:3001", ":9000:1", "9001:9001"]),
        "argument \":9000:1\": an empty bind is refused
 = help: write 0.0.0.0:9000:1 for every address, 9000:1 for this machine

argument \"8080:3001\": 127.0.0.1:8080 is already listened on by route web
 = note: first here: f.toml:2:10
 = help: choose another port for one of the two

argument \"9001:9001\": this route leads back to itself: 9001 (127.0.0.1:9001) -> 9001
 = help: forward to the service itself, or listen on another port
"
    );
}

#[test]
fn routes_of_the_command_line_are_named_by_their_port() {
    let file = "[routes.8080]\nlisten = \"127.0.0.2:8080\"\ntarget = \"127.0.0.1:3000\"\n";
    let forwards = ["8080:3000", "9000:3000", "0:3000", "0:3000", "0:3000"].map(String::from);

    let plan = plan::parse("f.toml", file, &forwards).unwrap();

    let names: Vec<String> = plan.routes.keys().map(|name| name.to_string()).collect();
    assert_eq!(names, ["0", "127.0.0.1:0", "127.0.0.1:0-2", "127.0.0.1:8080", "8080", "9000"]);
}
