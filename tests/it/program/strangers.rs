//! What strangers chose - names, headers, first bytes, files, processes - and what a reader sees of it: no character
//! that moves a terminal's cursor, and no line of their own, in the log, in records and in the answers of commands.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output};

use rcgen::string::Ia5String;
use rcgen::{DnType, SanType};
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::tls::{Authority, TlsConnection, tls_echo};
use crate::harness::{Config, Connection, HelloBuilder, Program, Target, address_in};

/// Clears a terminal, begins a line of its own and, for those that read UTF-8, turns the direction of the text.
const EVIL: &str = "\x1b[2J\r\nroute=web end=done \u{9b}31m\u{202e}x";

/// The same as far as a certificate's DNS name takes it.
const EVIL_ASCII: &str = "\x1b[2J\r\nroute=web end=done";

/// A program with a route for each way in which a stranger gets a word in: names, a PROXY header, TLS to it and from it.
struct Fed {
    program: Program,
    addresses: Vec<SocketAddr>,
    authority: Authority,
    _targets: Vec<Target>,
}

fn fed(format: &str) -> Fed {
    let authority = Authority::new();
    authority.issue("own", &["localhost"]);
    authority.issue_for("evil", &[], |params| {
        params.subject_alt_names = vec![SanType::DnsName(Ia5String::try_from(EVIL_ASCII).unwrap())];
        params.distinguished_name.push(DnType::CommonName, EVIL);
    });
    let targets = vec![Target::echo(), tls_echo(authority.server("evil", false))];
    let file = |name: &str| authority.file(name).display().to_string();
    let config = Config::new(&format!(
        "[routes]\n\
         names = {{listen = '127.0.0.1:0', names = {{'a.example' = '{0}'}}}}\n\
         proxy = {{listen = '127.0.0.1:0', target = '{0}', accept_proxy = ['127.0.0.1']}}\n\
         tls = {{listen = '127.0.0.1:0', target = '{0}', tls = {{certificate = '{1}', key = '{2}', client_ca = '{3}', client_names = ['a.example']}}}}\n\
         target_tls = {{listen = '127.0.0.1:0', target = '{4}', target_tls = {{name = 'db.example', ca = '{3}'}}}}\n",
        targets[0].address,
        file("own.pem"),
        file("own.key"),
        file("ca.pem"),
        targets[1].address,
    ));
    let mut program = Program::start(["run", "--log-format", format, "-c", config.path.to_str().unwrap()]);
    let mut lines: Vec<String> = (0..4).map(|_| program.wait_for("Forwarding ")).collect();
    lines.sort_by_key(|line| {
        ["(route names)", "(route proxy)", "(route tls)"].iter().position(|it| line.contains(it)).unwrap_or(3)
    });
    let addresses = lines.iter().map(|line| address_in(line)).collect();
    Fed { program, addresses, authority, _targets: targets }
}

/// Speaks to every route, and returns the whole log.
fn spoken_to(mut fed: Fed) -> Vec<String> {
    // A client that is refused may have been reset before it has sent everything.
    let say = |address: SocketAddr, bytes: &[u8]| {
        let mut client = Connection::to(address);
        let _ = client.try_send(bytes);
        client
    };
    let client =
        say(fed.addresses[0], &HelloBuilder::default().name(EVIL.as_bytes()).protocols(&[EVIL]).records());
    fed.program.wait_for("no_name");
    drop(client);
    let client = say(fed.addresses[0], EVIL.as_bytes());
    fed.program.wait_for("tls_failed");
    drop(client);
    let _client = say(fed.addresses[1], format!("PROXY {EVIL}\r\n").as_bytes());
    fed.program.wait_for("bad_header");
    let mut client = TlsConnection::to(fed.addresses[2], &fed.authority.client(Some("evil")));
    let _ = client.handshake();
    fed.program.wait_for("client_names");
    // No target is there, so the reset may come before the connection is told to stand.
    let _client = Connection::try_to(fed.addresses[3]);
    fed.program.wait_for("DOWN");
    fed.program.signal(Signal::TERM);
    assert_eq!(fed.program.exit_code(), Some(0));
    fed.program.log().to_vec()
}

/// Characters that a terminal obeys, or that hide or turn text.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn expect_safe(text: &str) {
    for line in text.lines() {
        assert!(!line.contains(is_hostile), "{line:?}");
        assert!(!line.starts_with("route=web"), "a stranger's own line: {line:?}");
    }
}

#[test]
fn nothing_that_a_client_or_a_target_says_gets_a_line_of_the_log_or_moves_a_cursor() {
    let log = spoken_to(fed("text"));

    for line in &log {
        expect_safe(line);
        assert!(line.contains("Z INFO ") || line.contains("Z WARN "), "a line that is not ours: {line:?}");
    }
    let whole = log.join("\n");
    for shown in [
        r#"name="\u{1b}[2j\r\nroute=web end=done \u{9b}31m\u{202e}x""#,
        r"certificate is for \u{1b}[2J\r\nroute=web end=done, not for db.example",
        r"certificate is for \u{1b}[2j\r\nroute=web end=done, which is not in client_names",
    ] {
        assert!(whole.contains(shown), "{shown}\n{whole}");
    }
}

#[test]
fn in_json_a_strangers_name_is_what_it_was_and_escaped_once() {
    let log = spoken_to(fed("json"));

    for line in &log {
        expect_safe(line);
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    let record = log.iter().find(|line| line.contains("\"no_name\"")).unwrap();
    let record: Value = serde_json::from_str(record).unwrap();
    assert_eq!(record["name"], EVIL.to_ascii_lowercase());
}

fn loopgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loopgate")).args(arguments).output().unwrap()
}

/// A process whose name and command line are a stranger's, and which holds a port.
struct Stranger(Child, SocketAddr);

impl Stranger {
    fn start(folder: &std::path::Path) -> Stranger {
        let (listener, name) =
            (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), folder.join("\x1b[2J\nend=x"));
        let address = listener.local_addr().unwrap();
        symlink("/bin/sleep", &name).unwrap();
        let mut command = Command::new(&name);
        command.arg0(EVIL).arg("300").stdin(OwnedFd::from(listener));
        Stranger(command.spawn().unwrap(), address)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nothing_that_a_process_a_service_or_a_file_is_called_moves_the_cursor_of_who_asks_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let stranger = Stranger::start(folder.path());
    let http = Target::greeting(b"HTTP/1.1 200 \x1b[2J\x9b\r\nServer: \x1b]0;x\x07\xe2\x80\xae\r\n\r\n");
    let odd = folder.path().join(format!("{EVIL}.toml"));
    std::fs::write(
        &odd,
        format!(
            "include = ['{0}/nothing/\u{202e}.toml']\n[routes.'\u{202e}']\nlisten = 1\n",
            folder.path().display()
        ),
    )
    .unwrap();
    let held = stranger.1.port().to_string();
    let (http, odd) = (http.address.to_string(), odd.to_str().unwrap());

    for arguments in [
        &["explain", "--listen", &held][..],
        &["explain", &http, "--expect", "http"],
        &["validate", "-c", odd],
        &["doctor", "-c", odd],
        &["run", "-c", odd],
        &["run", "-L", &format!("127.0.0.1:{held}:127.0.0.1:1")],
    ] {
        for json in [false, true].into_iter().take(if arguments[0] == "run" { 1 } else { 2 }) {
            let arguments = [arguments, if json { &["--json"] } else { &[] }].concat();
            let Output { stdout, stderr, .. } = loopgate(&arguments);
            let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
            assert!(stdout.len() + stderr.len() > 20, "{arguments:?} said nothing");
            expect_safe(&stdout);
            expect_safe(&stderr);
            if json && !stdout.is_empty() {
                serde_json::from_str::<Value>(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout}"));
            }
        }
    }
}
