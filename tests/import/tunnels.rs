//! Files of rathole and frp: what is imported of both ends fits, once the keys are where the steps say.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::alike::{PATIENCE, Running, exchange, free_address, service};
use crate::import;

const PASTE: &str = "PASTE-THE-KEY-OF-THE-OTHER-END";

fn loopgate(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopgate"));
    for place in ["CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "LOOPGATE_CONFIG"] {
        command.env_remove(place);
    }
    command.args(arguments).current_dir(folder).env("XDG_STATE_HOME", folder).stdin(Stdio::null());
    command.output().unwrap()
}

/// One machine: a folder with its key and what is imported of a file there.
struct Machine {
    folder: PathBuf,
    key: String,
    file: String,
}

impl Machine {
    fn new(folder: &Path, name: &str, theirs: &str) -> Machine {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("theirs.toml"), theirs).unwrap();
        let imported = loopgate(&["import", "theirs.toml"], &folder);
        let file = String::from_utf8(imported.stdout).unwrap();
        assert!(file.contains("[tunnels."), "{}", String::from_utf8_lossy(&imported.stderr));
        assert!(loopgate(&["tunnel", "key", "--file", "tunnel.key"], &folder).status.success());
        let key = loopgate(&["tunnel", "key", "--file", "tunnel.key", "--public"], &folder).stdout;
        Machine { folder, key: String::from_utf8(key).unwrap().trim().to_owned(), file }
    }

    /// Puts the key of the other end where the steps say.
    fn knows(&self, other: &Machine) {
        let file = self.file.replace(PASTE, &other.key);
        fs::write(self.folder.join("loopgate.toml"), file).unwrap();
        let told = loopgate(&["validate", "-c", "loopgate.toml"], &self.folder);
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }

    /// Runs until the test ends. Gives it back once a line has these words.
    fn run(&self, words: &'static str) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loopgate"))
            .args(["run", "-c", "loopgate.toml"])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let running = Running(child);
        let (sender, seen) = mpsc::channel();
        thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
        let mut all = Vec::new();
        while let Ok(line) = seen.recv_timeout(PATIENCE) {
            let is_found = line.contains(words);
            all.push(line);
            if is_found {
                return running;
            }
        }
        panic!("no line has {words:?}: {all:#?}");
    }
}

#[test]
fn a_visitor_reaches_the_service_by_what_is_imported_of_both_files_of_rathole() {
    let folder = tempfile::tempdir().unwrap();
    let [tunnel, visited] = [free_address(51), free_address(52)];
    let server = format!(
        "[server]\nbind_addr = \"{tunnel}\"\ndefault_token = \"geheim\"\n[server.services.\"my.web\"]\n\
         bind_addr = \"{visited}\"\n"
    );
    let client = format!(
        "[client]\nremote_addr = \"{tunnel}\"\ndefault_token = \"geheim\"\n[client.services.\"my.web\"]\n\
         local_addr = \"{}\"\n",
        service()
    );
    let server = Machine::new(folder.path(), "server", &server);
    let client = Machine::new(folder.path(), "client", &client);
    server.knows(&client);
    client.knows(&server);

    let _server = server.run("Forwarding ");
    let _client = client.run("up to=");

    assert_eq!(exchange(visited), "HELLO");
}

#[test]
fn a_visitor_reaches_the_service_by_what_is_imported_of_both_files_of_frp() {
    let folder = tempfile::tempdir().unwrap();
    let [tunnel, visited]: [SocketAddr; 2] = [free_address(61), free_address(62)];
    let server = format!(
        "bindAddr = \"{}\"\nbindPort = {}\nproxyBindAddr = \"{}\"\nauth.token = \"geheim\"\n\
         allowPorts = [{{ single = {} }}]\n",
        tunnel.ip(),
        tunnel.port(),
        visited.ip(),
        visited.port()
    );
    let client = format!(
        "serverAddr = \"{}\"\nserverPort = {}\nauth.token = \"geheim\"\n[[proxies]]\nname = \"web\"\ntype = \"tcp\"\n\
         localPort = {}\nremotePort = {}\n",
        tunnel.ip(),
        tunnel.port(),
        service().port(),
        visited.port()
    );
    let server = Machine::new(folder.path(), "server", &server);
    let client = Machine::new(folder.path(), "client", &client);
    // The client's file does not say on which address of the server its visitors come in.
    let every = format!("0.0.0.0:{}", visited.port());
    assert!(client.file.contains(&every), "{}", client.file);
    let client = Machine { file: client.file.replace(&every, &visited.to_string()), ..client };
    server.knows(&client);
    client.knows(&server);

    let _server = server.run("Tunnels connect to ");
    let _client = client.run("Forwarding tunnel:");

    assert_eq!(exchange(visited), "HELLO");
}

#[test]
fn a_file_that_is_none_of_theirs_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let huge = format!("serverAddr = \"{}\"\n", "a".repeat(2 << 20));
    let deep = format!("serverAddr = {}1{}\n", "[".repeat(200), "]".repeat(200));
    for (program, text, told) in [
        ("frp", "serverAddr: vps\nproxies:\n".as_bytes(), "this is YAML; convert it first"),
        ("frp", b"serverAddr = \"a\"\n{{- range }}\n", "a template, as {{ \u{2026} }}, is not filled in"),
        ("frp", b"key = 1\n[common]\n", "line 1 stands before the first section"),
        (
            "frp",
            b"[common]\nserver_addr = a\n[range:x]\nlocal_port = 1-9\nremote_port = 1\n",
            "9 local ports and 1",
        ),
        ("frp", b"{\"serverAddr\": ", "this is not JSON"),
        ("frp", b"serverAddr = \"\xff\"\n", "line 1 is not UTF-8 text"),
        ("frp", b"serverAddr = [1]\nproxies = 3\n", "serverAddr = [1]: not carried: this must be a string"),
        (
            "frp",
            b"serverAddr = [1]\nproxies = 3\n",
            "proxies = 3: not carried: this must be a list of tables",
        ),
        (
            "frp",
            b"auth = \"geheim\"\nbindPort = \"x\"\n",
            "bindPort = \"x\": not carried: this must be a whole number",
        ),
        ("frp", b"colour = 1\n", "colour: not carried: frp has no such key in this place"),
        ("frp", huge.as_bytes(), "the file is larger than 1 MiB"),
        ("frp", deep.as_bytes(), "not"),
        ("rathole", b"client = 3\n", "client = 3: not carried: this must be a table"),
        ("rathole", b"client = [{ default_token = \"geheim\" }]\n", "default_token = ***"),
        (
            "rathole",
            b"[client]\nservices.a = 1\n",
            "client.services.a = 1: not carried: this must be a table",
        ),
        (
            "rathole",
            b"[client]\nremote_addr = 7\n[client.services.a]\nlocal_addr = 8\n",
            "local_addr = 8: not carried",
        ),
        ("rathole", b"[client\n", "line 1 is not TOML"),
        ("rathole", b"\xef\xbb\xbf[server]\n", "it has no bind_addr"),
    ] {
        let file = folder.path().join("theirs");
        fs::write(&file, text).unwrap();
        let (_, words, printed) = import(&["--from", program, file.to_str().unwrap()]);
        let start: String = String::from_utf8_lossy(text).chars().take(60).collect();
        assert!(words.contains(told), "{start}: {words}");
        assert!(!words.contains("geheim") && !printed.contains("geheim"), "{start}: {words}{printed}");
    }
}
