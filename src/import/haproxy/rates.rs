//! `reject if { src_conn_cur ge 10 }` and `{ src_conn_rate gt 20 }` over a `stick-table` → limits for each client.

use std::time::Duration;

use super::lines::{Line, duration};
use crate::import::draft::{Draft, RouteId, Toml};

/// The limit that a condition sets for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PerClient {
    /// This many connections at one time.
    AtOnce(u64),
    /// This many new connections within the period of the table.
    Rate(u64, Duration),
}

/// Parses `src_conn_cur ge 10`; `table` is what HAProxy counts, `is_tracked` whether the count includes the client's
/// current connection.
pub(super) fn read(words: &[String], table: Option<&Line>, is_tracked: bool) -> Option<PerClient> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [fetch, "ge" | "gt", number] = words[..] else { return None };
    let number: u64 = number.parse().ok()?;
    // `gt` allows one more than `ge`; a count that includes the current connection allows one less.
    let most =
        (number + u64::from(words[1] == "gt")).checked_sub(u64::from(is_tracked)).filter(|most| *most > 0)?;
    let name = fetch.split('(').next().unwrap_or(fetch);
    let is = |what: &str| {
        let of_counter = name
            .strip_prefix("sc")
            .and_then(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('_'));
        name.strip_prefix("src_") == Some(what) || of_counter == Some(what)
    };
    if is("conn_cur") {
        return Some(PerClient::AtOnce(most));
    }
    let stored = table?.words.iter().flat_map(|word| word.split(','));
    let period =
        stored.filter_map(|word| word.strip_prefix("conn_rate(")?.strip_suffix(')')).find_map(duration)?;
    (is("conn_rate") && !period.is_zero()).then_some(PerClient::Rate(most, period))
}

/// Sets the route's limit.
pub(super) fn apply(id: RouteId, limit: PerClient, line: &Line, draft: &mut Draft) {
    match limit {
        PerClient::AtOnce(most) => {
            draft.set(id, &line.at, "max_connections_per_client", Toml::Number(most));
        }
        PerClient::Rate(most, period) => {
            let units = [("h", 3600), ("m", 60), ("s", 1)];
            let (unit, seconds) =
                units.into_iter().find(|(_, seconds)| period.as_secs() >= *seconds).unwrap_or(("s", 1));
            let whole = Duration::from_secs(seconds);
            let rate = (u128::from(most) * whole.as_nanos()).div_ceil(period.as_nanos());
            draft.set(id, &line.at, "connection_rate_per_client", Toml::text(format!("{rate}/{unit}")));
            let why = if whole == period {
                "clients may connect in one burst of this size and then evenly, while HAProxy counts over a sliding period"
            } else {
                "the rate is the same, but the largest burst is smaller than HAProxy's period allows"
            };
            draft.differs(&line.at, why);
        }
    }
}
