//! A configuration with the files it includes: one set of routes and of tunnels with unique names.
//!
//! An included file holds routes and tunnels only. `[defaults]` is written in one place and applies to all files, as in nginx the
//! block around an `include`, and unlike HAProxy, where the order of files changes what a route means.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::decode::FileName;
use super::document::{self, Config, Included};
use super::file::{NotIncluded, is_pem, read_included};
use super::file_id::{NamedFile, Stamp};
use super::pattern::{self, MAX_ENTRIES, is_pattern};
use super::problem::{Place, Problem, bare_or_quoted};
use super::texts::Texts;
use super::written::Written;
use crate::units::shown_path;

/// The most files that one configuration may include.
const MAX_FILES: usize = 1_000;

/// The most bytes that included files may have together.
const MAX_ALL_BYTES: usize = 16 << 20;

/// Why a file with a certificate or a key is not read. Its lines would be quoted beside each problem.
const PEM: &str = "this holds a certificate or a key, and no configuration";

/// A configuration, its texts, and the files that it includes.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) config: Config,
    pub(crate) texts: Texts,
    pub(crate) files: Vec<NamedFile>,
}

/// Reads a text and the files that it includes; `name` is its path. Broken parts are left out and the rest is still
/// read, so that every problem of every file is found at once.
pub(crate) fn read(name: &str, text: &str, problems: &mut Vec<Problem>) -> Whole {
    let config = match is_pem(text) {
        true => {
            problems.push(Problem::new(Place::File, "", PEM).help("is this the right file?"));
            None
        }
        false => document::read(text, problems),
    };
    let config = config.unwrap_or_default();
    let mut whole = Whole { config, texts: Texts::new(name, text), files: Vec::new() };
    let mut reading = Reading { whole: &mut whole, read: BTreeSet::new(), bytes: 0, problems };
    for entry in reading.whole.config.include.take().unwrap_or_default() {
        if reading.entry(&entry).is_none() {
            break;
        }
    }
    names(&whole.config, problems);
    whole
}

/// The files while they are read.
struct Reading<'r> {
    whole: &'r mut Whole,
    read: BTreeSet<PathBuf>,
    bytes: usize,
    problems: &'r mut Vec<Problem>,
}

impl Reading<'_> {
    /// Reads the files of one entry of `include`. `None` if reading stops here.
    fn entry(&mut self, entry: &Written<FileName>) -> Option<()> {
        let (FileName(named), place) = (&entry.value, &entry.place);
        let path = self.whole.texts.folder(place).join(named);
        if !is_pattern(named) {
            self.whole.files.push(NamedFile::new(path.clone()));
            return self.file(path, place);
        }
        if named.parent().is_some_and(is_pattern) {
            let help = "write the folders without * and ?, as conf.d/*.toml";
            self.wrong(place, "only the last part of a path can be a pattern".to_owned(), help);
            return Some(());
        }
        self.whole.files.push(NamedFile::fitting(path.clone()));
        match pattern::matches(&path) {
            Ok(found) => found.into_iter().try_for_each(|path| self.file(path, place)),
            Err(error) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                let (what, help) = unlisted(&error);
                self.wrong(place, format!("{}: {what}", shown_path(folder)), help);
                Some(())
            }
        }
    }

    /// Reads a file, unless it was read before, under this name or another.
    fn file(&mut self, path: PathBuf, place: &Place) -> Option<()> {
        if !self.read.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
            return Some(());
        }
        if self.read.len() > MAX_FILES {
            let message = format!("up to here more than {MAX_FILES} files are included");
            self.wrong(place, message, "put several routes into one file");
            return None;
        }
        let text = match self.text(&path) {
            Ok(text) => text,
            Err(NotIncluded { what, help, is_busy }) => {
                if let Some(named) = self.whole.files.last_mut() {
                    named.is_busy |= is_busy;
                }
                self.wrong(place, format!("{}: {what}", shown_path(&path)), &help);
                return Some(());
            }
        };
        self.bytes += text.len();
        if self.bytes > MAX_ALL_BYTES {
            let message = format!("up to here the included files have more than {} MiB", MAX_ALL_BYTES >> 20);
            self.wrong(place, message, "are these the right files?");
            return None;
        }
        let start = self.whole.texts.add(&path.display().to_string(), &text);
        let main = self.whole.texts.main().map_or("", |main| &main.name);
        let Included { routes, tunnels } = document::read_included(&text, start, main, self.problems);
        self.whole.config.routes.extend(routes);
        self.whole.config.tunnels.extend(tunnels);
        Some(())
    }

    /// The text of a file, or what is wrong with it and what to do.
    fn text(&self, path: &Path) -> Result<String, NotIncluded> {
        let main = self.whole.texts.main().map(|main| Path::new(&main.name)).and_then(Stamp::of);
        if main.is_some() && main == Stamp::of(path) {
            let help = "put the others into a folder of their own, as conf.d/*.toml";
            return Err(NotIncluded::new("this is the configuration itself", help));
        }
        let text = read_included(path)?;
        if is_pem(&text) {
            return Err(NotIncluded::new(PEM, "include files with routes and tunnels only"));
        }
        Ok(text)
    }

    fn wrong(&mut self, place: &Place, message: String, help: &str) {
        self.problems.push(Problem::new(place.clone(), "include", message).help(help));
    }
}

/// Why a folder cannot be listed, and what to do.
fn unlisted(error: &io::Error) -> (String, &'static str) {
    match error.kind() {
        ErrorKind::FileTooLarge => (
            format!("it has more than {MAX_ENTRIES} entries"),
            "include a folder that has only configurations in it",
        ),
        ErrorKind::NotFound => {
            ("there is no such directory".to_owned(), "create it, which may stay empty, or correct the path")
        }
        ErrorKind::NotADirectory => ("this is not a directory".to_owned(), "check the path"),
        ErrorKind::PermissionDenied => (
            "this user may not list the directory".to_owned(),
            "change its permissions, or run as a user who may",
        ),
        _ => (format!("the directory cannot be listed: {error}"), "check the path"),
    }
}

/// Adds a problem for each route, and each tunnel, whose name is taken by another file's. (Within one file, TOML itself
/// forbids it.)
fn names(config: &Config, problems: &mut Vec<Problem>) {
    unique("route", config.routes.iter().map(|route| (route.name.as_str(), &route.place)), problems);
    unique("tunnel", config.tunnels.iter().map(|of| (of.name.as_str(), &of.place)), problems);
}

fn unique<'c>(what: &str, entries: impl Iterator<Item = (&'c str, &'c Place)>, problems: &mut Vec<Problem>) {
    let mut seen: HashMap<&str, &Place> = HashMap::new();
    for (name, place) in entries {
        let Some(first) = seen.get(name) else {
            seen.insert(name, place);
            continue;
        };
        let name = bare_or_quoted(name);
        let message = format!("there is already a {what} {name}");
        let problem = Problem::new(place.clone(), format!("{what}s.{name}"), message);
        let problem = problem.label("again here").also((*first).clone(), "first here");
        problems.push(problem.help("give one of the two another name"));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::Problems;

    const ROUTE: &str = "listen = '1'\ntarget = '2'\n";

    /// A configuration with an `include`, in a folder with these files: the names of its routes and its problems, with
    /// DIR for the folder.
    fn read_beside(include: &str, files: &[(&str, &str)]) -> (Vec<String>, String) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(folder.path().join("conf.d/folder")).unwrap();
        symlink("nowhere", folder.path().join("conf.d/dangling")).unwrap();
        let name = folder.path().join("loopgate.toml").display().to_string();
        let text = format!("include = {include}\n[routes.own]\n{ROUTE}");
        fs::write(&name, &text).unwrap();
        let mut problems = Vec::new();
        let whole = read(&name, &text, &mut problems);
        let names = whole.config.routes.into_iter().map(|route| route.name).collect();
        let rendered = Problems::of(whole.texts, problems).render(false);
        (names, rendered.replace(&folder.path().display().to_string(), "DIR"))
    }

    fn route(name: &str) -> String {
        format!("[routes.{name}]\n{ROUTE}")
    }

    #[test]
    fn the_routes_of_every_matching_file_come_in_the_order_of_file_names() {
        let (a, b, c) = (route("a"), route("b"), route("c"));
        let files = [
            ("conf.d/2.toml", a.as_str()),
            ("conf.d/1.toml", b.as_str()),
            ("conf.d/.3.toml", "="),
            ("conf.d/4.toml~", "="),
            ("x.toml", c.as_str()),
        ];

        let (names, rendered) = read_beside("['conf.d/*.toml', 'x.toml', 'conf.d/*.none']", &files);

        assert_eq!((names.join(" ").as_str(), rendered.as_str()), ("own b a c", ""));
    }

    #[test]
    fn a_file_that_is_named_in_two_ways_is_read_once() {
        let a = route("a");
        let include = "['conf.d/*.toml', './conf.d/1.toml', 'conf.d/../conf.d/1.toml']";

        let (names, rendered) = read_beside(include, &[("conf.d/1.toml", a.as_str())]);

        assert_eq!((names.join(" ").as_str(), rendered.as_str()), ("own a", ""));
    }

    #[test]
    fn a_folder_that_does_not_exist_is_a_problem_and_not_an_empty_one() {
        let (_, rendered) = read_beside("['con.d/*.toml']", &[]);

        assert!(rendered.contains("DIR/con.d: there is no such directory"), "{rendered}");
        assert!(rendered.contains("create it, which may stay empty, or correct the path"), "{rendered}");
    }

    #[test]
    fn every_problem_of_every_file_is_shown_with_its_own_line() {
        let broken = "[routes.c]\nlisten = \n";
        let files =
            [("conf.d/a.toml", "# no\n[routes.a]\nlisten = 1\ntarget = '2'\n"), ("conf.d/b.toml", broken)];

        let (_, rendered) = read_beside("'conf.d/*.toml'", &files);

        let lines: Vec<&str> = rendered.lines().filter(|line| line.starts_with("DIR")).collect();
        assert_eq!(
            lines,
            [
                "DIR/conf.d/a.toml:3:10: routes.a.listen: an address is written in quotes",
                "DIR/conf.d/b.toml:2:10: listen has no value",
            ]
        );
        assert!(rendered.contains("3 | listen = 1\n  |          ^"), "{rendered}");
    }

    #[test]
    fn a_name_that_is_in_two_files_is_reported_with_both_places() {
        let twice = route("own");

        let (_, rendered) = read_beside("'conf.d/*.toml'", &[("conf.d/a.toml", &twice)]);

        assert!(
            rendered.starts_with("DIR/conf.d/a.toml:1:9: routes.own: there is already a route own\n"),
            "{rendered}"
        );
        assert!(rendered.contains("first here: DIR/loopgate.toml:2:9"), "{rendered}");
        assert!(rendered.contains("help: give one of the two another name"), "{rendered}");
    }

    #[test]
    fn an_included_file_holds_routes_and_tunnels_only() {
        let text = "include = 'x.toml'\n[defaults]\nbind = 'retry'\n[limit]\n[tunnel]\nlisten = '4433'\n";

        let (_, rendered) = read_beside("'conf.d/a.toml'", &[("conf.d/a.toml", text)]);

        let lines: Vec<&str> = rendered.lines().filter(|line| line.starts_with("DIR")).collect();
        let whose = "and this file is included by DIR/loopgate.toml";
        assert_eq!(
            lines,
            [
                format!("DIR/conf.d/a.toml:1:1: include: an included file cannot include others, {whose}"),
                format!(
                    "DIR/conf.d/a.toml:2:2: defaults: [defaults] is allowed in the main file alone, {whose}"
                ),
                "DIR/conf.d/a.toml:4:2: limit: unknown table".to_owned(),
                format!("DIR/conf.d/a.toml:5:2: tunnel: [tunnel] is allowed in the main file alone, {whose}"),
            ]
        );
    }

    #[test]
    fn a_tunnel_that_is_in_two_files_is_reported_with_both_places() {
        let tunnel = "[tunnels.home]\npublic_key = 'ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw'\n";

        let (_, rendered) =
            read_beside("'tunnels.d/*'", &[("tunnels.d/a.toml", tunnel), ("tunnels.d/b.toml", tunnel)]);

        assert!(
            rendered.starts_with("DIR/tunnels.d/b.toml:1:10: tunnels.home: there is already a tunnel home\n"),
            "{rendered}"
        );
        assert!(rendered.contains("first here: DIR/tunnels.d/a.toml:1:10"), "{rendered}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_reported_where_it_is_named() {
        for (include, rendered) in [
            ("'none.toml'", "DIR/none.toml: there is no such file"),
            ("'conf.d'", "DIR/conf.d: this is a directory"),
            ("'conf.d/f*'", "DIR/conf.d/folder: this is a directory"),
            ("'conf.d/d*'", "DIR/conf.d/dangling: there is no such file"),
            ("'*.toml'", "DIR/loopgate.toml: this is the configuration itself"),
            ("'*/a.toml'", "only the last part of a path can be a pattern"),
            ("'loopgate.toml/*'", "DIR/loopgate.toml: this is not a directory"),
            ("'/dev/nul?'", "/dev/null: this is not a regular file"),
            ("[]", "the list is empty"),
        ] {
            let (names, found) = read_beside(include, &[]);

            assert!(
                found.starts_with(&format!("DIR/loopgate.toml:1:11: include: {rendered}\n")),
                "{include}: {found}"
            );
            assert_eq!(names, ["own"], "{include}");
        }
    }

    #[test]
    fn too_many_files_are_refused_and_not_read() {
        let names: Vec<String> = (0..=MAX_FILES).map(|n| format!("conf.d/{n}.toml")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();

        let (_, rendered) = read_beside("'conf.d/*.toml'", &files);
        assert!(rendered.contains("include: up to here more than 1000 files are included"), "{rendered}");

        let big = "#".repeat(1 << 20);
        let files: Vec<(&str, &str)> = names[..17].iter().map(|name| (name.as_str(), big.as_str())).collect();
        let (_, rendered) = read_beside("'conf.d/*.toml'", &files);
        assert!(
            rendered.contains("include: up to here the included files have more than 16 MiB"),
            "{rendered}"
        );
    }
}
