//! `healthCheck` of a proxy → `[routes.NAME.health]`.

use std::time::Duration;

use super::rest::{self, Rule};
use crate::import::draft::{Draft, RouteId, Toml};
use crate::import::message::{At, Fate};
use crate::import::shell::time;
use crate::import::value::Fields;

/// frp's defaults (pkg/config/v1/proxy.go and client/health): seconds, seconds, failures.
const TIMEOUT: u64 = 3;
const INTERVAL: u64 = 10;
const FALL: u64 = 1;

const OTHERS: &[Rule] =
    &[("healthCheck.httpHeaders", Fate::NotCarried, "write them in health.send, each line ending in \\r\\n")];

pub(super) fn read(id: RouteId, fields: &mut Fields, draft: &mut Draft) {
    let Some(node) = fields.node("healthCheck") else { return };
    let Some(mut check) = Fields::of(node, "healthCheck", draft) else { return };
    let whole = At::new(check.line, "healthCheck");
    let kind = check.text("type", draft);
    let path = check.text("path", draft);
    let seconds = |key: &str, default: u64, check: &mut Fields, draft: &mut Draft| {
        let taken = check.number(key, draft);
        let at = taken
            .as_ref()
            .map_or(whole.with(format!("healthCheck.{key} = {default}")), |taken| taken.at.clone());
        (at, taken.map_or(default, |taken| taken.value))
    };
    let (timeout_at, timeout) = seconds("timeoutSeconds", TIMEOUT, &mut check, draft);
    let (interval_at, interval) = seconds("intervalSeconds", INTERVAL, &mut check, draft);
    let (fall_at, fall) = seconds("maxFailed", FALL, &mut check, draft);
    match kind {
        None => draft.idle(&whole, "without a type frp checks nothing"),
        Some(kind) => {
            draft.set(id, &kind.at, "health.check", Toml::text("connect"));
            draft.set(id, &timeout_at, "health.timeout", time(Duration::from_secs(timeout)));
            draft.set(id, &interval_at, "health.interval", time(Duration::from_secs(interval)));
            draft.set(id, &fall_at, "health.fall", Toml::Number(fall));
            if kind.value == "http" {
                let path = path.map_or_else(|| "/".to_owned(), |path| path.value);
                draft.set(id, &kind.at, "health.send", Toml::text(format!("GET {path} HTTP/1.0\r\n\r\n")));
                draft.set(id, &kind.at, "health.expect", Toml::text(" 200 "));
                draft.differs(
                    &kind.at,
                    "an answer with the status 200 is healthy; frp takes every one from 200 to 299",
                );
            } else if kind.value != "tcp" {
                draft.lost(Some(id), &kind.at, "frp has tcp and http only; a check connects");
            }
        }
    }
    rest::sweep_of(Some(id), "healthCheck", check, &[OTHERS], draft);
}
