//! Could a program listen on a Unix socket? A path is only inspected, because a bind would leave a file.

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
use crate::units::shown_path;

/// Whether a listener of ours could have this path now (or this abstract name, if it begins with `@`), and if not,
/// exactly why.
pub fn could_listen_unix(path: &Path) -> Diagnosis {
    let begun = Instant::now();
    let descriptors = limits::descriptors();
    let subject = Subject::Unix(path.to_owned());
    let mut diagnosis =
        Diagnosis::new(Question::Listen, subject.clone(), Verdict::Healthy, Certainty::Proven);
    match path.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => abstract_name(name, path, &mut diagnosis),
        None => file(path, &mut diagnosis),
    }
    if own_limits::forbids_listening(&descriptors, diagnosis.verdict != Verdict::Healthy) {
        diagnosis = own_limits::too_few(Question::Listen, subject, &descriptors);
    }
    if diagnosis.verdict == Verdict::Healthy {
        diagnosis.summary = "could listen".to_owned();
        let text = "nothing prevents a bind; none was made".to_owned();
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        diagnosis.checks.push(Check { id: "bind", status: Status::Ok, text, ms });
    }
    diagnosis.elapsed = begun.elapsed();
    diagnosis
}

fn abstract_name(name: &[u8], path: &Path, diagnosis: &mut Diagnosis) {
    let Err(error) = try_abstract(name) else { return };
    diagnosis.failed_with(&error);
    match (error.raw_os_error(), listener(path)) {
        (Some(libc::EADDRINUSE), Ok(Some(listening))) => held(&listening, diagnosis),
        (Some(libc::EADDRINUSE), _) => {
            diagnosis.verdict = Verdict::PortHeldHidden;
            diagnosis.certainty = Certainty::Likely;
            diagnosis.summary = "a socket that has this name does not listen, or is not visible".to_owned();
        }
        _ => unknown(diagnosis),
    }
}

fn file(path: &Path, diagnosis: &mut Diagnosis) {
    let walk = walk(path);
    let found = listener(path);
    match (&walk, found) {
        (_, Ok(Some(listening))) => {
            diagnosis.failed_with(&io::Error::from_raw_os_error(libc::EADDRINUSE));
            held(&listening, diagnosis);
        }
        (Walk { missing: Some(missing), leads_to: Some(_), .. }, _) if missing == path => {
            // bind(2) does not follow it.
            no_socket(path, "a symbolic link that leads nowhere", diagnosis);
        }
        (Walk { missing: Some(missing), .. }, _) if missing == path => may_be_made(path, diagnosis),
        (Walk { missing: Some(missing), .. }, _) => {
            diagnosis.failed_with(&io::Error::from_raw_os_error(libc::ENOENT));
            diagnosis.certainty = Certainty::Proven;
            diagnosis.verdict = Verdict::Unknown;
            diagnosis.summary = format!("the folder {} does not exist", shown_path(missing));
            let parent = path.parent().unwrap_or(path).to_string_lossy().into_owned();
            diagnosis.fixes.push(command(&["mkdir", "-p", &parent], "none"));
        }
        (Walk { closed: Some(closed), is_socket: None, .. }, _) => {
            diagnosis.failed_with(&io::Error::from_raw_os_error(libc::EACCES));
            denied(
                diagnosis,
                format!(
                    "{} is closed to this user: mode {:04o}, {}",
                    shown_path(&closed.path),
                    closed.mode,
                    closed.owner
                ),
            );
        }
        (Walk { is_socket: Some(false), .. }, _) => no_socket(path, "a file that is not a socket", diagnosis),
        (_, Ok(None)) => stale(path, diagnosis),
        (_, Err(error)) => {
            diagnosis.failed_with(&io::Error::from_raw_os_error(libc::EADDRINUSE));
            unknown(diagnosis);
            diagnosis.detail("hidden", format!("whether anything listens on it: {error}"));
        }
    }
}

fn no_socket(path: &Path, what: &str, diagnosis: &mut Diagnosis) {
    diagnosis.failed_with(&io::Error::from_raw_os_error(libc::EADDRINUSE));
    diagnosis.verdict = Verdict::Unknown;
    diagnosis.certainty = Certainty::Proven;
    diagnosis.summary = format!("{what} has this path; it is not touched");
    diagnosis.fixes.push(command(&["ls", "-ld", &path.to_string_lossy()], "none"));
}

/// No socket of this network namespace listens on the file. A refused connection shows that none of another does.
fn stale(path: &Path, diagnosis: &mut Diagnosis) {
    diagnosis.failed_with(&io::Error::from_raw_os_error(libc::EADDRINUSE));
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => {
            diagnosis.verdict = Verdict::UnixSocketStale;
            diagnosis.summary = "a socket file is left over, and nothing listens on it".to_owned();
            diagnosis.detail("proof", "no socket of the kernel has this file; connect(2) is refused");
            diagnosis.fact("sock_diag", "no listener", json!(null));
            diagnosis.fact("connect", "ECONNREFUSED", libc::ECONNREFUSED);
            diagnosis.fixes.push(command(&["rm", &path.to_string_lossy()], "none: no client can reach it"));
        }
        Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
            diagnosis.verdict = Verdict::PortHeldHidden;
            diagnosis.summary = "a datagram socket has this path".to_owned();
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unknown(diagnosis);
            diagnosis.detail("hidden", "whether anything listens on it: this user may not connect");
        }
        Ok(_) => {
            diagnosis.verdict = Verdict::PortHeldHidden;
            diagnosis.summary = "a process of another network namespace listens on it".to_owned();
        }
        Err(error) => {
            unknown(diagnosis);
            diagnosis.detail("hidden", format!("whether anything listens on it: {error}"));
        }
    }
}

fn held(listening: &Listening, diagnosis: &mut Diagnosis) {
    let search = holders::of_inodes(&BTreeSet::from([listening.inode]));
    let mut people: Vec<Holder> = search.found.iter().map(|held| held.holder.clone()).collect();
    people.sort_by_key(Holder::seniority);
    let all: Vec<&Holder> = people.iter().collect();
    diagnosis.summary = match listening.uid {
        _ if !all.is_empty() => format!("taken by {}", names(&all)),
        Some(uid) => format!("taken by a process of uid {uid}"),
        None => "taken by a process that is not visible".to_owned(),
    };
    diagnosis.verdict = match &all[..] {
        [] => Verdict::PortHeldHidden,
        all if all.iter().all(|holder| holder.same_program && !holder.this_process) => {
            Verdict::AlreadyRunning
        }
        all if all.iter().all(|holder| holder.suspended()) => Verdict::PortHeldBySuspended,
        [_] => Verdict::PortHeld,
        _ => Verdict::PortHeldByGroup,
    };
    if diagnosis.verdict == Verdict::AlreadyRunning {
        diagnosis.summary = format!("{} is already running and holds {}", names(&all), diagnosis.subject);
    }
    for holder in all.iter().take(2) {
        diagnosis.detail("who", describe(holder));
        diagnosis.details.extend(home(holder).map(|text| crate::diagnosis::Detail { label: "lives", text }));
        diagnosis
            .details
            .extend(parentage(holder).map(|text| crate::diagnosis::Detail { label: "parent", text }));
    }
    let descriptor =
        search.found.first().map(|held| format!(" = /proc/{}/fd/{}", held.holder.pid, held.descriptor));
    let proof =
        format!("LISTEN {}, inode {}{}", listening.name, listening.inode, descriptor.unwrap_or_default());
    diagnosis.detail("proof", format!("{proof}, {} of {} waiting", listening.waiting, listening.limit));
    diagnosis.fact(
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
        diagnosis.fixes.push(Fix {
            text: shell(&stop),
            command: stop,
            root: false,
            risk: format!("ends {}", names(&all)),
        });
    }
    diagnosis.holders =
        people.into_iter().map(|holder| Holder { sockets: vec![socket.clone()], ..holder }).collect();
}

fn may_be_made(path: &Path, diagnosis: &mut Diagnosis) {
    if let Err(error) = may_make(path) {
        diagnosis.failed_with(&error);
        let folder = shown_path(path.parent().unwrap_or(path));
        match error.raw_os_error() {
            Some(libc::EROFS) => denied(diagnosis, format!("{folder} is on a file system that is read-only")),
            Some(libc::EACCES | libc::EPERM) => {
                denied(diagnosis, format!("this user may not make a file in {folder}"));
            }
            _ => {
                unknown(diagnosis);
                diagnosis.summary = error.to_string();
            }
        }
    }
}

fn denied(diagnosis: &mut Diagnosis, why: String) {
    diagnosis.verdict = Verdict::UnixSocketDenied;
    diagnosis.summary = why;
}

fn unknown(diagnosis: &mut Diagnosis) {
    diagnosis.verdict = Verdict::Unknown;
    diagnosis.certainty = Certainty::Unknown;
    diagnosis.summary.clone_from(&diagnosis.os_message);
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

    fn judged(path: &Path) -> (Verdict, String) {
        let diagnosis = could_listen_unix(path);
        (diagnosis.verdict, diagnosis.fixes.first().map(|fix| fix.text.clone()).unwrap_or_default())
    }

    #[test]
    fn a_left_over_file_is_distinguished_from_a_listener_and_from_a_free_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        drop(UnixListener::bind(path("old")).unwrap());
        let _listener = UnixListener::bind(path("held")).unwrap();
        fs::write(path("file"), "x").unwrap();
        std::os::unix::fs::symlink("/gone/s", path("link")).unwrap();

        assert_eq!(judged(&path("old")), (Verdict::UnixSocketStale, format!("rm {}", path("old").display())));
        assert!(matches!(judged(&path("held")).0, Verdict::PortHeld | Verdict::PortHeldByGroup));
        assert_eq!(judged(&path("file")).0, Verdict::Unknown);
        let link = could_listen_unix(&path("link"));
        assert_eq!(link.summary, "a symbolic link that leads nowhere has this path; it is not touched");
        assert_eq!(judged(&path("free")).0, Verdict::Healthy);
        assert!(!path("free").exists(), "no file is created");
        assert_eq!(judged(&path("no/such")).1, format!("mkdir -p {}", path("no").display()));
    }

    #[test]
    fn a_taken_abstract_name_is_never_free() {
        let name = format!("@loopgate-test-{}", std::process::id());
        assert_eq!(judged(Path::new(&name)).0, Verdict::Healthy);

        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();

        assert!(matches!(judged(Path::new(&name)).0, Verdict::PortHeld | Verdict::PortHeldByGroup));
    }
}
