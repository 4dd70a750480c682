//! A file that is named by mistake, such as a private key, must not be told: the log has more readers than the file.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::tls::Authority;
use crate::harness::{Config, Program};

/// Lines of a file that nobody but its owner may read, in the form of several kinds of files.
const SECRETS: &str = "root:$6$saltsalt$hashofapassword:20228:0:99999:7:::\n\
                       correct-horse-battery-staple\n\
                       machine example.com login me password hunter22\n\
                       postgres://me:hunter22@db/prod one two three\n\
                       secret 'half a quote of hunter22\n";

fn told_by(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_loopgate")).args(arguments).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// The words of a file that were told.
fn leaked<'t>(file: &'t str, told: &str) -> Vec<&'t str> {
    file.split_whitespace().filter(|word| word.len() > 7 && told.contains(word)).collect()
}

#[test]
fn a_private_key_that_is_named_by_mistake_is_not_written_to_the_log() {
    let authority = Authority::new();
    authority.issue("web", &["localhost"]);
    let key = fs::read_to_string(authority.file("web.key")).unwrap();
    let lines: Vec<&str> = key.lines().filter(|line| !line.contains("-----")).collect();
    assert!(lines.len() > 1);
    let (certificate, key) = (authority.file("web.pem"), authority.file("web.key"));
    let route = "[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '127.0.0.1:9'\n";
    let slips = [
        format!("allow = 'file:{}'\n", key.display()),
        format!("[routes.web.tls]\ncertificate = '{}'\n", key.display()),
        format!("[routes.web.tls]\ncertificate = '{0}'\nkey = '{0}'\n", key.display()),
        format!(
            "[routes.web.tls]\ncertificate = '{}'\nkey = '{1}'\nclient_ca = '{1}'\n",
            certificate.display(),
            key.display()
        ),
        format!("[routes.web.target_tls]\nname = 'x'\nca = '{}'\n", key.display()),
    ];
    for slip in slips {
        let config = Config::new(&format!("{route}{slip}"));

        let told = told_by(&["validate", "-c", config.path.to_str().unwrap()]);

        assert!(told.contains("web.key") && !lines.iter().any(|line| told.contains(line)), "{slip}{told}");
    }
    let key = key.to_str().unwrap();
    let include = Config::new(&format!("include = '{key}'\n{route}"));
    for arguments in [
        &["run", "-c", key][..],
        &["validate", "--json", "-c", key],
        &["validate", "-c", include.path.to_str().unwrap()],
        &["import", "--from", "haproxy", key],
    ] {
        let told = told_by(arguments);

        assert!(told.contains("this holds a certificate or a key"), "{arguments:?}: {told}");
        assert!(!lines.iter().any(|line| told.contains(line)), "{arguments:?}: {told}");
    }
}

#[test]
fn a_list_with_other_content_is_refused_by_its_line_numbers_alone() {
    let config =
        Config::new("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '127.0.0.1:9'\nallow = 'file:list'\n");
    let list = config.path.with_file_name("list");
    fs::write(&list, "127.0.0.1\n").unwrap();
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    program.address();

    fs::write(&list, SECRETS).unwrap();

    program.wait_for("list:1: this is not a network");
    program.wait_for("list:2: this is a name");
    program.wait_for("list:5: ");
    let log = program.log().join("\n");
    assert_eq!(leaked(SECRETS, &log), [""; 0], "{log}");
}

#[test]
fn what_import_does_not_know_as_a_line_of_the_program_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let secrets = write("secrets", SECRETS);
    let import = |from: &str, file: &Path| told_by(&["import", "--from", from, file.to_str().unwrap()]);
    for from in ["rinetd", "haproxy", "ssh", "socat", "realm", "portunus"] {
        let told = import(from, &secrets);

        assert_eq!(leaked(SECRETS, &told), [""; 0], "{from}: {told}");
        assert!(told.contains("secrets:1: not carried: ") || told.contains("line 1 is not TOML"), "{told}");
    }

    let tokens =
        write("credentials.toml", "[registry]\ntoken = 'hunter22'\n[global]\npassword = 'hunter22'\n");
    let haproxy =
        write("haproxy.cfg", "listen web\n bind :80\n server a 127.0.0.1:1\n stats auth me:hunter22\n");
    for (from, file) in [("realm", &tokens), ("portunus", &tokens), ("haproxy", &haproxy)] {
        let told = import(from, file);

        assert!(told.contains("not carried") && !told.contains("hunter22"), "{from}: {told}");
    }
}
