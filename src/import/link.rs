//! The tunnels of a draft, and their names.

use super::message::At;
use super::setting::{RouteId, Setting};
use crate::address::TunnelName;

/// What stands in place of the key of the other end, until it is pasted there. It is no key, so nothing starts with it.
pub(super) const PASTE: &str = "PASTE-THE-KEY-OF-THE-OTHER-END";

/// The name of the tunnel of the machine that connects: the file of a server does not name it.
pub(super) const CLIENT: &str = "client";

/// The name of the tunnel to a server whose address has no word in it.
const SERVER: &str = "server";

/// The most letters of a route or a tunnel whose name comes from a file.
const MAX_NAME: usize = 48;

/// Every tunnel of a draft.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// `[tunnel] listen`.
    pub(super) listen: Option<(String, At)>,
    pub(super) all: Vec<Link>,
    /// What to do next, in order.
    pub(super) next: Vec<Step>,
}

/// Something to do by hand once the file is imported.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
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
pub(super) struct LinkId(pub(super) usize);

impl Links {
    /// Whether they are of use without a route: the other end may bring its own.
    pub(super) fn stand_alone(&self) -> bool {
        self.all.iter().any(|link| link.connect.is_none())
    }
}

/// The name of the tunnel to this host: the host up to its first dot, if that has a letter.
pub(super) fn name_after(host: &str) -> String {
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
    // A password may have a slash in it, and a path none of a proxy has: the last @ ends it.
    match rest.rsplit_once('@') {
        Some((_, place)) => (format!("{scheme}://{place}"), true),
        None => (url.to_owned(), false),
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
            "http://user:p@ge/heim@proxy:80",
            "user:geheim@proxy:80",
        ] {
            let (shown, had_user) = without_user(url);
            assert!(had_user && !shown.contains("heim") && !shown.contains("user"), "{url}: {shown}");
        }
        assert_eq!(without_user("http://proxy:3128"), ("http://proxy:3128".to_owned(), false));
    }
}
