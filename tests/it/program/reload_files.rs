//! The files that a configuration names: they appear after it, vanish, and return.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::harness::{Config, Connection, Program, Save, Target};

fn denying(target: &Target, list: &str) -> String {
    format!("[routes.web]\nlisten = '127.0.0.1:0'\ntarget = '{}'\ndeny = 'file:{list}'\n", target.address)
}

fn is_denied(address: SocketAddr) -> bool {
    Connection::is_reset_at_once("127.0.0.2", address)
}

fn is_served(address: SocketAddr) -> bool {
    Connection::from_to("127.0.0.2", address).receive(1) == b"1"
}

/// The program with a list that denies 127.0.0.2, and where both are.
fn with_a_list(target: &Target) -> (Config, PathBuf, Program, SocketAddr) {
    let config = Config::new(&denying(target, "blocked"));
    let list = config.path.with_file_name("blocked");
    fs::write(&list, "127.0.0.2\n").unwrap();
    let mut program = Program::start(["run", "-c", config.path.to_str().unwrap()]);
    let address = program.address();
    (config, list, program, address)
}

fn count(program: &mut Program, words: &str) -> usize {
    program.log().iter().filter(|line| line.contains(words)).count()
}

#[test]
fn a_refused_save_is_tried_again_when_the_list_it_names_appears() {
    let target = Target::greeting(b"1");
    let (mut config, _, mut program, address) = with_a_list(&target);
    let folder = config.path.parent().unwrap().to_owned();

    config.save(Save::RenameOver, &denying(&target, "lists/new"));
    program.wait_for("reload refused, nothing has changed");
    program.wait_for("lists/new: there is no such file");
    let awaited = program.wait_for("tried again once this exists: ");
    assert!(awaited.contains("lists/new") && is_denied(address), "{awaited}");

    // As Kubernetes mounts it: a folder of folders, the list behind two symlinks.
    let version = folder.join("lists/..version");
    fs::create_dir_all(&version).unwrap();
    fs::write(version.join("new"), "127.0.0.3\n").unwrap();
    symlink(&version, folder.join("lists/..data")).unwrap();
    symlink("..data/new", folder.join("lists/new")).unwrap();

    program.wait_for("reload added=0 replaced=1 removed=0");
    assert!(is_served(address) && Connection::is_reset_at_once("127.0.0.3", address));
}

#[test]
fn a_refused_save_is_tried_again_when_what_was_wrong_with_its_list_is_mended() {
    let target = Target::greeting(b"1");
    let (mut config, list, mut program, address) = with_a_list(&target);

    let other = list.with_file_name("other");
    fs::write(&other, "nobody\n").unwrap();
    config.save(Save::InPlace, &denying(&target, "other"));
    program.wait_for("other:1: this is a name");

    fs::write(&other, "127.0.0.3\n").unwrap();
    program.wait_for("reload added=0 replaced=1 removed=0");
    assert!(is_served(address));
    assert_eq!(count(&mut program, "tried again once"), 0, "nothing was missing");
}

#[test]
fn a_list_that_vanishes_stays_in_force_and_is_logged_once_and_when_back() {
    let target = Target::greeting(b"1");
    let (_config, list, mut program, address) = with_a_list(&target);

    fs::remove_file(&list).unwrap();
    let told = program.wait_for("no longer there: ");
    assert!(told.contains("WARN") && told.contains("blocked"), "{told}");
    assert!(is_denied(address));

    program.signal(Signal::HUP);
    program.wait_for("blocked: there is no such file");
    program.wait_for("tried again once this exists: ");
    assert!(is_denied(address));

    fs::write(&list, "127.0.0.3\n").unwrap();
    program.wait_for("there again: ");
    program.wait_for("reload added=0 replaced=1 removed=0");
    assert!(is_served(address));
    assert_eq!(count(&mut program, "no longer there"), 1);
}

#[test]
fn a_configuration_that_vanishes_and_comes_back_unchanged_changes_nothing() {
    let (one, two) = (Target::greeting(b"1"), Target::greeting(b"2"));
    let (mut config, _, mut program, address) = with_a_list(&one);
    let (aside, path) = (config.path.with_file_name("aside"), config.path.clone());

    fs::rename(&path, &aside).unwrap();
    program.wait_for("no longer there: ");
    assert_eq!(Connection::to(address).receive(1), b"1");

    fs::rename(&aside, &path).unwrap();
    program.wait_for("there again: ");

    config.save(Save::RenameOver, &denying(&two, "blocked"));
    program.wait_for("reload added=0 replaced=1 removed=0");
    assert_eq!(Connection::to(address).receive(1), b"2");
    assert_eq!(count(&mut program, "reload "), 1);
}
