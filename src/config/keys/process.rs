//! The file itself, and the tables of the whole process: `[limits]` and `[log]`.

use super::route::ROUTE;
use super::settings::Settings;
use super::tunnel::{TUNNELS, WrittenTunnel};
use crate::config::decode::FileName;
use crate::config::key::Given::{InWords, Value};
use crate::config::key::Range::UpTo;
use crate::config::key::Reload::Restart;
use crate::config::key::{Form, Key, Range, Section};
use crate::config::kind::{Count, Kind, List, Placed, Time, Word};
use crate::config::problem::Place;
use crate::config::table::Table;
use crate::ledger::{LogFormat, LogLevel};

/// The file itself.
pub(in crate::config) static TOP: Section = Section {
    doc: "Routes, what they have in common, links to other Loopgates, and the limits of the whole process.",
    keys: &[&[
        INCLUDE,
        Key { name: "defaults", ..<Settings as Kind>::KEY },
        ROUTES,
        Key { name: "tunnel", ..<WrittenTunnel as Kind>::KEY },
        TUNNELS,
        Key { name: "limits", ..<WrittenLimits as Kind>::KEY },
        Key { name: "log", ..<WrittenLog as Kind>::KEY },
    ]],
    needs: &[],
};

/// Other files.
const INCLUDE: Key = Key {
    name: "include",
    doc: "files with more routes: paths, or patterns with `*` and `?` in their last part, relative to the folder of this file; \
          each holds `[routes.NAME]` only; `[defaults]` here applies to their routes too, and names are unique across files; \
          hidden files and files that editors leave behind match no pattern",
    takes: "path or pattern",
    example: r#"["conf.d/*.toml"]"#,
    aliases: &["includes", "import", "imports", "include_dir", "includedir", "conf_d"],
    ..<List<FileName> as Kind>::KEY
};

/// Every route.
pub(in crate::config) const ROUTES: Key = Key {
    name: "routes",
    doc: "The routes, each with its own name: where it listens, what it dials, and how.",
    ..Key::of(Form::Named(&ROUTE), Range::Any)
};

/// `[limits]`
mod limits {
    use super::*;

    table! {
        /// The limits of the whole process.
        WrittenLimits, KEYS, LIMITS: "The whole process.";

        connections: Count {
            doc: "sessions at one time",
            default: InWords("what the descriptor limit allows"),
            example: "10000",
            aliases: &["maxconn", "max_connections"],
            reload: Restart,
        }
        flows: Count {
            doc: "flows of UDP routes at one time",
            default: InWords("a share of the descriptor limit"),
            example: "5000",
            reload: Restart,
        }
        handshakes: Count {
            doc: "TLS handshakes with clients at one time; further ones wait",
            default: Value("1024"),
        }
        drain_timeout: Time {
            doc: "how long a stop waits for sessions before it resets them",
            range: UpTo("24h"),
            default: Value("30s"),
        }
    }
}

/// `[log]`
mod log {
    use super::*;

    table! {
        /// How records and lines are written.
        WrittenLog, KEYS, LOG: "How records and lines are written. These cannot change while running.";

        format: Word<LogFormat> {
            doc: "`\"text\"` is for people, `\"json\"` for programs",
            default: Value("text"),
            reload: Restart,
        }
        level: Word<LogLevel> {
            doc: "the least severe level that is written; records are `info`",
            default: Value("info"),
            reload: Restart,
        }
    }
}

pub(crate) use limits::WrittenLimits;
pub(crate) use log::WrittenLog;
