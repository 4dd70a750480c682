//! Finds the systemd service or the container of a process, from the path of its cgroup.
//!
//! Every user may read /proc/PID/cgroup. The paths are conventions of the engines, not of the kernel: a path that
//! follows none of them yields nothing. No engine's API socket is used.

use std::path::Path;

use crate::outcome::{Container, Engine, Unit};
use crate::probe::read_text;
use crate::units::shown;

const MAX_FILE: u64 = 8 * 1024;
const MAX_NAME: usize = 64;
const MAX_CONTAINER_CONFIG: u64 = 1 << 20;

/// The service and the container of a process, each only if this process is not in the same one: what both share does
/// not distinguish them, and stopping it would stop this process too.
pub(crate) fn of(pid: u32) -> (Option<Unit>, Option<Container>) {
    let read = |process: &str| read_text(format!("/proc/{process}/cgroup"), MAX_FILE).unwrap_or_default();
    let (unit, container) = (read(&pid.to_string()), read("self"));
    let (own_unit, own_container) = residence(&container);
    let (unit, container) = residence(&unit);
    (
        unit.filter(|unit| Some(unit) != own_unit.as_ref()),
        container.filter(|container| Some(container) != own_container.as_ref()).map(named),
    )
}

/// The result of the first hierarchy that yields one; version 2 and systemd's own hierarchy are as informative as any.
fn residence(cgroup: &str) -> (Option<Unit>, Option<Container>) {
    let paths = || cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let container = paths().find_map(container);
    // A unit below a container belongs to that container.
    let unit = if container.is_some() { None } else { paths().find_map(unit) };
    (unit, container)
}

/// `/system.slice/nginx.service`, `/user.slice/user-1000.slice/user@1000.service/app.slice/web.service`
fn unit(path: &str) -> Option<Unit> {
    let mut of_user = false;
    let mut found = None;
    for part in path.split('/') {
        if part.starts_with("user@") {
            of_user = true;
        } else if part.ends_with(".service") {
            found = Some(part);
        }
    }
    found.map(|name| Unit { name: shown(name, MAX_NAME), of_user })
}

fn container(path: &str) -> Option<Container> {
    let parts: Vec<&str> = path.split('/').collect();
    parts.iter().enumerate().find_map(|(at, part)| {
        let before = at.checked_sub(1).map_or("", |at| parts[at]);
        let (engine, name) = in_scope(part).or_else(|| in_folder(before, part))?;
        let name = if is_id(&name) { name[..12].to_owned() } else { name };
        Some(Container { engine, name: shown(&name, MAX_NAME) })
    })
}

/// A scope or a payload created by systemd or LXC: one path component holds the engine and the name.
fn in_scope(part: &str) -> Option<(Engine, String)> {
    const SCOPES: [(&str, Engine); 6] = [
        ("docker-", Engine::Docker),
        ("libpod-", Engine::Podman),
        ("cri-containerd-", Engine::Cri),
        ("crio-", Engine::Cri),
        ("app-flatpak-", Engine::Flatpak),
        ("machine-", Engine::Nspawn),
    ];
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some((Engine::Lxc, name.to_owned()));
    }
    let scope = part.strip_suffix(".scope")?;
    let (name, engine) =
        SCOPES.iter().find_map(|(prefix, engine)| Some((scope.strip_prefix(prefix)?, *engine)))?;
    match engine {
        // `app-flatpak-org.example.App-4711`
        Engine::Flatpak => Some((engine, name.rsplit_once('-')?.0.to_owned())),
        // The processes of a virtual machine are not visible here.
        Engine::Nspawn if name.starts_with("qemu") => None,
        Engine::Nspawn => Some((engine, unescaped(name))),
        _ if is_id(name) => Some((engine, name.to_owned())),
        _ => None,
    }
}

/// Engines that create their cgroups themselves: the parent folder names the engine.
fn in_folder(before: &str, part: &str) -> Option<(Engine, String)> {
    let engine = match before {
        "docker" if is_id(part) => Engine::Docker,
        "libpod_parent" => return Some((Engine::Podman, part.strip_prefix("libpod-")?.to_owned())),
        "lxc" if !part.is_empty() => Engine::Lxc,
        pod if pod.starts_with("pod") && is_id(part) => Engine::Cri,
        _ => return None,
    };
    Some((engine, part.to_owned()))
}

/// Whether a name is a container id: 64 hexadecimal digits.
fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// systemd escapes a hyphen within a name as `\x2d` (systemd.unit(5)).
fn unescaped(name: &str) -> String {
    name.replace("\\x2d", "-")
}

/// Replaces a Docker id by the container's name, which only root may read.
fn named(container: Container) -> Container {
    if container.engine != Engine::Docker {
        return container;
    }
    docker_name(Path::new("/var/lib/docker/containers"), &container.name)
        .map_or(container.clone(), |name| Container { name, ..container })
}

fn docker_name(containers: &Path, short_id: &str) -> Option<String> {
    let folder = std::fs::read_dir(containers)
        .ok()?
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_str().is_some_and(|id| id.starts_with(short_id)))?;
    let config = read_text(folder.path().join("config.v2.json"), MAX_CONTAINER_CONFIG).ok()?;
    let config: serde_json::Value = serde_json::from_str(&config).ok()?;
    let name = config["Name"].as_str()?.trim_start_matches('/');
    Some(shown(name, MAX_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn described(path: &str) -> String {
        match residence(&format!("0::{path}\n")) {
            (Some(unit), _) => format!("{}{}", if unit.of_user { "user " } else { "" }, unit.name),
            (_, Some(container)) => format!("{:?} {}", container.engine, container.name),
            _ => String::new(),
        }
    }

    #[test]
    fn services_and_containers_are_known_by_their_paths() {
        for (path, want) in [
            ("/system.slice/nginx.service", "nginx.service"),
            ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", "user web.service"),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope", ""),
            ("/user.slice/user-1000.slice/session-3.scope", ""),
            ("/init.scope", ""),
            ("/", ""),
            ("/system.slice/docker-ID.scope", "Docker 0123456789ab"),
            ("/docker/ID", "Docker 0123456789ab"),
            ("/system.slice/docker.service", "docker.service"),
            ("/machine.slice/libpod-ID.scope/container", "Podman 0123456789ab"),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
                "Podman 0123456789ab",
            ),
            ("/libpod_parent/libpod-ID", "Podman 0123456789ab"),
            ("/kubepods.slice/kubepods-podf2.slice/cri-containerd-ID.scope", "Cri 0123456789ab"),
            ("/kubepods/besteffort/podf2a1/ID", "Cri 0123456789ab"),
            ("/lxc.payload.web/system.slice/nginx.service", "Lxc web"),
            ("/machine.slice/machine-my\\x2dweb.scope/payload", "Nspawn my-web"),
            ("/machine.slice/machine-qemu\\x2d1.scope", ""),
            (
                "/user.slice/user@1000.service/app.slice/app-flatpak-org.example.App-4711.scope",
                "Flatpak org.example.App",
            ),
        ] {
            assert_eq!(described(&path.replace("ID", ID)), want, "{path}");
        }
    }

    #[test]
    fn an_older_hierarchy_tells_as_much() {
        let (unit, _) = residence("12:pids:/system.slice/web.service\n1:name=systemd:/\n0::/\n");

        assert_eq!(unit.unwrap().name, "web.service");
    }

    #[test]
    fn what_is_around_this_process_as_well_says_nothing() {
        assert_eq!(of(std::process::id()), (None, None));
    }

    #[test]
    fn docker_names_its_containers_to_root() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(ID)).unwrap();
        std::fs::write(folder.path().join(ID).join("config.v2.json"), r#"{"Name":"/web\u001b[2J"}"#).unwrap();

        assert_eq!(docker_name(folder.path(), &ID[..12]).as_deref(), Some("web\\u{1b}[2J"));
    }
}
