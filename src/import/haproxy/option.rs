//! Lines of a proxy that become nothing: those without effect here, and those that are not carried.

use crate::import::draft::Draft;
use crate::import::message::At;

/// Notes why a line becomes nothing.
pub(super) fn note(words: &[&str], at: &At, draft: &mut Draft) {
    match words {
        ["no", "option" | "log", ..] => draft.idle(at, "it disables something Loopgate does not have"),
        [
            "log" | "log-format" | "log-tag" | "error-log-format" | "unique-id-format" | "unique-id-header",
            ..,
        ] => {
            draft.idle(at, "Loopgate writes a record of every connection to standard error");
        }
        [
            "description"
            | "id"
            | "bind-process"
            | "hash-type"
            | "fullconn"
            | "max-keep-alive-queue"
            | "backlog"
            | "load-server-state-from-file"
            | "server-state-file-name"
            | "guid",
            ..,
        ] => {
            draft.idle(at, "it configures the HAProxy process");
        }
        ["retries", ..] => draft.idle(
            at,
            "if a target does not answer, the next one is tried immediately; next_target limits how many",
        ),
        ["option", name, ..] => option(name, at, draft),
        ["tcp-request" | "tcp-response", ..] => {
            draft.lost(None, at, "rules over the bytes of a connection have no counterpart");
        }
        ["stick" | "stick-store" | "cookie", ..] => {
            draft.lost(
                None,
                at,
                "there is no table of clients; balance = \"source_hash\" keeps a client on its target",
            );
        }
        ["filter", ..] => {
            draft.lost(
                None,
                at,
                "there are no filters; for bwlim write bandwidth or bandwidth_per_connection",
            );
        }
        ["use-server", ..] => draft.lost(None, at, "balance alone chooses the target"),
        ["stats" | "monitor-uri" | "monitor", ..] => draft.lost(None, at, "there is no statistics page"),
        ["email-alert" | "external-check", ..] => {
            draft.lost(None, at, "Loopgate notifies and runs no other program")
        }
        [word, ..] if is_http(word) => {
            draft.idle(at, "it applies to HTTP, which is forwarded as plain bytes")
        }
        _ => draft.lost(None, at, "it has no counterpart"),
    }
}

fn option(name: &str, at: &At, draft: &mut Draft) {
    match name {
        "tcplog"
        | "httplog"
        | "dontlognull"
        | "dontlog-normal"
        | "logasap"
        | "log-health-checks"
        | "log-separate-errors"
        | "socket-stats"
        | "contstats" => {
            draft.idle(at, "Loopgate writes a record of every connection to standard error");
        }
        "redispatch" => draft.idle(at, "the next target is tried for the same client by default"),
        "splice-auto" | "splice-request" | "splice-response" => {
            draft.idle(at, "Loopgate uses splice where it is faster");
        }
        "nolinger"
        | "tcp-smart-accept"
        | "tcp-smart-connect"
        | "idle-close-on-response"
        | "independent-streams"
        | "abortonclose"
        | "allbackups"
        | "persist"
        | "prefer-last-server"
        | "srvtcpka-idle" => {
            draft.idle(at, "it tunes HAProxy itself");
        }
        "httpchk" | "redis-check" | "mysql-check" | "pgsql-check" | "smtpchk" | "ldap-check"
        | "ssl-hello-chk" | "spop-check" | "external-check" => {
            draft.lost(None, at, "Loopgate has no check for this protocol; write health.send and health.expect, or use a check that connects");
        }
        "transparent" => draft.lost(None, at, "a route has fixed targets"),
        name if name.starts_with("http")
            || name.starts_with("forwardfor")
            || name.starts_with("accept-invalid") =>
        {
            draft.idle(at, "it applies to HTTP, which is forwarded as plain bytes");
        }
        _ => draft.lost(None, at, "it has no counterpart"),
    }
}

fn is_http(word: &str) -> bool {
    word.starts_with("http-")
        || word.starts_with("errorfile")
        || matches!(word, "errorloc" | "redirect" | "compression" | "errorloc302" | "errorloc303")
}
