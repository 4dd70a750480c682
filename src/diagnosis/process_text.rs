//! Describes a process that holds a socket: its name, age, home and the command that ends it. Pure.

use std::time::{Duration, SystemTime};

use crate::outcome::{Container, Engine, Holder, Unit};

/// `python3 -m http.server (pid 4711), user ana, since 09:58 UTC (42 min), in /home/ana/shop`
pub(crate) fn describe(holder: &Holder) -> String {
    let user = holder.user.clone().unwrap_or_else(|| format!("uid {}", holder.uid));
    let mut text = format!("{} (pid {}), user {user}", command(holder), holder.pid);
    text.extend(since(holder).map(|since| format!(", {since}")));
    text.extend(holder.cwd.as_ref().filter(|cwd| *cwd != "/").map(|cwd| format!(", in {cwd}")));
    if holder.this_process {
        text.push_str(", this very process");
    } else if holder.same_program {
        text.push_str(", this same program file");
    }
    match holder.state {
        'T' => text.push_str(", suspended"),
        't' => text.push_str(", held by a debugger"),
        _ => {}
    }
    text
}

/// The command line. If it does not begin with the short name (a script, a renamed worker), that stands before it.
fn command(holder: &Holder) -> String {
    let line = holder.command();
    let program = line.split(' ').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    // The kernel truncates the short name to 15 characters.
    if program.starts_with(&holder.comm) { line } else { format!("{}: {line}", holder.comm) }
}

/// `since 09:58 UTC (42 min)`; from one day on, the date without an hour.
pub(crate) fn since(holder: &Holder) -> Option<String> {
    let age = holder.age?;
    Some(match holder.started.and_then(clock) {
        Some((day, _)) if age >= DAY => format!("since {day} ({})", rough(age)),
        Some((_, hour)) => format!("since {hour} UTC ({})", rough(age)),
        None => format!("for {}", rough(age)),
    })
}

const DAY: Duration = Duration::from_secs(86_400);

/// `2026-11-23` and `09:58`
fn clock(time: SystemTime) -> Option<(String, String)> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let (day, hour) = text.split_once('T')?;
    Some((day.to_owned(), hour.get(..5)?.to_owned()))
}

/// `python3 (pid 7)`, `nginx (pid 7) and 4 more processes`
pub(crate) fn names(holders: &[&Holder]) -> String {
    match holders {
        [] => "a process that could not be named".to_owned(),
        [one] if one.this_process => format!("this very process (pid {})", one.pid),
        [one] => format!("{} (pid {})", one.comm, one.pid),
        [first, rest @ ..] => {
            let plural = if rest.len() == 1 { "" } else { "es" };
            format!("{} (pid {}) and {} more process{plural}", first.comm, first.pid, rest.len())
        }
    }
}

/// `bash (4650) in terminal pts/3`: the parent and the terminal; init as a parent is not named.
pub(crate) fn parentage(holder: &Holder) -> Option<String> {
    let parent = holder.chain.iter().rev().nth(1).filter(|parent| parent.pid != 1);
    let terminal = holder.terminal.as_ref().map(|terminal| format!("terminal {terminal}"));
    match (parent, terminal) {
        (Some(parent), Some(terminal)) => Some(format!("{} ({}) in {terminal}", parent.comm, parent.pid)),
        (Some(parent), None) => Some(format!("{} ({})", parent.comm, parent.pid)),
        (None, terminal) => terminal,
    }
}

/// `service nginx.service`, `Docker container web`
pub(crate) fn home(holder: &Holder) -> Option<String> {
    match (&holder.container, &holder.unit) {
        (Some(container), _) => Some(format!("{} {}", engine(container.engine), container.name)),
        (None, Some(Unit { name, of_user: true })) => Some(format!("user service {name}")),
        (None, Some(Unit { name, .. })) => Some(format!("service {name}")),
        (None, None) => None,
    }
}

fn engine(engine: Engine) -> &'static str {
    match engine {
        Engine::Docker => "Docker container",
        Engine::Podman => "Podman container",
        Engine::Cri => "Kubernetes container",
        Engine::Lxc => "LXC container",
        Engine::Nspawn => "systemd-nspawn machine",
        Engine::Flatpak => "Flatpak application",
    }
}

/// The command that stops the service or container of the process: its supervisor would restart a process that was only
/// killed. `None` without either.
pub(crate) fn stop_home(holder: &Holder) -> Option<Vec<String>> {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    match (&holder.container, &holder.unit) {
        (Some(Container { engine, name }), _) => match engine {
            Engine::Docker => words(&["docker", "stop", name]),
            Engine::Podman => words(&["podman", "stop", name]),
            Engine::Cri => words(&["crictl", "stop", name]),
            Engine::Nspawn => words(&["machinectl", "stop", name]),
            Engine::Flatpak => words(&["flatpak", "kill", name]),
            // LXC and Incus use different commands.
            Engine::Lxc => None,
        },
        (None, Some(Unit { name, of_user: true })) => words(&["systemctl", "--user", "stop", name]),
        (None, Some(Unit { name, .. })) => words(&["systemctl", "stop", name]),
        (None, None) => None,
    }
}

/// The ids of at most eight processes.
pub(crate) fn pids(holders: &[&Holder]) -> Vec<String> {
    const SHOWN: usize = 8;
    holders.iter().take(SHOWN).map(|holder| holder.pid.to_string()).collect()
}

/// A duration in its largest fitting unit, for a person: `119 s`, `2 min`, `2 h`, `2 days`.
pub(crate) fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// A command for a shell: words with anything but letters, digits and plain signs are quoted.
pub(crate) fn shell(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    let word = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::listen::samples::holder;
    use crate::outcome::Ancestor;

    fn at(hour: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(hour * 3600))
    }

    #[test]
    fn a_holder_is_described_with_its_user_its_age_and_its_place() {
        let today = Holder { started: at(10), ..holder(7, "nginx") };
        let long_ago = Holder { age: Some(3 * DAY), ..today.clone() };

        assert_eq!(
            describe(&today),
            "nginx --serve (pid 7), user ana, since 10:00 UTC (42 min), in /home/ana/shop"
        );
        assert_eq!(since(&long_ago).unwrap(), "since 1970-01-01 (3 days)");
        let script =
            Holder { cmdline: vec!["/usr/bin/python3".into(), "c.py".into()], ..holder(7, "db-client") };
        assert!(describe(&script).starts_with("db-client: /usr/bin/python3 c.py (pid 7)"));
    }

    #[test]
    fn the_service_or_container_of_a_process_is_stopped_rather_than_the_process() {
        let unit = |of_user| Some(Unit { name: "web.service".to_owned(), of_user });
        let container = |engine| Some(Container { engine, name: "web".to_owned() });
        let stop = |unit, container| {
            stop_home(&Holder { unit, container, ..holder(7, "nginx") }).map(|command| shell(&command))
        };

        assert_eq!(stop(unit(false), None).as_deref(), Some("systemctl stop web.service"));
        assert_eq!(stop(unit(true), None).as_deref(), Some("systemctl --user stop web.service"));
        assert_eq!(stop(unit(false), container(Engine::Docker)).as_deref(), Some("docker stop web"));
        assert_eq!(stop(None, container(Engine::Lxc)), None);
        assert_eq!(stop(None, None), None);
    }

    #[test]
    fn a_parent_is_named_with_its_terminal_and_init_is_not_named() {
        let ancestor = |pid, comm: &str| Ancestor { pid, comm: comm.to_owned() };
        let chain = vec![ancestor(1, "systemd"), ancestor(50, "bash"), ancestor(7, "nginx")];
        let mut child = Holder { chain, terminal: Some("pts/3".to_owned()), ..holder(7, "nginx") };

        assert_eq!(parentage(&child).as_deref(), Some("bash (50) in terminal pts/3"));
        child.chain.remove(1);
        child.terminal = None;
        assert_eq!(parentage(&child), None);
    }

    #[test]
    fn a_word_that_a_shell_would_split_is_quoted() {
        assert_eq!(
            shell(&["loopgate".into(), "62893:[::1]:3001".into(), "a'b".into()]),
            r"loopgate '62893:[::1]:3001' 'a'\''b'"
        );
    }
}
