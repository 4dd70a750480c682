//! `allow` and `deny` → sets: each file is read once, and its set is shared by all routes that name it.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::draft::Draft;
use super::entry::{is_unix, takes_headers};
use crate::acl::{Access, IdOrName, ListFile, Listed, Member, Members, Networks, Sets, listed_in};
use crate::address::ListenAddress;
use crate::config::{
    Limit, NamedFile, Place, Problem, Settings, Texts, Unread, Written, is_pem, read_regular,
};
use crate::probe::system::users;
use crate::units::shown_path;

/// The largest list that is read; room for about a million networks.
const LIMIT: Limit = Limit { mebibytes: 16, name: "" };

/// The most faulty lines of one file that are reported; the wrong kind of file has thousands.
const MAX_REPORTED: usize = 10;

/// The lists of a plan that is being built.
pub(super) struct Lists<'f> {
    /// A relative path starts at the folder of the text it is in.
    texts: &'f Texts,
    read: HashMap<PathBuf, (NamedFile, Arc<Networks>, Members)>,
    /// For routes without their own list.
    allow: Option<Entries>,
    deny: Option<Entries>,
}

/// A list that is written, empty if it is "off".
#[derive(Clone)]
struct Entries {
    networks: Sets,
    members: Members,
    /// Whether a file that it names has no entry.
    has_empty_file: bool,
    /// The place of its first entry, and its key.
    first: Option<(Place, String)>,
}

impl<'f> Lists<'f> {
    /// Reads the lists of the defaults.
    pub(super) fn of(defaults: &Settings, texts: &'f Texts, problems: &mut Vec<Problem>) -> Lists<'f> {
        let mut lists = Lists { texts, read: HashMap::new(), allow: None, deny: None };
        lists.allow = lists.entries(&defaults.allow, "defaults.allow", problems);
        lists.deny = lists.entries(&defaults.deny, "defaults.deny", problems);
        lists
    }

    /// Which clients may connect to a route.
    pub(super) fn access(&mut self, draft: &Draft, problems: &mut Vec<Problem>) -> Access {
        let own = &draft.settings;
        let own_allow = self.entries(&own.allow, &draft.key("allow"), problems);
        let is_own = own_allow.is_some();
        // `allow = "off"` admits every client; an empty set would admit none.
        let allow = own_allow.or_else(|| self.allow.clone()).filter(|allow| allow.first.is_some());
        let deny = self.entries(&own.deny, &draft.key("deny"), problems).or_else(|| self.deny.clone());
        let has_network = draft.listen.iter().any(|it| !is_unix(it));
        // Clients with an address come by a port, or are named by a PROXY header.
        let has_addresses = has_network || takes_headers(draft);
        // Without any Unix socket, its own users are a problem of their own.
        let is_told = is_own && !draft.listen.iter().any(is_unix);
        if let Some(allow) = allow.as_ref().filter(|_| has_network && !is_told) {
            nobody_without_user(allow, problems);
        }
        // Of a route on Unix sockets alone, a list admits nobody but those in it. An empty file may have held the only
        // users, and a list that loses entries must not let more clients in.
        // Who comes by a tunnel may have no address there, and is in no list.
        let by_tunnel = draft.listen.iter().any(|it| matches!(it.value.first(), ListenAddress::There(_)));
        let admits = |allow: &Entries| {
            !allow.members.is_empty() || allow.has_empty_file || by_tunnel || is_own && !has_addresses
        };
        Access {
            allow_members: allow.as_ref().filter(|allow| admits(allow)).map(|allow| allow.members.clone()),
            allow: allow.map(|allow| allow.networks),
            deny_members: deny.as_ref().map(|deny| deny.members.clone()).unwrap_or_default(),
            deny: deny.map(|deny| deny.networks).unwrap_or_default(),
        }
    }

    /// Every file that was read.
    pub(super) fn files(self) -> impl Iterator<Item = NamedFile> {
        self.read.into_values().map(|(file, ..)| file)
    }

    fn entries(
        &mut self,
        list: &Option<Vec<Written<Listed>>>,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Entries> {
        let list = list.as_ref()?;
        let own: Networks = list.iter().flat_map(|entry| entry.value.networks()).collect();
        let mut networks: Sets = (own.count() > 0).then(|| Arc::new(own)).into_iter().collect();
        let mut members = Vec::new();
        let mut has_empty_file = false;
        for entry in list {
            match &entry.value {
                Listed::File(path) => {
                    let (of_file, its) = self.file(path, entry, key, problems);
                    has_empty_file |= of_file.count() == 0 && its.is_empty();
                    networks.push(of_file);
                    members.push(its);
                }
                Listed::Member(member) => match numbered(member) {
                    Ok(member) => members.push(member),
                    Err((what, help)) => {
                        problems.push(Problem::new(entry.place.clone(), key, what).help(help));
                    }
                },
                Listed::Network(_) | Listed::Localhost => {}
            }
        }
        let first = list.first().map(|first| (first.place.clone(), key.to_owned()));
        Some(Entries { networks, members: Members::joined(members.iter()), has_empty_file, first })
    }

    /// The sets of a file. Its problems are placed at the first entry that names it.
    fn file(
        &mut self,
        path: &Path,
        entry: &Written<Listed>,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> (Arc<Networks>, Members) {
        let path = self.texts.folder(&entry.place).join(path);
        if let Some((_, networks, members)) = self.read.get(&path) {
            return (networks.clone(), members.clone());
        }
        let mut problem = |what: String, help: &str| {
            problems.push(Problem::new(entry.place.clone(), key, what).help(help));
        };
        let mut named = NamedFile::new(path.clone());
        let ListFile { networks, members, misread } = match read(&path) {
            Ok(text) if is_pem(&text) => {
                let what = "this holds a certificate or a key, and no list";
                problem(format!("{}: {what}", shown_path(&path)), "name a file with one network a line");
                ListFile::default()
            }
            Ok(text) => listed_in(&text),
            Err(Unreadable { what, help, is_busy }) => {
                named.is_busy = is_busy;
                problem(format!("{}: {what}", shown_path(&path)), help);
                ListFile::default()
            }
        };
        let mut faults: Vec<(usize, String, String)> =
            misread.into_iter().map(|(line, why)| (line, why.what, why.instead)).collect();
        let mut found = Vec::new();
        for (line, member) in members {
            match numbered(&member) {
                Ok(member) => found.push(member),
                Err((what, help)) => faults.push((line, what.to_owned(), help.to_owned())),
            }
        }
        faults.sort_by_key(|(line, ..)| *line);
        for (line, what, help) in faults.iter().take(MAX_REPORTED) {
            problem(format!("{}:{line}: {what}", shown_path(&path)), help);
        }
        if let Some(more @ 1..) = faults.len().checked_sub(MAX_REPORTED) {
            problem(
                format!("{}: {more} more lines cannot be read", shown_path(&path)),
                "is this the right file?",
            );
        }
        let (networks, members) = (Arc::new(Networks::from_iter(networks)), Members::joined(found.iter()));
        self.read.insert(path, (named, networks.clone(), members.clone()));
        (networks, members)
    }
}

/// A user or a group by its number, or what is wrong and what to do.
fn numbered(member: &Member) -> Result<Members, (&'static str, &'static str)> {
    let of = |named: &IdOrName, find: fn(&str) -> Option<u32>| match named {
        IdOrName::Number(number) => Some(*number),
        IdOrName::Name(name) => find(name),
    };
    let no_user = ("there is no such user on this machine", "create it, or write its number, as \"uid:33\"");
    let no_group =
        ("there is no such group on this machine", "create it, or write its number, as \"gid:33\"");
    Ok(match member {
        Member::User(named) => Members::new(vec![of(named, users::user).ok_or(no_user)?], Vec::new()),
        Member::Group(named) => Members::new(Vec::new(), vec![of(named, users::group).ok_or(no_group)?]),
    })
}

/// Adds a problem if the list names users and no network, so that no client of the route's ports may connect.
fn nobody_without_user(allow: &Entries, problems: &mut Vec<Problem>) {
    let has_networks = allow.networks.iter().any(|set| set.count() > 0);
    if let Some((place, key)) = allow.first.as_ref().filter(|_| !allow.members.is_empty() && !has_networks) {
        let what =
            "users and groups are known of clients of Unix sockets alone, so nobody may connect to its ports";
        let help = "add networks or addresses, as \"127.0.0.0/8\", or listen on Unix sockets alone";
        problems.push(Problem::new(place.clone(), key.clone(), what).help(help));
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

    #[test]
    fn users_and_groups_may_stand_in_a_file_and_an_empty_one_admits_nobody_to_a_unix_socket() {
        let route = "routes.a = {listen='unix:/run/a', target='9', allow='file:list'}";
        let denies = |list: &str, user: u32, group: u32| {
            let plan = planned(list, route).unwrap();
            let access = plan.routes.values().next().unwrap().access.clone();
            access.denies_process(user, Some(&[group])).is_some()
        };

        assert!(!denies("uid:root\n10.0.0.0/8\n", 0, 9) && denies("uid:root\n", 1, 0));
        assert!(!denies("gid:root # all of them\n", 1, 0) && denies("gid:0\n", 0, 1));
        assert!(denies("", 0, 0) && denies("10.0.0.0/8\n", 0, 0));
        assert_eq!(
            planned("10.0.0.0/8\nuid:no-such-user\n", route).unwrap_err(),
            "routes.a.allow: DIR/list:2: there is no such user on this machine"
        );
    }

    #[test]
    fn a_file_that_loses_its_last_user_lets_nobody_in_to_a_unix_socket_beside_a_port() {
        let own =
            "routes.a = {listen=['8080', 'unix:/run/a'], target='9', allow=['10.0.0.0/8', 'file:list']}";
        let of_defaults = "defaults.allow = 'file:list'\nroutes.a = {listen='unix:/run/a', target='9'}";
        let denies = |list: &str, text: &str| {
            let plan = planned(list, text).unwrap();
            plan.routes.values().next().unwrap().access.denies_process(7, Some(&[7])).is_some()
        };

        for text in [own, of_defaults] {
            assert!(denies("uid:8\n", text) && !denies("uid:7\n", text));
            assert!(denies("", text) && denies("# nobody\n", text));
            assert!(!denies("10.1.0.0/16\n", text), "the mode of the socket file decides");
        }
    }

    #[test]
    fn users_apply_to_unix_sockets_and_networks_to_ports() {
        let access = |defaults: &str, listen: &str, own: &str| {
            let text = format!("{defaults}\nroutes.a = {{listen={listen}, target='9'{own}}}");
            planned("", &text).map(|plan| plan.routes.values().next().unwrap().access.clone())
        };
        let both =
            access("", "['8080', 'unix:/run/a']", ", allow=['10.0.0.0/8', 'uid:7'], deny='gid:5'").unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(both.denies(ip("10.1.1.1")).is_none() && both.denies(ip("11.1.1.1")).is_some());
        assert!(both.denies_process(7, Some(&[])).is_none() && both.denies_process(8, Some(&[])).is_some());
        assert!(both.denies_process(7, Some(&[5])).is_some());

        // As before: without a user in it, the socket's file decides.
        let networks = access("", "['8080', 'unix:/run/a']", ", allow='10.0.0.0/8'").unwrap();
        let of_defaults = access("defaults.allow = '10.0.0.0/8'", "'unix:/run/a'", "").unwrap();
        assert!(networks.denies_process(7, None).is_none() && of_defaults.denies_process(7, None).is_none());
        let off = access("defaults.allow = 'uid:7'", "'unix:/run/a'", ", allow='off'").unwrap();
        assert!(off.is_open());

        for (defaults, own) in [("", ", allow='uid:7'"), ("defaults.allow = 'uid:7'", "")] {
            assert!(
                access(defaults, "['8080', 'unix:/run/a']", own).unwrap_err().contains("nobody may connect")
            );
        }
    }
}
