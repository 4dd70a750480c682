//! A configuration of several files: each file that is added, changed or removed causes one reload of the whole.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::harness::{ClosedPort, Config, Connection, Program, Target};

/// A configuration with a route `own` that includes `conf.d/*.toml`, and that folder.
struct Set {
    _config: Config,
    folder: PathBuf,
    program: Program,
    target: Target,
}

impl Set {
    fn start(files: &[(&str, &str)]) -> Set {
        let target = Target::greeting(b"1");
        let config =
            Config::new(&format!("include = ['conf.d/*.toml']\n{}", route("own", "127.0.0.1:0", &target)));
        let folder = config.path.with_file_name("conf.d");
        fs::create_dir(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        let program = Program::run(&config.path);
        Set { _config: config, folder, program, target }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn route(&self, name: &str, port: &ClosedPort) -> String {
        route(name, &port.address.to_string(), &self.target)
    }

    /// How many reloads there were, refused ones among them.
    fn reloads(&mut self) -> usize {
        self.program.log().iter().filter(|line| line.contains(" reload ")).count()
    }
}

fn route(name: &str, listen: &str, target: &Target) -> String {
    format!("[routes.{name}]\nlisten = '{listen}'\ntarget = '{}'\n", target.address)
}

fn is_served(port: &ClosedPort) -> bool {
    Connection::from_to("127.0.0.2", port.address).receive(1) == b"1"
}

fn is_closed(port: &ClosedPort) -> bool {
    std::net::TcpStream::connect(port.address).is_err()
}

/// Writes beside a file, hidden, and renames over it, as editors do.
fn rename_over(path: &Path, text: &str) {
    let beside = path.with_file_name(".beside.toml.swp");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

#[test]
fn a_file_that_is_added_is_served_and_one_that_is_removed_is_not() {
    let port = ClosedPort::port();
    let mut set = Set::start(&[]);

    fs::write(set.file("web.toml"), set.route("web", &port)).unwrap();
    set.program.wait_for("reload added=1 replaced=0 removed=0");
    assert!(is_served(&port));

    fs::remove_file(set.file("web.toml")).unwrap();
    set.program.wait_for("reload added=0 replaced=0 removed=1");
    assert!(is_closed(&port));
    assert_eq!(set.reloads(), 2);
    assert!(!set.program.log().iter().any(|line| line.contains("no longer there")));
}

#[test]
fn each_way_of_saving_an_included_file_is_one_reload() {
    let ports = [ClosedPort::port(), ClosedPort::port(), ClosedPort::port()];
    let mut set = Set::start(&[("web.toml", "")]);
    let web = set.file("web.toml");

    fs::write(&web, set.route("web", &ports[0])).unwrap();
    set.program.wait_for("reload added=1 replaced=0 removed=0");
    assert!(is_served(&ports[0]));

    rename_over(&web, &set.route("web", &ports[1]));
    set.program.wait_for("reload added=0 replaced=1 removed=0");
    assert!(is_served(&ports[1]) && is_closed(&ports[0]));

    // As Kubernetes mounts it: web.toml -> ..data/web.toml, ..data -> ..version
    fs::create_dir(set.file("..version")).unwrap();
    fs::write(set.file("..version/web.toml"), set.route("web", &ports[2])).unwrap();
    symlink("..version", set.file("..data")).unwrap();
    symlink("..data/web.toml", set.file(".link")).unwrap();
    fs::rename(set.file(".link"), &web).unwrap();
    set.program.wait_for("reload added=0 replaced=1 removed=0");
    assert!(is_served(&ports[2]) && is_closed(&ports[1]));

    fs::create_dir(set.file("..later")).unwrap();
    fs::write(set.file("..later/web.toml"), set.route("other", &ports[2])).unwrap();
    symlink("..later", set.file(".link")).unwrap();
    fs::rename(set.file(".link"), set.file("..data")).unwrap();
    set.program.wait_for("reload added=1 replaced=0 removed=1");
    assert_eq!(set.reloads(), 4);
}

#[test]
fn what_an_editor_leaves_beside_a_file_is_no_reload() {
    let port = ClosedPort::port();
    let mut set = Set::start(&[]);

    for name in [".web.toml", "web.toml~", ".web.toml.swp", "#web.toml#", "web.txt"] {
        fs::write(set.file(name), "this is no configuration").unwrap();
    }
    fs::write(set.file("web.toml"), set.route("web", &port)).unwrap();

    set.program.wait_for("reload added=1 replaced=0 removed=0");
    assert_eq!(set.reloads(), 1);
}

#[test]
fn a_name_that_stands_in_two_files_is_refused_with_both_places_until_one_is_another() {
    let (one, two) = (ClosedPort::port(), ClosedPort::port());
    let mut set = Set::start(&[]);
    fs::write(set.file("a.toml"), set.route("web", &one)).unwrap();
    set.program.wait_for("reload added=1 replaced=0 removed=0");

    fs::write(set.file("b.toml"), set.route("web", &two)).unwrap();
    set.program.wait_for("reload refused, nothing has changed");
    set.program.wait_for("conf.d/b.toml:1:9: routes.web: there is already a route web");
    set.program.wait_for("conf.d/a.toml:1:9");
    assert!(is_served(&one) && is_closed(&two));

    fs::write(set.file("b.toml"), set.route("web2", &two)).unwrap();
    set.program.wait_for("reload added=1 replaced=0 removed=0");
    assert!(is_served(&one) && is_served(&two));
}

#[test]
fn one_broken_file_refuses_the_whole_reload_until_it_is_saved_again() {
    let (one, two) = (ClosedPort::port(), ClosedPort::port());
    let mut set = Set::start(&[]);

    // A set that changes as one: the second file is hidden until it is whole.
    fs::write(set.file(".b"), "[routes.b]\nlisten = \n").unwrap();
    fs::write(set.file(".a"), set.route("a", &one)).unwrap();
    fs::rename(set.file(".b"), set.file("b.toml")).unwrap();
    fs::rename(set.file(".a"), set.file("a.toml")).unwrap();
    set.program.wait_for("conf.d/b.toml:2:10: listen has no value");
    assert!(is_closed(&one), "the good half is not taken over");

    rename_over(&set.file("b.toml"), &set.route("b", &two));
    set.program.wait_for("reload added=2 replaced=0 removed=0");
    assert!(is_served(&one) && is_served(&two));
}

#[test]
fn a_hang_up_takes_the_files_as_they_are() {
    let port = ClosedPort::port();
    let mut set = Set::start(&[]);

    fs::write(set.file("web.toml"), set.route("web", &port)).unwrap();
    set.program.signal(Signal::HUP);
    set.program.wait_for("reload added=1 replaced=0 removed=0");

    assert!(is_served(&port));
}

#[test]
fn validate_and_doctor_tell_what_is_wrong_in_an_included_file() {
    let config = Config::new("include = 'conf.d/*.toml'\n[routes.own]\nlisten = '0'\ntarget = '9'\n");
    let folder = config.path.with_file_name("conf.d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("web.toml"), "[routes.web]\nlistn = '1'\ntarget = '2'\n").unwrap();

    for command in ["validate", "doctor"] {
        let mut program = Program::start([command, "-c", config.path.to_str().unwrap()]);
        assert_eq!(program.exit_code(), Some(2), "{command}");
        let told = format!("{}{}", program.log().join("\n"), program.printed());
        assert!(told.contains("conf.d/web.toml:2:1: routes.web.listn: unknown key"), "{command}: {told}");
    }
}
