//! What a user sees after typing a command: the demo from its first line to its exit, and wrong command lines.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Far longer than anything here takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn loopgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopgate"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A running `loopgate`, ended with the test.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(arguments: &[&str]) -> Running {
        Running::of(&mut loopgate(arguments))
    }

    fn of(command: &mut Command) -> Running {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || told.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Running { child, lines }
    }

    /// The next line that has `words` in it.
    fn line_with(&self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("no line {words:?}: {e}"));
            if line.contains(words) {
                return line;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The message about a wrong command line, and the exit code.
fn refused(arguments: &[&str]) -> (String, Option<i32>) {
    let output = loopgate(arguments).output().unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

/// What follows `key=` in a record.
fn field<'r>(record: &'r str, key: &str) -> &'r str {
    let wanted = format!(" {key}=");
    let rest = record.split_once(&wanted).unwrap_or_else(|| panic!("{record} has no {key}")).1;
    rest.split(' ').next().unwrap()
}

#[test]
fn the_demo_of_a_tunnel_shows_a_visit_at_both_ends_and_leaves_no_key_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = loopgate(&["demo", "--tunnel", "127.0.0.1:0"]);
    let mut demo = Running::of(command.env("TMPDIR", folder.path()));
    demo.line_with("-> tunnel:home/page (route public)");
    demo.line_with("home offers its page");
    demo.line_with("tunnel=vps up to=127.0.0.1:");
    let address = demo.line_with("open http://").split('/').nth(2).unwrap().to_owned();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a file of the demo is left");

    let mut visit = TcpStream::connect(&address).unwrap();
    let port = visit.local_addr().unwrap().to_string();
    visit.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n").unwrap();
    let mut page = String::new();
    visit.read_to_string(&mut page).unwrap();
    drop(visit);

    assert!(page.contains("<h1>It works</h1>"), "{page}");
    let mut records = [demo.line_with(" end="), demo.line_with(" end=")];
    records.sort_by_key(|record| field(record, "route").to_owned());
    let [here, there] = records;
    assert_eq!((field(&here, "route"), field(&here, "tunnel")), ("page", "vps"));
    assert_eq!((field(&there, "route"), field(&there, "tunnel")), ("public", "home"));
    for key in ["client", "end", "up", "down", "id"] {
        assert_eq!(field(&here, key), field(&there, key), "{here}\n{there}");
    }
    assert_eq!((field(&here, "client"), field(&here, "end")), (&port[..], "done"));

    kill_process(Pid::from_child(&demo.child), Signal::INT).unwrap();
    demo.line_with("stopped");
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_demo_of_a_tunnel_waits_for_a_visit_of_either_end_when_it_is_stopped() {
    let mut demo = Running::start(&["demo", "--tunnel", "127.0.0.1:0"]);
    let address = demo.line_with("open http://").split('/').nth(2).unwrap().to_owned();
    let mut visit = TcpStream::connect(&address).unwrap();
    visit.write_all(b"GET /large HTTP/1.1\r\nHost: demo\r\n\r\n").unwrap();
    visit.read_exact(&mut [0; 15]).unwrap();

    kill_process(Pid::from_child(&demo.child), Signal::TERM).unwrap();
    demo.line_with("stopping: waiting up to");
    let rest = visit.read_to_end(&mut Vec::new()).unwrap();

    drop(visit);
    assert!(rest > 64 << 20, "only {rest} bytes came");
    demo.line_with("stopped");
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_demo_of_a_tunnel_says_who_holds_its_port() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();

    let (told, code) = refused(&["demo", "--tunnel", &address]);

    assert!(told.contains("in use") && told.contains(&address), "{told}");
    assert_eq!(code, Some(4), "{told}");
}

#[test]
fn the_demo_says_what_to_open_and_shows_the_visit() {
    let mut demo = Running::start(&["demo", "127.0.0.1:0"]);
    let invitation = demo.line_with("open http://");
    let address = invitation.split("http://").nth(1).unwrap().split('/').next().unwrap();

    let mut visit = TcpStream::connect(address).unwrap();
    visit.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n").unwrap();
    let mut page = String::new();
    visit.read_to_string(&mut page).unwrap();
    drop(visit);

    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("It works"), "{page}");
    assert!(demo.line_with("route=demo").contains("end=done"));
    kill_process(Pid::from_child(&demo.child), Signal::TERM).unwrap();
    demo.line_with("stopped");
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_stop_that_arrives_twice_is_one_stop() {
    let mut demo = Running::start(&["demo", "127.0.0.1:0"]);
    let address = demo.line_with("open http://").split(['/']).nth(2).unwrap().to_owned();
    let mut visit = TcpStream::connect(&address).unwrap();
    // A page has arrived: the session exists and waits for this client to close it.
    visit.write_all(b"HEAD / HTTP/1.1\r\n\r\n").unwrap();
    visit.read_exact(&mut [0; 12]).unwrap();

    // Two of one kind may become one on their way; these never do.
    let pid = Pid::from_child(&demo.child);
    kill_process(pid, Signal::TERM).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    demo.line_with("stopping: waiting up to 30s for 1 session");
    drop(visit);

    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_stop_ends_it_at_once() {
    let mut demo = Running::start(&["demo", "127.0.0.1:0"]);
    let address = demo.line_with("open http://").split(['/']).nth(2).unwrap().to_owned();
    let mut visit = TcpStream::connect(&address).unwrap();
    visit.write_all(b"HEAD / HTTP/1.1\r\n\r\n").unwrap();
    visit.read_exact(&mut [0; 12]).unwrap();

    let pid = Pid::from_child(&demo.child);
    kill_process(pid, Signal::TERM).unwrap();
    demo.line_with("stopping: waiting");
    kill_process(pid, Signal::TERM).unwrap();

    demo.line_with("stopped at once by a second signal");
    assert_eq!(demo.child.wait().unwrap().code(), Some(128 + 15));
}

#[test]
fn a_wrong_command_line_is_told_what_to_write() {
    let cases: [(&[&str], &str); 22] = [
        (&["8080"], "write 8080:3000 to forward to port 3000"),
        (&["8080:3000:x"], r#"argument "8080:3000:x": "x" is not a port"#),
        (&["proxy"], "the commands are run, validate"),
        (&["serve"], "Loopgate calls it run"),
        (&["8080:3000", "run"], "write loopgate run and then the rest"),
        (&["-c", "loopgate.toml"], "loopgate run -c FILE"),
        (&["run", "loopgate.toml"], "write -c before it: -c loopgate.toml"),
        (&["run", "-c", "/no/such/file.toml"], "/no/such/file.toml: there is no such file"),
        (&["key"], "Loopgate calls it tunnel key"),
        (&["keygen"], "Loopgate calls it tunnel key"),
        (&["key", "--public"], "loopgate tunnel key --public"),
        (&["tunnel"], "key     Make the key of this machine"),
        (&["-R", "8080:3000"], "name the other end: --tunnel HOST#KEY"),
        (&["run", "-R", "8080:localhost:3000", "root@vps"], "ssh -N -R 8080:localhost:3000 root@vps"),
        (&["-R", "8080:localhost:3000", "vps"], "name it by its key: --tunnel vps#KEY"),
        (&["-L", "5432:db:5432", "user@host"], "ssh -N -L 5432:db:5432 user@host"),
        (&["local", "3000", "--to", "vps"], "loopgate -R PORT:PORT --tunnel HOST#KEY"),
        (&["-R", "8080:3000", "--via", "vps"], "Loopgate calls it --tunnel"),
        (&["http", "3000"], "loopgate -R 8080:3000 --tunnel HOST#KEY"),
        (
            &["run", "--tunnel-listen", "4433", "--tunnel", "home=KEY"],
            "argument \"home=***\": this is not a public key",
        ),
        (&["join", "x"], "Loopgate calls it tunnel join"),
        (&["8080:3000", "--frobnicate"], "unexpected argument '--frobnicate'"),
    ];

    for (arguments, words) in cases {
        let (told, code) = refused(arguments);
        assert!(told.contains(words), "{arguments:?}: {told}");
        assert_eq!(code, Some(2), "{arguments:?}");
    }
}

#[test]
fn without_a_configuration_it_says_where_it_looked() {
    let empty = tempfile::tempdir().unwrap();
    let mut run = loopgate(&["run"]);
    run.current_dir(&empty).env("HOME", empty.path());
    run.env_remove("LOOPGATE_CONFIG").env_remove("XDG_CONFIG_HOME");

    // If /etc has a configuration, the program would run it, and this test does not apply.
    if std::path::Path::new("/etc/loopgate/loopgate.toml").exists() {
        return;
    }
    let told = String::from_utf8(run.output().unwrap().stderr).unwrap();

    assert!(told.starts_with("error: no configuration: $LOOPGATE_CONFIG is not set"), "{told}");
    assert!(told.contains("./loopgate.toml") && told.contains("/.config/loopgate/loopgate.toml"), "{told}");
}

#[test]
fn a_target_that_is_down_is_not_said_to_be_the_proxy_before_it() {
    // A separate address, so that no other listener is on it.
    let proxy = Running::start(&["127.94.7.3:0:127.94.7.4:1"]);
    let forwarding = proxy.line_with("Forwarding ");
    let port: u16 =
        forwarding.split("127.94.7.3:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let near = if port == u16::MAX { port - 1 } else { port + 1 };

    let output =
        loopgate(&["doctor", &format!("127.94.7.3:0:127.94.7.4:{near}"), "--json"]).output().unwrap();

    let told = String::from_utf8(output.stdout).unwrap();
    assert!(!told.contains(&format!("127.94.7.3:{port}")), "{told}");
    assert_eq!(output.status.code(), Some(1), "{told}");
}

#[test]
fn a_file_of_another_program_is_sent_to_import() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("haproxy.cfg", "frontend a\n bind :80\n default_backend b\nbackend b\n server s 127.0.0.1:3000\n"),
        ("rinetd.conf", "0.0.0.0 8080 127.0.0.1 3000\n"),
        ("realm.toml", "[[endpoints]]\nlisten = \"0.0.0.0:80\"\nremote = \"127.0.0.1:3000\"\n"),
    ];

    for (name, text) in cases {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let instead = format!("  loopgate import {file} > loopgate.toml\n");

        let (told, code) = refused(&["run", "-c", file]);
        assert!(told.ends_with(&instead), "{told}");
        assert_eq!(code, Some(2));
        let validated =
            String::from_utf8(loopgate(&["validate", "-c", file]).output().unwrap().stdout).unwrap();
        assert!(validated.ends_with(&instead), "{validated}");
        assert_ne!(loopgate(&["import", file]).output().unwrap().status.code(), Some(2));
    }
    let (told, _) = refused(&["TCP-LISTEN:8080,fork", "TCP:127.0.0.1:3000"]);
    assert!(told.contains("loopgate import -- socat TCP-LISTEN:8080,fork TCP:127.0.0.1:3000"), "{told}");
}

#[test]
fn an_answer_that_does_not_fit_on_the_disk_is_told_and_is_no_success() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["run", "--help"],
        &["schema"],
        &["man"],
        &["completions", "bash"],
        &["import", "--", "ssh", "-L", "8080:db:5432", "host"],
        &["explain", "port-held"],
        &["explain", "--json", "port-held"],
        &["validate", "8080:3000"],
        &["validate", "--json", "8080:3000"],
        &["doctor", "--json", "127.0.0.1:0:127.0.0.1:9"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();

        let output = loopgate(arguments).stdout(full).output().unwrap();

        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains("error: cannot write to standard output: No space left"),
            "{arguments:?}: {told}"
        );
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    for arguments in [&["--help"][..], &["schema"], &["man"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);

        let output = loopgate(arguments).stdout(writer).output().unwrap();

        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{arguments:?}");
    }
}

/// `loopgate tunnel` with these arguments and this home; no other place for a key exists.
fn tunnel(home: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = loopgate(&[&["tunnel"], arguments].concat());
    command.current_dir(home).env("HOME", home);
    for other in
        ["LOOPGATE_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"]
    {
        command.env_remove(other);
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn a_key_is_made_once_and_its_lines_can_be_pasted() {
    let home = tempfile::tempdir().unwrap();
    let beside = home.path().join("loopgate.toml");
    fs::write(&beside, "").unwrap();
    let public = |text: &str| {
        let table: toml::Table = text.parse().unwrap();
        let (_, tunnel) = table["tunnels"].as_table().unwrap().iter().next().unwrap();
        tunnel["public_key"].as_str().unwrap().to_owned()
    };

    let (nothing, told, code) = tunnel(home.path(), &["key", "--public"]);
    assert_eq!((nothing.as_str(), code), ("", Some(1)));
    assert!(told.contains("there is no such file") && told.contains("loopgate tunnel key --file"), "{told}");

    let (made, _, code) = tunnel(home.path(), &["key"]);
    assert!(made.starts_with("# Wrote ./tunnel.key, the private key of this machine"), "{made}");
    let file = home.path().join("tunnel.key");
    let written = fs::read(&file).unwrap();
    assert_eq!((code, fs::metadata(&file).unwrap().permissions().mode() & 0o777), (Some(0), 0o600));

    let (again, _, code) = tunnel(home.path(), &["key"]);
    assert_eq!((public(&again), code, fs::read(&file).unwrap()), (public(&made), Some(0), written));
    let (alone, _, _) = tunnel(home.path(), &["key", "--public"]);
    assert_eq!(alone, format!("{}\n", public(&made)));
    assert!(!made.contains("[tunnel]\n"), "it is where it is looked for: {made}");

    let (other, _, _) = tunnel(home.path(), &["key", "--file", "keys/other.key"]);
    let table: toml::Table = other.parse().unwrap();
    let named = Path::new(table["tunnel"]["private_key"].as_str().unwrap());
    assert!(named.is_absolute() && named.ends_with("keys/other.key") && named.exists(), "{other}");
    assert_ne!(public(&other), public(&made));
}

#[test]
fn without_a_configuration_the_key_goes_to_the_home_of_its_user_in_a_folder_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    // If /etc has a configuration, the key belongs beside it, and this test does not apply.
    if Path::new("/etc/loopgate/loopgate.toml").exists() {
        return;
    }

    assert_eq!(tunnel(home.path(), &["key"]).2, Some(0));

    let folder = home.path().join(".local/state/loopgate");
    assert!(folder.join("tunnel.key").is_file());
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_command_to_type() {
    let home = tempfile::tempdir().unwrap();
    tunnel(home.path(), &["key", "--file", "k"]);
    fs::set_permissions(home.path().join("k"), fs::Permissions::from_mode(0o644)).unwrap();

    for arguments in [&["key", "--file", "k"][..], &["key", "--file", "k", "--public"]] {
        let (answer, told, code) = tunnel(home.path(), arguments);
        assert_eq!((answer.as_str(), code), ("", Some(1)));
        assert!(told.contains("mode 0644") && told.contains("help: chmod 600 k\n"), "{told}");
    }
}
