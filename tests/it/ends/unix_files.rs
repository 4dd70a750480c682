//! The file of a Unix listener: who may connect, when it is replaced, and its removal at the end.

use std::fs;
use std::io::Read;
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use loopgate::engine::Refused;
use rustix::process::Signal;

use crate::harness::{Config, Program, Proxy, Save, Target, wait_until};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("proxy")
    }

    fn config(&self, target: &Target, more: &str) -> String {
        format!(
            "[routes.test]\nlisten = 'unix:{}'\ntarget = '{}'\n{more}",
            self.path().display(),
            target.address
        )
    }
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn greeted(path: &Path) -> bool {
    let mut words = String::new();
    // The target closes when the client has.
    let client =
        UnixStream::connect(path).and_then(|client| client.shutdown(Shutdown::Write).map(|()| client));
    client.and_then(|mut client| client.read_to_string(&mut words)).is_ok() && words == "hello"
}

#[test]
fn the_file_is_the_owners_alone_unless_the_mode_says_otherwise() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());

    let closed = Proxy::builder().with(&folder.config(&target, ""));
    assert_eq!(mode(&folder.path()), 0o600);
    drop(closed);
    let _open = Proxy::builder().with(&folder.config(&target, "socket_mode = '0666'\n"));

    assert_eq!(mode(&folder.path()), 0o666, "whatever the umask");
}

#[test]
fn the_file_goes_with_its_listener_and_with_the_program() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    let proxy = Proxy::builder().with(&folder.config(&target, ""));
    assert!(fs::symlink_metadata(folder.path()).unwrap().file_type().is_socket());

    proxy.declare(&format!("routes.b = {{listen='127.0.0.1:0', target='{}'}}", target.address)).unwrap();
    assert!(!folder.path().exists(), "its route is gone");

    let spec = format!("{}:{}", folder.path().display(), target.address);
    let mut program = Program::start([&spec]);
    program.wait_for("Forwarding unix:");
    assert!(greeted(&folder.path()));
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    assert!(!folder.path().exists(), "the program has ended");
}

#[test]
fn a_file_that_is_no_longer_ours_stays() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    let proxy = Proxy::builder().with(&folder.config(&target, ""));

    fs::remove_file(folder.path()).unwrap();
    let other = UnixListener::bind(folder.path()).unwrap();
    drop(proxy);

    assert!(folder.path().exists());
    drop(other);
}

#[test]
fn a_left_over_file_gives_way() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    let mut killed = Program::start([format!("{}:{}", folder.path().display(), target.address)]);
    killed.wait_for("Forwarding unix:");
    killed.signal(Signal::KILL);
    killed.exit_code();
    assert!(folder.path().exists(), "nobody could remove it");

    let _proxy = Proxy::builder().with(&folder.config(&target, ""));

    assert!(greeted(&folder.path()));
}

#[test]
fn a_socket_that_somebody_holds_does_not_give_way() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    let holder = UnixListener::bind(folder.path()).unwrap();
    let before = inode(&folder.path());

    let mut program = Program::start([format!("{}:{}", folder.path().display(), target.address)]);

    assert_eq!(program.exit_code(), Some(4));
    let said = program.log().join("\n");
    let pid = std::process::id();
    assert!(said.contains(&format!("(pid {pid})")), "{said}");
    assert!(said.contains("[port-held, EADDRINUSE"), "{said}");
    assert_eq!(inode(&folder.path()), before);
    holder.set_nonblocking(true).unwrap();
    assert!(holder.accept().is_err(), "nobody has knocked");
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    for make in [|path: &Path| fs::write(path, "data").unwrap(), |path: &Path| fs::create_dir(path).unwrap()]
    {
        make(&folder.path());
        let proxy = Proxy::to(target.address);

        let refused = proxy.declare(&folder.config(&target, "")).unwrap_err();

        assert!(
            matches!(&refused, Refused::Bind(failures) if failures[0].error.raw_os_error() == Some(libc::EEXIST)),
            "{refused}"
        );
        assert!(folder.path().exists());
        let _ = fs::remove_file(folder.path());
    }
}

#[test]
fn a_reload_keeps_the_same_socket_and_changes_its_mode() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    let proxy = Proxy::builder().with(&folder.config(&target, ""));
    let before = inode(&folder.path());

    proxy.declare(&folder.config(&target, "socket_mode = '0660'\nconnect_timeout = '1s'\n")).unwrap();

    assert_eq!((inode(&folder.path()), mode(&folder.path())), (before, 0o660));
    assert!(UnixStream::connect(folder.path()).is_ok());
}

#[test]
fn a_refused_reload_leaves_no_file_behind_and_no_mode_changed() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    let proxy = Proxy::builder().with(&folder.config(&target, ""));
    let other = folder.0.path().join("other");

    let refused = proxy.declare(&format!(
        "{}\n[routes.other]\nlisten = ['unix:{}', 'unix:/nowhere/at/all']\ntarget = '1'\n",
        folder.config(&target, "socket_mode = '0666'"),
        other.display()
    ));
    let unknown =
        proxy.declare(&folder.config(&target, "socket_mode = '0666'\nsocket_group = 'no-such-group'\n"));

    assert!(refused.is_err() && unknown.is_err());
    assert!(!other.exists());
    assert_eq!(mode(&folder.path()), 0o600);
}

#[test]
fn retry_waits_for_the_directory_to_come() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    let late = folder.0.path().join("late");
    let config = format!(
        "[routes.test]\nlisten = 'unix:{}/proxy'\ntarget = '{}'\nbind = 'retry'\n",
        late.display(),
        target.address
    );
    let _proxy = Proxy::builder().with(&config);

    fs::create_dir(&late).unwrap();

    wait_until("it listens", || UnixStream::connect(late.join("proxy")).ok());
}

#[test]
#[ignore = "needs root"]
fn owner_and_group_decide_who_may_connect() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    fs::set_permissions(folder.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _proxy = Proxy::builder().with(
        &folder.config(&target, "socket_mode = '0600'\nsocket_owner = 'nobody'\nsocket_group = '65534'\n"),
    );
    let meta = fs::symlink_metadata(folder.path()).unwrap();

    assert_eq!((meta.uid(), meta.gid(), mode(&folder.path())), (65534, 65534, 0o600));
}

#[test]
#[ignore = "needs root"]
fn a_user_without_rights_is_told_what_it_lacks() {
    let folder = Folder::new();
    let before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--"];

    let mut program = Program::start_under(&before, [format!("{}:1", folder.path().display())]);

    assert_eq!(program.exit_code(), Some(6));
    let said = program.log().join("\n");
    assert!(said.contains("[unix-socket-denied, EACCES"), "{said}");
}

#[test]
fn two_starts_at_once_never_take_a_live_socket_for_an_old_file() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    let spec = format!("{}:{}", folder.path().display(), target.address);
    for _ in 0..5 {
        drop(UnixListener::bind(folder.path()).unwrap());
        let mut both = [Program::start([&spec]), Program::start([&spec])];

        let ended = wait_until("one has given up", || {
            let running: Vec<bool> = both.iter_mut().map(Program::is_running).collect();
            running.iter().position(|runs| !runs)
        });

        assert!(matches!(both[ended].exit_code(), Some(4 | 5)));
        let stays = &mut both[1 - ended];
        stays.wait_for("Forwarding unix:");
        wait_until("it is the one at the path", || UnixStream::connect(folder.path()).ok());
        stays.signal(Signal::TERM);
        assert_eq!(stays.exit_code(), Some(0));
        assert!(!folder.path().exists());
    }
}

#[test]
fn a_file_that_a_cleaner_has_removed_is_made_again() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    let inside = folder.0.path().join("run");
    fs::create_dir(&inside).unwrap();
    let path = inside.join("proxy");
    let mut program = Program::start([format!("{}:{}", path.display(), target.address)]);
    program.wait_for("Forwarding unix:");

    fs::remove_file(&path).unwrap();
    program.wait_for("is made again");
    wait_until("it is reached again", || greeted(&path).then_some(()));
    assert_eq!(mode(&path), 0o600);

    fs::remove_dir_all(&inside).unwrap();
    program.wait_for("cannot be made again");
    fs::create_dir(&inside).unwrap();
    program.wait_for("is made again");
    wait_until("it is reached again", || greeted(&path).then_some(()));

    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    assert!(!path.exists(), "the new file goes with the program");
}

#[test]
fn a_socket_that_another_program_has_put_in_its_place_is_told_and_stays() {
    let (target, folder) = (Target::greeting(b"hello"), Folder::new());
    let mut config = Config::new(&folder.config(&target, ""));
    let mut program = Program::run(&config.path);
    let at = folder.0.path().join("other");
    let other = UnixListener::bind(&at).unwrap();

    fs::rename(at, folder.path()).unwrap();
    let before = inode(&folder.path());
    let told = program.wait_for("cannot be made again");
    assert!(told.contains("route test") && told.contains(&format!("(pid {})", std::process::id())), "{told}");

    config.save(Save::InPlace, &folder.config(&target, "socket_mode = '0666'\n"));
    program.wait_for("replaced=1");
    program.wait_for("cannot be made again");
    assert_eq!(inode(&folder.path()), before, "a reload steals it no more than a tick");

    drop(other);
    program.wait_for("is made again");
    wait_until("it is reached again", || greeted(&folder.path()).then_some(()));
    assert_eq!(mode(&folder.path()), 0o666);
}
