//! `global`: what concerns the process.

use super::lines::Section;
use super::proxy::duration;
use crate::import::draft::{Draft, Toml};
use crate::import::words::time;

/// Reads the section.
pub(super) fn read(section: &Section, draft: &mut Draft) {
    for line in &section.lines {
        let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
        match words[..] {
            ["maxconn", count] => match count.parse() {
                Ok(count) => draft.set_process(&line.at, "limits.connections", Toml::Number(count)),
                Err(_) => draft.lost(None, &line.at, "this is no number"),
            },
            ["hard-stop-after", limit] => match duration(limit) {
                Some(limit) => draft.set_process(&line.at, "limits.drain_timeout", time(limit)),
                None => draft.lost(None, &line.at, "this is no time"),
            },
            ["log" | "log-tag" | "log-send-hostname" | "quiet" | "debug", ..] => {
                draft.idle(&line.at, "a record for every connection is written to standard error");
            }
            [
                "daemon" | "master-worker" | "nbproc" | "nbthread" | "cpu-map" | "pidfile" | "node"
                | "description",
                ..,
            ] => {
                draft.idle(&line.at, "it concerns how HAProxy itself runs");
            }
            ["user" | "group" | "uid" | "gid" | "chroot" | "ulimit-n" | "setenv" | "presetenv", ..] => {
                draft.idle(&line.at, "start the process as it is to run; see the unit file in the README");
            }
            [word, ..]
                if word.starts_with("tune.") || word.starts_with("no") || word.starts_with("spread-") =>
            {
                draft.idle(&line.at, "it tunes HAProxy itself");
            }
            ["stats", ..] => draft.lost(
                None,
                &line.at,
                "there is no statistics socket; a record is written for every connection",
            ),
            ["ca-base" | "crt-base", ..] => draft.lost(None, &line.at, "write whole paths"),
            [word, ..] if word.starts_with("ssl-") => {
                draft.lost(None, &line.at, "TLS 1.2 and 1.3 with safe ciphers are what there is");
            }
            _ => draft.lost(None, &line.at, "it has no counterpart"),
        }
    }
}
