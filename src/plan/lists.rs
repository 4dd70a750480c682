//! `allow` and `deny` → sets: each file is read once, and its set is shared by all routes that name it.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::draft::Draft;
use crate::acl::{Access, Listed, Networks, Sets, listed_in};
use crate::config::{Limit, NamedFile, Problem, Settings, Texts, Unread, Written, is_pem, read_regular};
use crate::units::shown_path;

/// The largest list that is read; room for about a million networks.
const LIMIT: Limit = Limit { mebibytes: 16, name: "" };

/// The most faulty lines of one file that are reported; the wrong kind of file has thousands.
const MAX_REPORTED: usize = 10;

/// The lists of a plan that is being built.
pub(super) struct Lists<'f> {
    /// A relative path starts at the folder of the text it is in.
    texts: &'f Texts,
    read: HashMap<PathBuf, (NamedFile, Arc<Networks>)>,
    /// For routes without their own list.
    allow: Option<Sets>,
    deny: Option<Sets>,
}

impl<'f> Lists<'f> {
    /// Reads the lists of the defaults.
    pub(super) fn of(defaults: &Settings, texts: &'f Texts, problems: &mut Vec<Problem>) -> Lists<'f> {
        let mut lists = Lists { texts, read: HashMap::new(), allow: None, deny: None };
        lists.allow = lists.sets(&defaults.allow, "defaults.allow", problems);
        lists.deny = lists.sets(&defaults.deny, "defaults.deny", problems);
        lists
    }

    /// Which clients may connect to a route.
    pub(super) fn access(&mut self, draft: &Draft, problems: &mut Vec<Problem>) -> Access {
        let own = &draft.settings;
        let allow = self.sets(&own.allow, &draft.key("allow"), problems).or_else(|| self.allow.clone());
        // `allow = "off"` admits every client; an empty set would admit none.
        let allow = allow.filter(|sets| !sets.is_empty());
        let deny = self.sets(&own.deny, &draft.key("deny"), problems).or_else(|| self.deny.clone());
        Access { allow, deny: deny.unwrap_or_default() }
    }

    /// Every file that was read.
    pub(super) fn files(self) -> impl Iterator<Item = NamedFile> {
        self.read.into_values().map(|(file, _)| file)
    }

    fn sets(
        &mut self,
        list: &Option<Vec<Written<Listed>>>,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Sets> {
        let list = list.as_ref()?;
        let own: Networks = list.iter().flat_map(|entry| entry.value.networks()).collect();
        let mut sets: Sets = (own.count() > 0).then(|| Arc::new(own)).into_iter().collect();
        for entry in list {
            if let Listed::File(path) = &entry.value {
                sets.push(self.file(path, entry, key, problems));
            }
        }
        Some(sets)
    }

    /// The set of a file. Its problems are placed at the first entry that names it.
    fn file(
        &mut self,
        path: &Path,
        entry: &Written<Listed>,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Arc<Networks> {
        let path = self.texts.folder(&entry.place).join(path);
        if let Some((_, read)) = self.read.get(&path) {
            return read.clone();
        }
        let mut problem = |what: String, help: &str| {
            problems.push(Problem::new(entry.place.clone(), key, what).help(help));
        };
        let mut named = NamedFile::new(path.clone());
        let networks = match read(&path) {
            Ok(text) if is_pem(&text) => {
                let what = "this holds a certificate or a key, and no list";
                problem(format!("{}: {what}", shown_path(&path)), "name a file with one network a line");
                Vec::new()
            }
            Ok(text) => {
                let (networks, misread) = listed_in(&text);
                for (line, why) in misread.iter().take(MAX_REPORTED) {
                    problem(format!("{}:{line}: {}", shown_path(&path), why.what), &why.instead);
                }
                if let Some(more @ 1..) = misread.len().checked_sub(MAX_REPORTED) {
                    problem(
                        format!("{}: {more} more lines cannot be read", shown_path(&path)),
                        "is this the right file?",
                    );
                }
                networks
            }
            Err(Unreadable { what, help, is_busy }) => {
                named.is_busy = is_busy;
                problem(format!("{}: {what}", shown_path(&path)), help);
                Vec::new()
            }
        };
        let networks: Arc<Networks> = Arc::new(networks.into_iter().collect());
        self.read.insert(path, (named, networks.clone()));
        networks
    }
}

/// The text of a file.
fn read(path: &Path) -> Result<String, Unreadable> {
    let content = read_regular(path, LIMIT).map_err(|unread| {
        let (what, mut help) = unread.told();
        if matches!(&unread, Unread::Failed(error) if error.kind() == ErrorKind::NotFound) {
            help = "a relative path starts at the configuration's folder";
        }
        Unreadable { what, help, is_busy: matches!(unread, Unread::Leased) }
    })?;
    content.text().map_err(|(line, _)| Unreadable {
        what: format!("line {line} is not UTF-8 text"),
        help: "is this the right file?",
        is_busy: false,
    })
}

/// Why a list has no text: what is wrong, to follow the file's name, and what to do.
struct Unreadable {
    what: String,
    help: &'static str,
    is_busy: bool,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::IpAddr;

    use super::*;
    use crate::plan::{Plan, parse};

    /// A configuration beside two lists.
    fn planned(list: &str, text: &str) -> Result<Plan, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("list"), list).unwrap();
        let name = folder.path().join("loopgate.toml").display().to_string();
        parse(&name, text, &[]).map_err(|problems| {
            let lines: Vec<_> = problems.list.iter().map(Problem::line).collect();
            lines.join("\n").replace(&folder.path().display().to_string(), "DIR")
        })
    }

    fn denied(plan: &Plan, route: &str, client: &str) -> bool {
        let route = plan.routes.values().find(|it| &*it.name.0 == route).unwrap();
        route.access.denies(client.parse::<IpAddr>().unwrap()).is_some()
    }

    #[test]
    fn a_list_stands_beside_the_configuration_and_is_read_once_for_all() {
        let text = "defaults.deny = 'file:list'\n\
                    routes.a = {listen='1', target='9', allow=['10.0.0.0/8', 'file:list']}\n\
                    routes.b = {listen='2', target='9', deny='192.0.2.0/24'}\n\
                    routes.c = {listen='3', target='9'}";

        let plan = planned("10.9.0.0/16\n2001:db8::/32 # documentation\n", text).unwrap();

        assert_eq!(plan.files.len(), 1);
        assert!(denied(&plan, "a", "10.9.0.1") && !denied(&plan, "a", "10.8.0.1"));
        assert!(denied(&plan, "a", "11.0.0.1"), "it is in no list of allow");
        assert!(!denied(&plan, "b", "10.9.0.1"), "a route's own deny replaces that of the defaults");
        assert!(denied(&plan, "c", "2001:db8::1") && !denied(&plan, "c", "127.0.0.1"));
        let sets: Vec<_> = plan.routes.values().flat_map(|route| &route.access.deny).collect();
        assert!(Arc::ptr_eq(sets[0], sets[2]));
    }

    #[test]
    fn a_list_that_an_included_file_names_stands_beside_that_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        fs::write(folder.path().join("conf.d/list"), "10.9.0.0/16\n").unwrap();
        let route = "[routes.a]\nlisten = '1'\ntarget = '9'\ndeny = 'file:list'\n";
        fs::write(folder.path().join("conf.d/a.toml"), route).unwrap();
        let name = folder.path().join("loopgate.toml").display().to_string();

        let plan =
            parse(&name, "include = 'conf.d/*.toml'", &[]).unwrap_or_else(|problems| panic!("{problems}"));

        assert!(denied(&plan, "a", "10.9.0.1"));
        let named: Vec<_> =
            plan.files.iter().map(|file| file.path.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(named, [Path::new("conf.d/*.toml"), Path::new("conf.d/list")]);
    }

    #[test]
    fn a_fault_in_a_list_is_reported_with_its_line() {
        let route = "routes.a = {listen='1', target='9', deny='file:list'}";

        assert_eq!(
            planned("10.0.0.0/8\n\n10.0.0.1/8 # oops\n", route).unwrap_err(),
            "routes.a.deny: DIR/list:3: the network has bits beyond its prefix"
        );
        let many = "no\n".repeat(15);
        assert_eq!(
            planned(&many, route).unwrap_err().lines().last().unwrap(),
            "routes.a.deny: DIR/list: 5 more lines cannot be read"
        );
        assert_eq!(
            planned("", "routes.a = {listen='1', target='9', allow=['file:none', 'file:.']}").unwrap_err(),
            "routes.a.allow: DIR/none: there is no such file\nroutes.a.allow: DIR/.: this is a directory"
        );
    }
}
