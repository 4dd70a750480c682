//! What the user wrote: every value with its place, and every problem in one reading.
//!
//! Each value is read by its own type; this room only knows which key stands in which table. Nothing is merged, no
//! default is filled in and no route is compared with another: that is the plan's.

mod decode;
mod example;
mod file;
mod file_id;
mod hello;
mod key;
mod keys;
mod kind;
mod off;
mod problem;
mod reference;
mod render;
mod route;
mod schema;
mod spelling;
mod syntax;
mod table;
mod target;
mod unknown;
mod written;

pub use example::example;
pub use file_id::{NamedFile, Stamp};
#[cfg(test)]
pub(crate) use keys::kept_until_restart;
pub use keys::keys;
pub use problem::{Place, Problem, Problems};
pub use reference::reference;
pub use schema::schema;

pub(crate) use decode::FileName;
pub(crate) use file::{MAX_BYTES, read_file, unreadable};
pub(crate) use keys::{Settings, WrittenHealth, WrittenLimits, WrittenLog, WrittenTargetTls, WrittenTls};
pub(crate) use problem::bare_or_quoted;
pub(crate) use route::WrittenRoute;
pub(crate) use written::{Written, WrittenHello, WrittenTarget};

use toml::de::DeTable;

use keys::TOP;
use kind::Kind;
use table::Table;

/// A file as written. What had a problem is not in it.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) defaults: Settings,
    pub(crate) routes: Vec<WrittenRoute>,
    pub(crate) limits: WrittenLimits,
    pub(crate) log: WrittenLog,
}

/// Reads the text of a file. A text whose syntax is broken gives no `Config` and the broken places alone: what the rest
/// would mean is a guess, and a wrong guess sends people to the wrong line.
pub(crate) fn read(text: &str, problems: &mut Vec<Problem>) -> Option<Config> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        problems.extend(syntax::problems(text, &errors));
        return None;
    }
    let mut top = Table::top(root.get_ref(), &TOP, problems);
    Some(Config {
        defaults: one::<Settings>("defaults", &mut top),
        routes: route::routes(&mut top),
        limits: one::<WrittenLimits>("limits", &mut top),
        log: one::<WrittenLog>("log", &mut top),
    })
}

/// What the file says under one of its own keys.
fn one<K: Kind>(name: &str, top: &mut Table<'_, '_>) -> K::Value {
    TOP.key(name).map(|key| K::read(top, key)).unwrap_or_default()
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
