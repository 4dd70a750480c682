//! `[routes.NAME.health]` and `[defaults.health]`.

use crate::balance::Check;
use crate::config::key::Given::{InWords, Value};
use crate::config::key::Range::{MoreThanZero, UpTo};
use crate::config::key::{Form, Key, Range, Section};
use crate::config::kind::{Count, Kind, One, Placed, Time, Word};
use crate::config::problem::Place;
use crate::config::table::Table;

table! {
    /// How Loopgate finds out whether a target accepts connections.
    WrittenHealth, KEYS, HEALTH:
    "How Loopgate finds out whether a target accepts connections; a route may have its own table, key by key. Dials for \
     clients always count. For TCP routes only: a UDP target is down once it refuses, and up when it answers or is there \
     again.";

    check: Word<Check> {
        doc: "`\"listen\"` asks the kernel, unnoticed by the target, and dials a target that is down only where \
          the kernel cannot tell, as on another machine; `\"connect\"` dials each `interval`; `\"none\"` lets \
          a client try a target that is down each `interval`",
        default: Value("listen"),
    }
    send: One<String> {
        doc: "what a check that connects sends first, at most 4096 bytes; needs `expect`",
        form: Form::AnyText,
        default: InWords("nothing"),
        example: r#""PING\r\n""#,
    }
    expect: One<String> {
        doc: "what must be in the first 4096 bytes of the answer",
        form: Form::AnyText,
        default: InWords("`\"\"`, a connection is enough"),
        example: r#""+PONG""#,
    }
    interval: Time {
        doc: "time between two connections of a check",
        range: MoreThanZero("1h"),
        default: Value("1s"),
        aliases: &["inter", "period", "every"],
    }
    timeout: Time {
        doc: "how long a check may take, the answer included",
        range: MoreThanZero("1h"),
        default: Value("1s"),
    }
    rise: Count {
        doc: "successes in a row after which a target that is down is up",
        default: Value("1"),
        aliases: &["passes", "successes", "healthy_threshold"],
    }
    fall: Count {
        doc: "failures in a row after which a target that is up is down",
        default: Value("1"),
        aliases: &["fails", "max_fails", "failures", "unhealthy_threshold"],
    }
    slow_start: Time {
        doc: "how long the share of a target that is back takes to grow to its whole",
        range: UpTo("1h"),
        default: Value("0s"),
    }
}
