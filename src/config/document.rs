//! One file as written: its tables, each with its own reader.

use toml::de::DeTable;

use super::decode::FileName;
use super::key::Form;
use super::keys::{ROUTES, Settings, TOP, TUNNELS, WrittenLimits, WrittenLog, WrittenTunnel};
use super::kind::{Kind, List};
use super::problem::{Place, Problem};
use super::route::{self, WrittenRoute};
use super::syntax;
use super::table::Table;
use super::tunnel::{self, WrittenTunnelOf};
use super::written::Written;

/// A configuration as written, without the values that have a problem.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) include: Option<Vec<Written<FileName>>>,
    pub(crate) defaults: Settings,
    pub(crate) routes: Vec<WrittenRoute>,
    pub(crate) tunnel: WrittenTunnel,
    pub(crate) tunnels: Vec<WrittenTunnelOf>,
    pub(crate) limits: WrittenLimits,
    pub(crate) log: WrittenLog,
}

/// Reads the text of the main file. If its syntax is broken, there is no `Config` and only the syntax errors are
/// reported: the rest could only be guessed, and a wrong guess sends the user to the wrong line.
pub(super) fn read(text: &str, problems: &mut Vec<Problem>) -> Option<Config> {
    let root = parse(text, 0, problems)?;
    let mut top = Table::top(root.get_ref(), &TOP, 0, problems);
    Some(Config {
        include: one::<List<FileName>>("include", &mut top),
        defaults: one::<Settings>("defaults", &mut top),
        routes: route::routes(&mut top),
        tunnel: one::<WrittenTunnel>("tunnel", &mut top),
        tunnels: tunnel::tunnels(&mut top),
        limits: one::<WrittenLimits>("limits", &mut top),
        log: one::<WrittenLog>("log", &mut top),
    })
}

/// What an included file has.
#[derive(Default)]
pub(super) struct Included {
    pub(super) routes: Vec<WrittenRoute>,
    pub(super) tunnels: Vec<WrittenTunnelOf>,
}

/// Reads the text of a file that `main` includes, whose positions begin at `start`: routes and tunnels only.
pub(super) fn read_included(text: &str, start: usize, main: &str, problems: &mut Vec<Problem>) -> Included {
    let Some(root) = parse(text, start, problems) else { return Included::default() };
    let is_allowed = |name: &str| name == ROUTES.name || name == TUNNELS.name;
    for key in root.get_ref().keys() {
        let Some(other) = TOP.key(key.get_ref()).filter(|key| !is_allowed(key.name)) else { continue };
        let (what, help) = match other.form {
            Form::Table(_) | Form::Named(_) => (
                format!(
                    "[{}] is allowed in the main file alone, and this file is included by {main}",
                    other.name
                ),
                format!("move it to {main}, where it applies to the routes of this file too"),
            ),
            _ => (
                format!("an included file cannot include others, and this file is included by {main}"),
                format!("write it in {main}"),
            ),
        };
        problems.push(Problem::new(Place::Text(key.span()).moved(start), other.name, what).help(help));
    }
    let mut top = Table::top(root.get_ref(), &TOP, start, problems);
    Included { routes: route::routes(&mut top), tunnels: tunnel::tunnels(&mut top) }
}

/// The value of one of the file's top-level keys.
fn one<K: Kind>(name: &str, top: &mut Table<'_, '_>) -> K::Value {
    TOP.key(name).map(|key| K::read(top, key)).unwrap_or_default()
}

fn parse<'t>(text: &'t str, start: usize, problems: &mut Vec<Problem>) -> Option<toml::Spanned<DeTable<'t>>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(root);
    }
    problems.extend(syntax::problems(text, &errors).into_iter().map(|problem| problem.moved(start)));
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Problems;
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
