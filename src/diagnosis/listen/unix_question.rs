//! Could something listen on a Unix socket? A path is only looked at, for a bind would leave a file.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::diagnosis::finding::{Check, Diagnosis, Fix, Question, Status, Subject};
use crate::diagnosis::own_limits;
use crate::diagnosis::process_text::{describe, home, names, parentage, shell, stop_home};
use crate::diagnosis::verdict::{Certainty, Verdict};
use crate::outcome::{HeldSocket, Holder};
use crate::probe::process::holders;
use crate::probe::sockets::unix::{Listening, Walk, listener, may_make, try_abstract, walk};
use crate::probe::system::limits;

/// Whether a listener of ours could have this path now (or, where it begins with `@`, this abstract name), and exactly
/// why not.
pub fn could_listen_unix(path: &Path) -> Diagnosis {
    let begun = Instant::now();
    let descriptors = limits::descriptors();
    let subject = Subject::Unix(path.to_owned());
    let mut told = if own_limits::has_too_few(&descriptors) {
        own_limits::too_few(Question::Listen, subject, &descriptors)
    } else {
        let mut told = Diagnosis::new(Question::Listen, subject, Verdict::Healthy, Certainty::Proven);
        match path.as_os_str().as_bytes().strip_prefix(b"@") {
            Some(name) => abstract_name(name, path, &mut told),
            None => file(path, &mut told),
        }
        told
    };
    if told.verdict == Verdict::Healthy {
        told.summary = "could listen".to_owned();
        let text = "nothing stands in the way of a bind; none was made".to_owned();
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        told.checks.push(Check { id: "bind", status: Status::Ok, text, ms });
    }
    told.elapsed = begun.elapsed();
    told
}

fn abstract_name(name: &[u8], path: &Path, told: &mut Diagnosis) {
    let Err(error) = try_abstract(name) else { return };
    told.failed_with(&error);
    match (error.raw_os_error(), listener(path)) {
        (Some(libc::EADDRINUSE), Ok(Some(listening))) => held(&listening, told),
        (Some(libc::EADDRINUSE), _) => {
            told.verdict = Verdict::PortHeldHidden;
            told.certainty = Certainty::Likely;
            told.summary = "a socket has this name and does not listen, or cannot be seen".to_owned();
        }
        _ => unknown(told),
    }
}

fn file(path: &Path, told: &mut Diagnosis) {
    let walk = walk(path);
    let found = listener(path);
    match (&walk, found) {
        (_, Ok(Some(listening))) => {
            told.failed_with(&io::Error::from_raw_os_error(libc::EADDRINUSE));
            held(&listening, told);
        }
        (Walk { missing: Some(missing), .. }, _) if missing == path => may_be_made(path, told),
        (Walk { missing: Some(missing), .. }, _) => {
            told.failed_with(&io::Error::from_raw_os_error(libc::ENOENT));
            told.certainty = Certainty::Proven;
            told.verdict = Verdict::Unknown;
            told.summary = format!("the folder {} does not exist", missing.display());
            let parent = path.parent().unwrap_or(path).to_string_lossy().into_owned();
            told.fixes.push(command(&["mkdir", "-p", &parent], "none"));
        }
        (Walk { closed: Some(closed), is_socket: None, .. }, _) => {
            told.failed_with(&io::Error::from_raw_os_error(libc::EACCES));
            denied(
                told,
                format!(
                    "{} is closed to this user: mode {:04o}, {}",
                    closed.path.display(),
                    closed.mode,
                    closed.owner
                ),
            );
        }
        (Walk { is_socket: Some(false), .. }, _) => {
            told.failed_with(&io::Error::from_raw_os_error(libc::EADDRINUSE));
            told.verdict = Verdict::Unknown;
            told.certainty = Certainty::Proven;
            told.summary = "another kind of file is in its place; it is left alone".to_owned();
            told.fixes.push(command(&["ls", "-ld", &path.to_string_lossy()], "none"));
        }
        (_, Ok(None)) => stale(path, told),
        (_, Err(error)) => {
            told.failed_with(&io::Error::from_raw_os_error(libc::EADDRINUSE));
            unknown(told);
            told.detail("hidden", format!("whether anybody listens on it: {error}"));
        }
    }
}

/// Nobody of this network namespace listens on the file. A refused connection tells that nobody of another does.
fn stale(path: &Path, told: &mut Diagnosis) {
    told.failed_with(&io::Error::from_raw_os_error(libc::EADDRINUSE));
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => {
            told.verdict = Verdict::UnixSocketStale;
            told.summary = "a socket file is left over, and nobody listens on it".to_owned();
            told.detail("proof", "no socket of the kernel has this file; connect(2) is refused");
            told.fact("sock_diag", "no listener", json!(null));
            told.fact("connect", "ECONNREFUSED", libc::ECONNREFUSED);
            told.fixes.push(command(&["rm", &path.to_string_lossy()], "none: nobody can reach it"));
        }
        Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
            told.verdict = Verdict::PortHeldHidden;
            told.summary = "a datagram socket has this path".to_owned();
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unknown(told);
            told.detail("hidden", "whether anybody listens on it: connecting is not permitted to this user");
        }
        Ok(_) => {
            told.verdict = Verdict::PortHeldHidden;
            told.summary = "somebody of another network namespace listens on it".to_owned();
        }
        Err(error) => {
            unknown(told);
            told.detail("hidden", format!("whether anybody listens on it: {error}"));
        }
    }
}

fn held(listening: &Listening, told: &mut Diagnosis) {
    let search = holders::of_inodes(&BTreeSet::from([listening.inode]));
    let mut people: Vec<Holder> = search.found.iter().map(|held| held.holder.clone()).collect();
    people.sort_by_key(|holder| (std::cmp::Reverse(holder.age), holder.pid));
    let all: Vec<&Holder> = people.iter().collect();
    told.summary = match listening.uid {
        _ if !all.is_empty() => format!("taken by {}", names(&all)),
        Some(uid) => format!("taken by a process of uid {uid}"),
        None => "taken by a process that may not be seen".to_owned(),
    };
    told.verdict = match &all[..] {
        [] => Verdict::PortHeldHidden,
        all if all.iter().all(|holder| holder.same_program && !holder.this_process) => {
            Verdict::AlreadyRunning
        }
        all if all.iter().all(|holder| holder.suspended()) => Verdict::PortHeldBySuspended,
        [_] => Verdict::PortHeld,
        _ => Verdict::PortHeldByGroup,
    };
    if told.verdict == Verdict::AlreadyRunning {
        told.summary = format!("{} is already running and holds {}", names(&all), told.subject);
    }
    for holder in all.iter().take(2) {
        told.detail("who", describe(holder));
        told.details.extend(home(holder).map(|text| crate::diagnosis::Detail { label: "lives", text }));
        told.details.extend(parentage(holder).map(|text| crate::diagnosis::Detail { label: "parent", text }));
    }
    let descriptor =
        search.found.first().map(|held| format!(" = /proc/{}/fd/{}", held.holder.pid, held.descriptor));
    let proof =
        format!("LISTEN {}, inode {}{}", listening.name, listening.inode, descriptor.unwrap_or_default());
    told.detail("proof", format!("{proof}, {} of {} waiting", listening.waiting, listening.limit));
    told.fact(
        "sock_diag",
        format!("LISTEN {}", listening.name),
        json!({"inode": listening.inode, "uid": listening.uid}),
    );
    let socket = HeldSocket {
        state: "LISTEN",
        local: listening.name.clone(),
        remote: None,
        inode: listening.inode,
        overlap: "exact",
    };
    if let Some(first) = people.first() {
        let kill = || [&["kill".to_owned()][..], &crate::diagnosis::process_text::pids(&all)].concat();
        let stop = stop_home(first).unwrap_or_else(kill);
        told.fixes.push(Fix {
            text: shell(&stop),
            command: stop,
            root: false,
            risk: format!("ends {}", names(&all)),
        });
    }
    told.holders =
        people.into_iter().map(|holder| Holder { sockets: vec![socket.clone()], ..holder }).collect();
}

fn may_be_made(path: &Path, told: &mut Diagnosis) {
    if let Err(error) = may_make(path) {
        told.failed_with(&error);
        match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
                let folder = path.parent().unwrap_or(path).display();
                denied(told, format!("this user may not make a file in {folder}"));
            }
            _ => {
                unknown(told);
                told.summary = error.to_string();
            }
        }
    }
}

fn denied(told: &mut Diagnosis, why: String) {
    told.verdict = Verdict::UnixSocketDenied;
    told.summary = why;
}

fn unknown(told: &mut Diagnosis) {
    told.verdict = Verdict::Unknown;
    told.certainty = Certainty::Unknown;
    told.summary.clone_from(&told.os_message);
}

fn command(words: &[&str], risk: &str) -> Fix {
    let command: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Fix { text: shell(&command), command, root: false, risk: risk.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    use super::*;

    fn told(path: &Path) -> (Verdict, String) {
        let told = could_listen_unix(path);
        (told.verdict, told.fixes.first().map(|fix| fix.text.clone()).unwrap_or_default())
    }

    #[test]
    fn a_left_over_file_is_told_from_a_listener_and_from_a_free_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        drop(UnixListener::bind(path("old")).unwrap());
        let _listener = UnixListener::bind(path("held")).unwrap();
        fs::write(path("file"), "x").unwrap();

        assert_eq!(told(&path("old")), (Verdict::UnixSocketStale, format!("rm {}", path("old").display())));
        assert!(matches!(told(&path("held")).0, Verdict::PortHeld | Verdict::PortHeldByGroup));
        assert_eq!(told(&path("file")).0, Verdict::Unknown);
        assert_eq!(told(&path("free")).0, Verdict::Healthy);
        assert!(!path("free").exists(), "nothing is made");
        assert_eq!(told(&path("no/such")).1, format!("mkdir -p {}", path("no").display()));
    }

    #[test]
    fn a_taken_abstract_name_is_never_free() {
        let name = format!("@loopgate-test-{}", std::process::id());
        assert_eq!(told(Path::new(&name)).0, Verdict::Healthy);

        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();

        assert!(matches!(told(Path::new(&name)).0, Verdict::PortHeld | Verdict::PortHeldByGroup));
    }
}
