//! Files that never end, wait for somebody, or are held by somebody: nothing waits for them, and signals are heard.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat};
use rustix::process::Signal;

use crate::harness::tls::Authority;
use crate::harness::{Config, Connection, Program, Target};

fn route(more: &str) -> String {
    format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '127.0.0.1:9'\n{more}\n")
}

/// The exit code and everything that was printed.
fn validated(config: &Path) -> (Option<i32>, String) {
    let config = config.to_str().unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_loopgate")).args(["validate", "-c", config]).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn validate_waits_for_no_pipe_no_device_and_no_file_of_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let pipe = pipe.to_str().unwrap();
    for (path, what) in [
        (pipe, "this is not a regular file"),
        ("/dev/zero", "this is not a regular file"),
        ("/proc/version", "the kernel makes this file up each time it is read"),
        ("/proc/kmsg", "the kernel makes this file up each time it is read"),
    ] {
        for text in [
            route(&format!("allow = 'file:{path}'")),
            route(&format!("tls = {{ certificate = '{path}' }}")),
            route(&format!("target_tls = {{ name = 'x', ca = '{path}' }}")),
            format!("include = '{path}'\n{}", route("")),
        ] {
            let (code, told) = validated(&Config::new(&text).path);

            // Not everybody may open /proc/kmsg.
            let is_told = told.contains(what) || told.contains("this user may not read the file");
            assert!(code == Some(2) && is_told, "{text}{told}");
        }
    }
    let (code, told) = validated(Path::new("/dev/zero"));
    assert!(code == Some(2) && told.contains("this is neither a file nor a pipe"), "{told}");
}

#[test]
fn a_configuration_comes_through_a_pipe() {
    let script = "printf '%s' \"$1\" | \"$2\" validate -c /dev/stdin";
    let arguments = ["-c", script, "sh", &route(""), env!("CARGO_BIN_EXE_loopgate")];

    let output = Command::new("sh").args(arguments).output().unwrap();

    assert_eq!(String::from_utf8(output.stdout).unwrap(), "/dev/stdin: ok, 1 route, 1 listener\n");
}

#[test]
fn a_folder_that_somebody_locks_delays_a_reload_once_and_a_stop_not_at_all() {
    let target = Target::echo();
    let text = |sockets: &str, folder: &Path| {
        let own = format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\n", target.address);
        let one = |n: usize| {
            let path = folder.join(format!("{sockets}{n}")).display().to_string();
            format!("[routes.{sockets}{n}]\nlisten = 'unix:{path}'\ntarget = '127.0.0.1:9'\n")
        };
        own + &(0..20).map(one).collect::<String>()
    };
    let config = Config::new(&route("").replace("127.0.0.1:9", &target.address.to_string()));
    let folder = config.path.parent().unwrap().to_owned();
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let mut client = Connection::to(program.address());
    let held = fs::File::open(&folder).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();

    let start = Instant::now();
    fs::write(&config.path, text("a", &folder)).unwrap();
    program.signal(Signal::HUP);
    client.send(b"meanwhile");
    assert_eq!(client.receive(9), b"meanwhile");
    program.wait_for("reload added=20 replaced=0 removed=0");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}: once, and not for each socket", start.elapsed());

    fs::write(&config.path, text("b", &folder)).unwrap();
    program.signal(Signal::HUP);
    program.signal(Signal::TERM);
    drop(client);
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn a_byte_order_mark_is_taken_in_every_file() {
    let authority = Authority::new();
    authority.issue("web", &["localhost"]);
    let folder = authority.folder();
    let write = |name: &str, text: &str| fs::write(folder.join(name), format!("\u{feff}{text}")).unwrap();
    for name in ["ca.pem", "web.pem", "web.key"] {
        write(name, &fs::read_to_string(folder.join(name)).unwrap());
    }
    write("list", "127.0.0.1\r\n");
    write("more.toml", &route("").replace("routes.web", "routes.more"));
    write(
        "loopgate.toml",
        &format!(
            "include = 'more.toml'\n{}[routes.web.tls]\ncertificate = 'web.pem'\nkey = 'web.key'\nclient_ca = 'ca.pem'\n",
            route("allow = 'file:list'")
        ),
    );
    write("rinetd.conf", "127.0.0.1 8080 127.0.0.1 3000\r\n");

    let (code, told) = validated(&folder.join("loopgate.toml"));
    assert!(code == Some(0) && told.contains("2 routes"), "{told}");

    let import = |from: Stdio, name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopgate"));
        command.args(["import", "--from", "rinetd", name]).current_dir(folder).stdin(from).output().unwrap()
    };
    let file = fs::File::open(folder.join("rinetd.conf")).unwrap();
    for output in [import(Stdio::null(), "rinetd.conf"), import(file.into(), "-")] {
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("listen = \"127.0.0.1:8080\""));
    }
}
