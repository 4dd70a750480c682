//! The rights and restrictions of this process: capabilities, sandboxes, security labels.

use rustix::process::geteuid;
use serde::Serialize;

use crate::probe::read_text;
use crate::units::shown;

/// The rights of this process that matter for listening.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rights {
    /// Its effective user id.
    pub uid: u32,
    /// Whether it has CAP_NET_BIND_SERVICE (capabilities(7)), which a bind to a low port requires.
    pub may_bind_low_ports: bool,
    /// Whether it runs in a user namespace other than the initial one, in which its capabilities may not count outside.
    pub in_user_namespace: bool,
    /// Whether no_new_privs is set, as by Landlock and most sandboxes.
    pub no_new_privs: bool,
    /// Whether a seccomp filter is active.
    pub seccomp: bool,
    /// The SELinux context or AppArmor profile that confines it, if any.
    pub label: Option<String>,
}

const CAP_NET_BIND_SERVICE: u64 = 10;

impl Rights {
    /// Reads the rights of this process; a right that cannot be read counts as absent.
    pub fn read() -> Rights {
        let status = read_text("/proc/self/status", 8 * 1024).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
        let capabilities = field("CapEff:").and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0);
        Rights {
            uid: geteuid().as_raw(),
            may_bind_low_ports: capabilities >> CAP_NET_BIND_SERVICE & 1 == 1,
            in_user_namespace: read_text("/proc/self/uid_map", 4096).is_ok_and(|map| !is_initial(&map)),
            no_new_privs: field("NoNewPrivs:") == Some("1"),
            seccomp: field("Seccomp:").is_some_and(|mode| mode != "0"),
            label: read_text("/proc/self/attr/current", 4096).ok().and_then(|label| confining(&label)),
        }
    }
}

/// The initial user namespace maps every id onto itself (user_namespaces(7)).
fn is_initial(uid_map: &str) -> bool {
    uid_map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

fn confining(label: &str) -> Option<String> {
    let label = label.trim_matches(|character: char| character == '\0' || character.is_whitespace());
    let free =
        label.is_empty() || label == "unconfined" || label == "kernel" || label.contains(":unconfined_t:");
    (!free).then(|| shown(label, 80))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_confines_nothing_is_none() {
        assert_eq!(confining("unconfined\n"), None);
        assert_eq!(confining("\0"), None);
        assert_eq!(confining("docker-default (enforce)\n").as_deref(), Some("docker-default (enforce)"));
    }

    #[test]
    fn the_initial_user_namespace_is_told_from_a_container() {
        assert!(is_initial("         0          0 4294967295\n"));
        assert!(!is_initial("         0       1000          1\n"));
    }
}
