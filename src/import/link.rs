//! The tunnels of a draft, and the two ends that a file of a tunnel's program can be.

use super::draft::{Draft, RouteId, Setting, Toml};
use super::message::{At, Fate, Note, plain};
use super::shell::bracketed;
use crate::address::{Run, TargetAddress, TunnelName};

/// What stands in place of the key of the other end, until it is pasted there. It is no key, so nothing starts with it.
pub(super) const PASTE: &str = "PASTE-THE-KEY-OF-THE-OTHER-END";

/// The name of the tunnel of the machine that connects: the file of a server does not name it.
pub(super) const CLIENT: &str = "client";

/// The name of the tunnel to a server whose address has no word in it.
const SERVER: &str = "server";

/// The last step.
const LAST: &str = "Run loopgate validate -c FILE at both ends, then loopgate run -c FILE.";

/// The most letters of a step.
const MAX_STEP: usize = 2_000;

/// The most letters of a route or a tunnel whose name comes from a file.
const MAX_NAME: usize = 48;

/// Every tunnel of a draft.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// `[tunnel] listen`.
    pub(super) listen: Option<(String, At)>,
    pub(super) all: Vec<Link>,
    /// What to do next, in order.
    next: Vec<Step>,
}

/// Something to do by hand once the file is imported.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Do(String),
    /// Only if the route was carried over.
    For(RouteId, String),
    /// To permit an address at the other end, for a route.
    Permit(RouteId, String),
}

/// `[tunnels.NAME]`.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) at: At,
    /// Where it connects; `None` if the other end does.
    pub(super) connect: Option<String>,
    pub(super) may_listen: Vec<(String, At)>,
    pub(super) settings: Vec<Setting>,
    /// What was not carried over, for a comment beside it.
    pub(super) lacks: Vec<String>,
}

/// The index of a tunnel in its draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkId(usize);

impl Links {
    /// Whether they are of use without a route: the other end may bring its own.
    pub(super) fn stand_alone(&self) -> bool {
        self.all.iter().any(|link| link.connect.is_none())
    }
}

impl Draft {
    /// Adds the tunnel to a server. An address that cannot be dialled is noted.
    pub(super) fn dial_link(&mut self, host: &str, port: &str, at: &At) -> LinkId {
        let address = format!("{}:{port}", bracketed(host));
        let name = name_after(host);
        let whole = At::new(at.line, at.words.clone());
        let connect = match address.parse::<Run<TargetAddress>>() {
            Ok(run) if run.count() == 1 && !host.is_empty() => address,
            _ => {
                let why = "this is no address and port; write those of the server in connect of its tunnel";
                self.lost(None, at, why);
                "SERVER:4433".to_owned()
            }
        };
        self.add_link(name, whole, Some(connect))
    }

    /// Adds the tunnel of the machine that connects to us.
    pub(super) fn accept_link(&mut self, listen: String, at: &At) -> LinkId {
        self.links.listen = Some((listen, at.clone()));
        self.add_link(CLIENT.to_owned(), at.clone(), None)
    }

    fn add_link(&mut self, name: String, at: At, connect: Option<String>) -> LinkId {
        let name = match self.links.all.iter().any(|link| link.name == name) {
            true => format!("{name}-{}", self.links.all.len() + 1),
            false => name,
        };
        let (may_listen, settings, lacks) = Default::default();
        self.links.all.push(Link { name, at, connect, may_listen, settings, lacks });
        LinkId(self.links.all.len() - 1)
    }

    pub(super) fn link(&mut self, id: LinkId) -> &mut Link {
        &mut self.links.all[id.0]
    }

    /// Sets a key of a tunnel.
    pub(super) fn set_link(&mut self, id: LinkId, at: &At, key: &'static str, value: Toml) {
        if !self.knows_of_link(key) {
            let why = format!("this version of Loopgate has no {key} in [tunnels.NAME]");
            return self.lost_of_link(id, at, why);
        }
        let settings = &mut self.link(id).settings;
        settings.retain(|setting| setting.key != key);
        settings.push(Setting { key, value, at: at.clone() });
    }

    /// Notes words that are not carried over, beside the tunnel they are about.
    pub(super) fn lost_of_link(&mut self, id: LinkId, at: &At, why: impl AsRef<str>) {
        let note = Note::new(at, Fate::NotCarried, why);
        let lack = format!("{}: {}", note.words, note.why);
        let lacks = &mut self.link(id).lacks;
        if !lacks.contains(&lack) {
            lacks.push(lack);
        }
        self.notes.push(note);
    }

    /// What is to be done once the file is imported, one step.
    pub(super) fn then(&mut self, step: impl AsRef<str>) {
        self.add_step(Step::Do(plain(step.as_ref(), MAX_STEP)));
    }

    /// As [`Draft::then`], if the route is carried over.
    pub(super) fn then_for(&mut self, id: RouteId, step: impl AsRef<str>) {
        self.add_step(Step::For(id, plain(step.as_ref(), MAX_STEP)));
    }

    /// An address that the server must permit for a route; all of them are one step.
    pub(super) fn permit(&mut self, id: RouteId, may: String) {
        self.add_step(Step::Permit(id, may));
    }

    fn add_step(&mut self, step: Step) {
        if !self.links.next.contains(&step) {
            self.links.next.push(step);
        }
    }

    /// What is to be done, in order, for the routes that were carried over.
    pub(super) fn steps(&self) -> Vec<String> {
        let may = |step: &Step| match step {
            Step::Permit(id, may) if self.has(*id) => Some(format!("{may:?}")),
            _ => None,
        };
        let mut may: Vec<String> = self.links.next.iter().filter_map(may).collect();
        let mut steps = Vec::new();
        for step in &self.links.next {
            match step {
                Step::Do(step) => steps.push(step.clone()),
                Step::For(id, step) if self.has(*id) => steps.push(step.clone()),
                Step::Permit(..) if !may.is_empty() => {
                    let list = std::mem::take(&mut may).join(", ");
                    steps.push(format!("On the server, permit in [tunnels.{CLIENT}]: may_listen = [{list}]"));
                }
                Step::For(..) | Step::Permit(..) => {}
            }
        }
        if !steps.is_empty() {
            steps.push(LAST.to_owned());
        }
        steps
    }
}

/// The name of the tunnel to this host: the host up to its first dot, if that has a letter.
fn name_after(host: &str) -> String {
    let is_address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let first = host.split('.').next().unwrap_or_default();
    let plain = legal(first);
    let is_name = !is_address && plain == first && plain.parse::<TunnelName>().is_ok();
    if is_name { plain } else { SERVER.to_owned() }
}

/// The name of a route that the other end dials by the same name: only letters that every route may have, and at least
/// one that is not a digit. Both ends come to the same name.
pub(super) fn service_name(name: &str) -> String {
    let plain = legal(name);
    if plain.chars().any(|c| c.is_ascii_alphabetic()) { plain } else { format!("service-{plain}") }
}

fn legal(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    name.chars().map(legal).take(MAX_NAME).collect()
}

/// A proxy's URL without the user and password in it, and whether there were any: no secret is printed.
pub(super) fn without_user(url: &str) -> (String, bool) {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Not a URL: what stands before an @ may be a password all the same.
        return (url.rsplit('@').next().unwrap_or_default().to_owned(), url.contains('@'));
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => (format!("{scheme}://{}", &rest[at + 1..]), true),
        None if rest.contains('@') => {
            (format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default()), true)
        }
        None => (url.to_owned(), false),
    }
}

/// Sets the proxy by which a server is dialled.
pub(super) fn proxied(id: LinkId, key: &str, line: usize, url: &str, draft: &mut Draft) {
    let (url, had_user) = without_user(url);
    let at = At::new(line, format!("{key} = {url:?}"));
    if !draft.knows_of_link("proxy_url") {
        let why =
            "this version of Loopgate connects without a proxy; the key will be proxy_url of the tunnel";
        return draft.lost_of_link(id, &at, why);
    }
    draft.set_link(id, &at, "proxy_url", Toml::text(url));
    if had_user {
        draft.lost_of_link(
            id,
            &at.with(key),
            "its user and password are not repeated; add them to proxy_url",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_has_a_name_that_its_routes_can_write() {
        for (host, name) in [
            ("vps.example.com", "vps"),
            ("vps", "vps"),
            ("192.0.2.7", "server"),
            ("[2001:db8::7]", "server"),
            ("1.example.com", "server"),
            ("b\u{fc}ro.example.com", "server"),
            ("{{ .Envs.HOST }}", "server"),
            ("", "server"),
        ] {
            assert_eq!(name_after(host), name, "{host}");
        }
        assert_eq!(service_name("my.web"), "my-web");
        assert_eq!(service_name("8080"), "service-8080");
    }

    #[test]
    fn no_password_of_a_proxy_is_printed() {
        for url in [
            "socks5://user:geheim@192.0.2.7:1080",
            "http://user:ge@heim@proxy:80/",
            "http://user:ge/heim@proxy:80",
            "user:geheim@proxy:80",
        ] {
            let (shown, had_user) = without_user(url);
            assert!(had_user && !shown.contains("heim") && !shown.contains("user"), "{url}: {shown}");
        }
        assert_eq!(without_user("http://proxy:3128"), ("http://proxy:3128".to_owned(), false));
    }
}
