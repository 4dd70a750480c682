//! What the user wrote: every value with its place, and every problem in one reading.
//!
//! Each value is read by its own type; this room only knows which key stands in which table. Nothing is merged, no
//! default is filled in and no route is compared with another: that is the plan's.

mod decode;
mod file;
mod file_id;
mod hello;
mod keys;
mod off;
mod problem;
mod render;
mod route;
mod schema;
mod syntax;
mod table;
mod target;

pub use file_id::{NamedFile, Stamp};
pub use keys::keys;
pub use problem::{Place, Problem, Problems};
pub use schema::schema;

pub(crate) use decode::FileName;
pub(crate) use file::{MAX_BYTES, read_file, unreadable};
pub(crate) use problem::bare_or_quoted;

use toml::de::DeTable;

use crate::acl::Listed;
use crate::address::{Interface, ListenAddress, Protocol, Run, SourceAddress, TargetAddress};
use crate::balance::{Balance, Check};
use crate::client_hello::Name;
use crate::ledger::{LogFormat, LogLevel};
use crate::limits::{FlowPreset, FlowsFull, WhenFull};
use crate::proxy_protocol::{SendProxy, Sender};
use crate::transport::tls::{Alpn, ClientName, MinVersion, TargetName, Verify};
use crate::transport::{Account, BindPolicy, FileMode};
use crate::units::{Frequency, OrOff, Rate, TimeSpan};
use keys::{Owner, Section};
use table::Table;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// A file as written. What had a problem is not in it.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) defaults: Settings,
    pub(crate) routes: Vec<WrittenRoute>,
    pub(crate) limits: WrittenLimits,
    pub(crate) log: WrittenLog,
}

/// The settings of a route, or of `[defaults]`. A list that is there and empty is switched off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) protocol: Option<Written<Protocol>>,
    pub(crate) connect_timeout: Option<Written<TimeSpan>>,
    pub(crate) wait_for_target: Option<Written<TimeSpan>>,
    pub(crate) source: Option<Vec<Written<SourceAddress>>>,
    pub(crate) interface: Option<Written<OrOff<Interface>>>,
    pub(crate) bind: Option<Written<BindPolicy>>,
    pub(crate) v6only: Option<Written<bool>>,
    pub(crate) socket_mode: Option<Written<FileMode>>,
    pub(crate) socket_owner: Option<Written<Account>>,
    pub(crate) socket_group: Option<Written<Account>>,
    pub(crate) reset_linger: Option<Written<TimeSpan>>,
    pub(crate) allow: Option<Vec<Written<Listed>>>,
    pub(crate) deny: Option<Vec<Written<Listed>>>,
    pub(crate) max_connections: Option<Written<OrOff<usize>>>,
    pub(crate) max_connections_per_client: Option<Written<OrOff<usize>>>,
    pub(crate) connection_rate: Option<Written<OrOff<Frequency>>>,
    pub(crate) connection_rate_per_client: Option<Written<OrOff<Frequency>>>,
    pub(crate) when_full: Option<Written<WhenFull>>,
    pub(crate) queue: Option<Written<usize>>,
    pub(crate) queue_timeout: Option<Written<TimeSpan>>,
    pub(crate) client_timeout: Option<Written<OrOff<TimeSpan>>>,
    pub(crate) keepalive: Option<Written<OrOff<TimeSpan>>>,
    pub(crate) user_timeout: Option<Written<OrOff<TimeSpan>>>,
    pub(crate) bandwidth: Option<Written<OrOff<Rate>>>,
    pub(crate) bandwidth_per_connection: Option<Written<OrOff<Rate>>>,
    pub(crate) preset: Option<Written<FlowPreset>>,
    pub(crate) max_flows: Option<Written<usize>>,
    pub(crate) flows_full: Option<Written<FlowsFull>>,
    pub(crate) idle_timeout: Option<Written<OrOff<TimeSpan>>>,
    pub(crate) answers: Option<Written<OrOff<usize>>>,
    pub(crate) max_amplification: Option<Written<OrOff<usize>>>,
    pub(crate) balance: Option<Written<Balance>>,
    pub(crate) accept_proxy: Option<Vec<Written<Sender>>>,
    pub(crate) accept_proxy_timeout: Option<Written<TimeSpan>>,
    pub(crate) send_proxy: Option<Written<SendProxy>>,
    pub(crate) hello_timeout: Option<Written<TimeSpan>>,
    pub(crate) health: WrittenHealth,
    pub(crate) tls: WrittenTls,
    pub(crate) target_tls: WrittenTargetTls,
}

/// `[routes.NAME.health]` or `[defaults.health]`
#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenHealth {
    /// Where the table stands; `None` where there is none.
    pub(crate) place: Option<Place>,
    pub(crate) check: Option<Written<Check>>,
    pub(crate) send: Option<Written<String>>,
    pub(crate) expect: Option<Written<String>>,
    pub(crate) interval: Option<Written<TimeSpan>>,
    pub(crate) timeout: Option<Written<TimeSpan>>,
    pub(crate) rise: Option<Written<usize>>,
    pub(crate) fall: Option<Written<usize>>,
    pub(crate) slow_start: Option<Written<TimeSpan>>,
}

/// `[routes.NAME.tls]` or `[defaults.tls]`
#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenTls {
    /// Where the table stands; `None` where there is none.
    pub(crate) place: Option<Place>,
    pub(crate) certificate: Option<Vec<Written<FileName>>>,
    pub(crate) key: Option<Vec<Written<FileName>>>,
    pub(crate) client_ca: Option<Written<OrOff<FileName>>>,
    pub(crate) client_names: Option<Vec<Written<ClientName>>>,
    pub(crate) alpn: Option<Vec<Written<Alpn>>>,
    pub(crate) min_version: Option<Written<MinVersion>>,
    pub(crate) handshake_timeout: Option<Written<TimeSpan>>,
}

/// `[routes.NAME.target_tls]` or `[defaults.target_tls]`
#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenTargetTls {
    /// Where the table stands; `None` where there is none.
    pub(crate) place: Option<Place>,
    pub(crate) name: Option<Written<TargetName>>,
    pub(crate) ca: Option<Written<FileName>>,
    pub(crate) verify: Option<Written<Verify>>,
    pub(crate) certificate: Option<Vec<Written<FileName>>>,
    pub(crate) key: Option<Vec<Written<FileName>>>,
    pub(crate) alpn: Option<Vec<Written<Alpn>>>,
    pub(crate) min_version: Option<Written<MinVersion>>,
    pub(crate) handshake_timeout: Option<Written<TimeSpan>>,
}

/// `[routes.NAME]`
#[derive(Debug)]
pub(crate) struct WrittenRoute {
    pub(crate) name: String,
    pub(crate) listen: Vec<Written<Run<ListenAddress>>>,
    pub(crate) targets: Vec<WrittenTarget>,
    pub(crate) hello: WrittenHello,
    pub(crate) settings: Settings,
}

/// What a route says of TLS clients that name whom they want, and of those that are none: `names`, `alpn`, `not_tls`.
#[derive(Debug, Default)]
pub(crate) struct WrittenHello {
    pub(crate) names: Vec<Named<Name>>,
    pub(crate) alpn: Vec<Named<Box<[u8]>>>,
    pub(crate) not_tls: Vec<WrittenTarget>,
    /// Where each of the three keys stands that there are.
    pub(crate) keys: Vec<(&'static str, Place)>,
}

/// A word and the targets it stands for.
pub(crate) type Named<K> = (K, Vec<WrittenTarget>);

/// One of a route's targets.
#[derive(Clone, Debug)]
pub(crate) struct WrittenTarget {
    /// The path of its key in the file; empty for one of the command line.
    pub(crate) path: String,
    pub(crate) address: Written<Run<TargetAddress>>,
    pub(crate) weight: Option<Written<u32>>,
    pub(crate) backup: Option<Written<bool>>,
    pub(crate) drain: Option<Written<bool>>,
}

impl From<Written<Run<TargetAddress>>> for WrittenTarget {
    fn from(address: Written<Run<TargetAddress>>) -> Self {
        WrittenTarget { path: String::new(), address, weight: None, backup: None, drain: None }
    }
}

/// `[limits]`
#[derive(Debug, Default)]
pub(crate) struct WrittenLimits {
    pub(crate) connections: Option<Written<usize>>,
    pub(crate) flows: Option<Written<usize>>,
    pub(crate) handshakes: Option<Written<usize>>,
    pub(crate) drain_timeout: Option<Written<TimeSpan>>,
}

/// `[log]`
#[derive(Debug, Default)]
pub(crate) struct WrittenLog {
    pub(crate) format: Option<Written<LogFormat>>,
    pub(crate) level: Option<Written<LogLevel>>,
}

/// Reads the text of a file. A text whose syntax is broken gives no `Config` and the broken places alone: what the rest
/// would mean is a guess, and a wrong guess sends people to the wrong line.
pub(crate) fn read(text: &str, problems: &mut Vec<Problem>) -> Option<Config> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        problems.extend(syntax::problems(text, &errors));
        return None;
    }
    let mut top = Table::top(root.get_ref(), problems);
    let mut config = Config::default();
    if let Some(mut defaults) = top.table("defaults", Section::Defaults) {
        config.defaults = route::settings(&mut defaults, Owner::Defaults);
    }
    config.routes = route::routes(&mut top);
    if let Some(mut limits) = top.table("limits", Section::Limits) {
        config.limits = read_limits(&mut limits);
    }
    if let Some(mut log) = top.table("log", Section::Log) {
        config.log = WrittenLog { format: log.word("format"), level: log.word("level") };
    }
    Some(config)
}

fn read_limits(table: &mut Table<'_, '_>) -> WrittenLimits {
    WrittenLimits {
        connections: table.count("connections"),
        flows: table.count("flows"),
        handshakes: table.count("handshakes"),
        drain_timeout: table.time("drain_timeout", table::AtLeast::Zero, "24h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problems(text: &str) -> Problems {
        let mut list = Vec::new();
        read(text, &mut list);
        Problems::new("f.toml", text, list)
    }

    #[test]
    fn every_problem_is_found_in_one_reading() {
        let found = problems("[routes.a]\nlisten = 1\ncolour = 2\n[log]\nlevel = \"wran\"\n[limit]\n");

        let keys: Vec<&str> = found.list.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["routes.a.target", "routes.a.listen", "routes.a.colour", "log.level", "limit"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            problems(&text).render(true);
        }

        #[test]
        fn nothing_that_looks_like_a_file_panics(
            lines in proptest::collection::vec(
                r#"(\[(routes\.)?[a-zé"]{0,4}\]?|(listen|target|bind|source|x) = ?["\[{]?[0-9a-z:.ü \r\t]{0,8}["\]}]?)"#,
                0..12,
            )
        ) {
            let found = problems(&lines.join("\n"));

            let plain = found.render(false);
            prop_assert!(!plain.contains(|c: char| c.is_control() && c != '\n'), "{plain:?}");
        }
    }
}
