//! `tests/import`: files of other forwarders, and for each the expected output and messages.
//!
//! `UPDATE=1 cargo test --test import` rewrites the expected files; the change is then a visible diff.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

mod alike;
mod tunnels;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loopgate::plan;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

fn samples() -> Vec<PathBuf> {
    let is_sample = |path: &PathBuf| path.extension().is_some_and(|end| end != "rs" && end != "want");
    let mut files: Vec<_> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(is_sample).collect();
    files.sort();
    files
}

/// The command's result for a file: exit code, standard error, standard output.
fn import(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_loopgate"))
        .arg("import")
        .args(arguments)
        .current_dir(folder())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stderr), text(output.stdout))
}

#[test]
fn every_sample_is_carried_over_and_told_in_the_wanted_words() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();

    for path in samples() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (code, told, printed) = import(&[name]);
        if code != 2
            && let Err(problems) = plan::parse(path.to_str().unwrap(), &printed, &[])
        {
            // Keys of tunnels are made and pasted by hand, which the steps say.
            let is_a_key = |key: &str| key == "tunnel.private_key" || key.ends_with(".public_key");
            let is_asked_for = told.contains("run loopgate tunnel key");
            let all = problems.list.iter().all(|problem| is_a_key(&problem.key) && is_asked_for);
            assert!(all, "{name}: {problems}");
        }
        let all = format!("exit {code}\n--- told\n{told}--- printed\n{printed}");
        let want = folder().join(format!("{name}.want"));
        if update {
            fs::write(&want, &all).unwrap();
        }
        assert!(!all.contains("geheim"), "a secret of {name} is printed: {all}");
        let wanted = fs::read_to_string(&want).unwrap_or_default();
        if all != wanted {
            wrong.push(format!("--- {name}: wanted\n{wanted}\n--- got\n{all}"));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(samples().len() >= 10);
}

/// Whether a line has its own note, a route, or a route that was left out because of another line.
fn is_told(line: usize, told: &str, printed: &str, name: &str) -> bool {
    told.lines().any(|note| note.starts_with(&format!("{name}:{line}:")))
        || told.contains(&format!("the route from line {line} is left out"))
        || printed.lines().any(|comment| comment == format!("# {name}:{line}"))
}

#[test]
fn no_rule_of_rinetd_is_dropped_silently() {
    let (_, told, printed) = import(&["rinetd.conf"]);
    let text = fs::read_to_string(folder().join("rinetd.conf")).unwrap();
    let mut seen = 0;

    for (at, line) in text.lines().enumerate() {
        let is_rule = !line.trim().is_empty() && !line.starts_with(['#', 'a', 'd']);
        if is_rule {
            assert!(is_told(at + 1, &told, &printed, "rinetd.conf"), "line {}: {line}", at + 1);
            seen += 1;
        }
    }

    assert!(seen > 10);
}

#[test]
fn a_command_line_stands_in_place_of_a_file() {
    let (code, told, printed) = import(&["--", "ssh", "-N", "-L", "8080:db:5432", "gate"]);

    assert_eq!(code, 1, "the tunnel to the gate is not carried");
    assert!(told.contains("gate: not carried: this is the tunnel's host"), "{told}");
    assert!(printed.contains("target = \"db:5432\""), "{printed}");
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let prose = folder.path().join("prose.txt");
    fs::write(&prose, "dear diary\n").unwrap();
    let broken = folder.path().join("broken.toml");
    fs::write(&broken, "[[endpoints]\n").unwrap();

    let nginx = folder.path().join("nginx.conf");
    fs::write(&nginx, "stream {\n  server {\n    listen 80;\n    proxy_pass db:80;\n  }\n}\n").unwrap();

    for (arguments, words) in [
        (&["/no/such/file"][..], "there is no such file"),
        (&[prose.to_str().unwrap()], "name it with --from realm|rinetd"),
        (&["--from", "realm", broken.to_str().unwrap()], "line 1 is not TOML"),
        (&["--from", "pound", "x"], "possible values: realm, rinetd"),
        (
            &["--from", "nginx", "x"],
            "files of nginx cannot be imported\n = help: write a route for each server",
        ),
        (&[nginx.to_str().unwrap()], "nginx.conf: files of nginx cannot be imported"),
        (&["--", "docker-proxy", "-host-port", "80"], "write -host-ip and -host-port as listen"),
        (&["--from", "rinetd", prose.to_str().unwrap()], "no route could be carried over"),
        (&[], "required"),
    ] {
        let (code, told, printed) = import(arguments);
        assert!(told.contains(words), "{arguments:?}: {told}");
        assert_eq!((code, printed.as_str()), (2, ""), "{arguments:?}");
    }
}

#[test]
fn all_of_a_plain_file_is_carried() {
    let (code, told, printed) = import(&["rinetd-plain.conf"]);

    assert_eq!((code, told.as_str()), (0, "rinetd-plain.conf: read as a file of rinetd\n"));
    assert!(printed.contains("listen = \"0.0.0.0:8080\"\ntarget = \"127.0.0.1:3000\"\n"), "{printed}");
}

#[test]
fn a_port_that_is_none_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rinetd.conf");
    fs::write(&file, "0.0.0.0 99999 127.0.0.1 80\n0.0.0.0 81 127.0.0.1 82\n").unwrap();

    let (_, told, _) = import(&["--from", "rinetd", file.to_str().unwrap()]);

    assert!(told.contains("the highest port is 65535"), "{told}");
}

#[test]
fn every_forward_of_a_line_is_read_whatever_starts_it() {
    let folder = tempfile::tempdir().unwrap();
    let (socat, ssh) = (folder.path().join("socat.sh"), folder.path().join("ssh.sh"));
    fs::write(&socat, "socat TCP-L:81,fork TCP:a:1 & timeout 9 socat TCP-L:82,fork TCP:b:2; sleep 1\n")
        .unwrap();
    fs::write(&ssh, "sshpass -p x ssh -NL 83:c:3 gate\nLocalForward=84 d:4\n").unwrap();

    let (_, _, of_socat) = import(&["--from", "socat", socat.to_str().unwrap()]);
    let (_, _, of_ssh) = import(&["--from", "ssh", ssh.to_str().unwrap()]);

    for target in ["a:1", "b:2"] {
        assert!(of_socat.contains(&format!("target = \"{target}\"")), "{of_socat}");
    }
    for target in ["c:3", "d:4"] {
        assert!(of_ssh.contains(&format!("target = \"{target}\"")), "{of_ssh}");
    }
}
