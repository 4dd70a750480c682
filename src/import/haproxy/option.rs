//! Lines of a proxy that are nothing to a forwarder here, and those that would be and are not.

use crate::import::draft::Draft;
use crate::import::message::At;

/// Tells what became of a line that nothing is made of.
pub(super) fn tell(words: &[&str], at: &At, draft: &mut Draft) {
    match words {
        ["no", "option" | "log", ..] => draft.idle(at, "it switches off what there is not"),
        [
            "log" | "log-format" | "log-tag" | "error-log-format" | "unique-id-format" | "unique-id-header",
            ..,
        ] => {
            draft.idle(at, "a record for every connection is written to standard error");
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
            draft.idle(at, "it concerns how HAProxy itself runs");
        }
        ["retries", ..] => {
            draft.idle(at, "a target that does not answer is passed over for the next one at once")
        }
        ["option", name, ..] => option(name, at, draft),
        ["tcp-request" | "tcp-response", ..] => {
            draft.lost(None, at, "rules over the bytes of a connection have no counterpart");
        }
        ["stick" | "stick-store" | "cookie", ..] => {
            draft.lost(
                None,
                at,
                "there is no table of clients; balance = \"source_hash\" keeps a client with its target",
            );
        }
        ["filter", ..] => {
            draft.lost(
                None,
                at,
                "there are no filters; for bwlim write bandwidth or bandwidth_per_connection",
            );
        }
        ["use-server", ..] => draft.lost(None, at, "a target is chosen by balance alone"),
        ["stats" | "monitor-uri" | "monitor", ..] => draft.lost(None, at, "there is no statistics page"),
        ["email-alert" | "external-check", ..] => draft.lost(None, at, "no other program is told or run"),
        [word, ..] if is_http(word) => draft.idle(at, "it concerns HTTP, which is carried as bytes"),
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
            draft.idle(at, "a record for every connection is written to standard error");
        }
        "redispatch" => draft.idle(at, "the next target is tried within the same connection anyway"),
        "splice-auto" | "splice-request" | "splice-response" => {
            draft.idle(at, "splice is chosen by itself where it pays");
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
            draft.lost(None, at, "a check of this protocol has no counterpart; write health.send and health.expect, or let it connect");
        }
        "transparent" => draft.lost(None, at, "a route has targets of its own"),
        name if name.starts_with("http")
            || name.starts_with("forwardfor")
            || name.starts_with("accept-invalid") =>
        {
            draft.idle(at, "it concerns HTTP, which is carried as bytes");
        }
        _ => draft.lost(None, at, "it has no counterpart"),
    }
}

fn is_http(word: &str) -> bool {
    word.starts_with("http-")
        || word.starts_with("errorfile")
        || matches!(word, "errorloc" | "redirect" | "compression" | "errorloc302" | "errorloc303")
}
