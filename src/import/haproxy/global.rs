//! `global`: what concerns the process.

use super::lines::{Line, Section, duration};
use crate::import::draft::{Draft, Toml};
use crate::import::shell::time;

/// What concerns how HAProxy itself runs, and nothing that it carries.
const OF_ITSELF: [&str; 31] = [
    "daemon",
    "master-worker",
    "nbproc",
    "nbthread",
    "cpu-map",
    "pidfile",
    "node",
    "description",
    "zero-warning",
    "set-dumpable",
    "strict-limits",
    "busy-polling",
    "localpeer",
    "default-path",
    "resetenv",
    "unsetenv",
    "thread-groups",
    "thread-group",
    "server-state-file",
    "server-state-base",
    "grace",
    "close-spread-time",
    "insecure-fork-wanted",
    "insecure-setuid-wanted",
    "expose-experimental-directives",
    "expose-deprecated-directives",
    "maxpipes",
    "maxsslconn",
    "maxsslrate",
    "numa-cpu-mapping",
    "profiling.tasks",
];

/// Reads the section.
pub(super) fn read(section: &Section, draft: &mut Draft) {
    for line in &section.lines {
        let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
        match words[..] {
            ["maxconn", count] => match count.parse() {
                Ok(count) => draft.set_process(&line.at, "limits.connections", Toml::Number(count)),
                Err(_) => draft.lost(None, &line.at, "this is not a number"),
            },
            ["hard-stop-after", limit] => match duration(limit) {
                Some(limit) => draft.set_process(&line.at, "limits.drain_timeout", time(limit)),
                None => draft.lost(None, &line.at, "this is not a time"),
            },
            ["log" | "log-tag" | "log-send-hostname" | "quiet" | "debug", ..] => {
                draft.idle(&line.at, "Loopgate writes a record of every connection to standard error");
            }
            [word, ..] if OF_ITSELF.contains(&word) => {
                draft.idle(&line.at, "it configures the HAProxy process");
            }
            ["user" | "group" | "uid" | "gid" | "chroot" | "ulimit-n" | "setenv" | "presetenv", ..] => {
                draft.idle(
                    &line.at,
                    "start Loopgate with this user and these limits; see the page on systemd in the book",
                );
            }
            [word, ..]
                if word.starts_with("tune.") || word.starts_with("no") || word.starts_with("spread-") =>
            {
                draft.idle(&line.at, "it tunes HAProxy itself");
            }
            ["stats", ..] => draft.lost(
                None,
                &line.at,
                "there is no statistics socket; Loopgate writes a record of every connection",
            ),
            ["ca-base" | "crt-base", ..] => draft.lost(None, &line.at, "write absolute paths"),
            ["ssl-server-verify", ..] => {
                draft.lost(
                    None,
                    &line.at,
                    "targets are verified; to skip that, set verify in [routes.NAME.target_tls]",
                );
            }
            ["ssl-default-bind-options" | "ssl-default-server-options", ref options @ ..] => {
                tls_options(options, line, draft);
            }
            ["maxconnrate" | "maxsessrate", ..] => {
                draft.lost(None, &line.at, "the rate is set per route; write connection_rate");
            }
            [word, ..] if word.starts_with("ssl-") => {
                draft.lost(None, &line.at, "Loopgate uses TLS 1.2 and 1.3 with safe ciphers");
            }
            _ => draft.lost(None, &line.at, "it has no counterpart"),
        }
    }
}

/// What all listeners or servers with TLS have in common.
fn tls_options(options: &[&str], line: &Line, draft: &mut Draft) {
    let is_so_anyway = |option: &&str| {
        matches!(
            *option,
            "ssl-min-ver"
                | "TLSv1.0"
                | "TLSv1.1"
                | "TLSv1.2"
                | "no-sslv3"
                | "no-tlsv10"
                | "no-tlsv11"
                | "prefer-client-ciphers"
                | "no-tls-tickets"
        )
    };
    match options.iter().all(is_so_anyway) {
        true => draft.idle(&line.at, "Loopgate uses TLS 1.2 and 1.3 with safe ciphers"),
        false => draft.lost(
            None,
            &line.at,
            "Loopgate uses TLS 1.2 and 1.3 with safe ciphers; for 1.3 only, set min_version",
        ),
    }
}
