//! The name of a tunnel, and the parts of an address at its other end: `tunnel:NAME`, `tunnel:NAME/SERVICE` and
//! `tunnel:NAME/ADDRESS`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::units::{Misread, quoted};

/// What such an address begins with.
pub(super) const PREFIX: &str = "tunnel:";

/// The most bytes of a tunnel's name: it is that of a source, too. And the most letters of a service's.
const MAX_NAME: usize = 64;

/// The name of a tunnel, as `[tunnels.NAME]` gives it: a link to one other Loopgate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TunnelName(Arc<str>);

impl TunnelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TunnelName {
    type Err = Misread;

    /// Reads 1 to 64 bytes of letters, digits, `-`, `_` and `.`, at least one of them a letter: `tunnel:8080` is a port of
    /// a host called tunnel.
    fn from_str(text: &str) -> Result<Self, Misread> {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(is_plain) {
            let what = format!("{} cannot name a tunnel", quoted(text));
            return Err(Misread::new(
                what,
                format!("write 1 to {MAX_NAME} letters, digits, '-', '_' or '.', as \"home\""),
            ));
        }
        if !text.chars().any(char::is_alphabetic) {
            let what = format!("the name of a tunnel has a letter in it, and {} has none", quoted(text));
            let named: String = format!("vps{text}").chars().take(MAX_NAME).collect();
            return Err(Misread::new(what, format!("write {}, say", quoted(&named))));
        }
        Ok(TunnelName(text.into()))
    }
}

impl fmt::Display for TunnelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The tunnel's name, and what follows the slash behind it; `None` if the text is of another kind, as `tunnel:8080`, the
/// port of a host called tunnel.
pub(super) fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let rest = text.strip_prefix(PREFIX)?;
    let (name, there) = rest.split_once('/').map_or((rest, None), |(name, there)| (name, Some(there)));
    let is_port = there.is_none() && !name.is_empty() && name.chars().all(|c| c.is_ascii_digit() || c == '-');
    (!is_port).then_some((name, there))
}

/// The two ends of a route whose target is in a tunnel, as `8080:tunnel:vps/web`; `None` for any other text.
pub(super) fn in_route(text: &str) -> Option<(&str, &str)> {
    let at = text.find(":tunnel:")?;
    let (listen, target) = (&text[..at], &text[at + 1..]);
    split(target)?;
    Some((listen, target))
}

/// Whether a text can be the name of a route at the other end.
pub(super) fn is_route_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(is_plain)
}

/// Whether a text can be the name of a route that is dialled there: as a route of a file is called, with a letter in it, since
/// a number is a port.
pub(super) fn is_service(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.len() <= MAX_NAME && text.chars().all(is_plain) && text.chars().any(|c| c.is_ascii_alphabetic())
}

/// The answer to an address that leads into a further tunnel.
pub(super) fn nested() -> Misread {
    Misread::new("a tunnel within a tunnel is no address", "have the other end listen in its own tunnel")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::{ListenAddress, Run, TargetAddress, There};

    fn listens(text: &str) -> Result<String, String> {
        text.parse::<Run<ListenAddress>>().map(|it| it.to_string()).map_err(|misread| misread.to_string())
    }

    fn dials(text: &str) -> Result<String, String> {
        text.parse::<Run<TargetAddress>>().map(|it| it.to_string()).map_err(|misread| misread.to_string())
    }

    #[test]
    fn a_route_listens_there_by_its_name_or_at_an_address_which_is_loopback_without_a_host() {
        for (written, printed) in [
            ("tunnel:vps", "tunnel:vps"),
            ("tunnel:vps/8080", "tunnel:vps/127.0.0.1:8080"),
            ("tunnel:vps/:8080", "tunnel:vps/127.0.0.1:8080"),
            ("tunnel:vps/localhost:8080", "tunnel:vps/127.0.0.1:8080"),
            ("tunnel:vps/0", "tunnel:vps/127.0.0.1:0"),
            ("tunnel:vps/0.0.0.0:0", "tunnel:vps/0.0.0.0:0"),
            ("tunnel:vps/0.0.0.0:9000-9010", "tunnel:vps/0.0.0.0:9000-9010"),
            ("tunnel:vps/[::]:8080", "tunnel:vps/[::]:8080"),
            ("tunnel:vps/[fe80::1%eth0]:8080", "tunnel:vps/[fe80::1%eth0]:8080"),
            ("tunnel:vps/unix:/run/x.sock", "tunnel:vps/unix:/run/x.sock"),
            ("tunnel:vps/unix:@x", "tunnel:vps/unix:@x"),
            ("tunnel:vps-2.example_b/80", "tunnel:vps-2.example_b/127.0.0.1:80"),
        ] {
            assert_eq!(listens(written).as_deref(), Ok(printed), "{written}");
            assert_eq!(listens(printed).as_deref(), Ok(printed), "{printed}");
            let run: Run<ListenAddress> = written.parse().unwrap();
            assert_eq!(run.count(), 1, "{written}: it is one listener, wherever it is opened");
        }
    }

    #[test]
    fn a_target_there_is_a_route_by_its_name_or_an_address() {
        for (written, printed, is_service) in [
            ("tunnel:home/web", "tunnel:home/web", true),
            ("tunnel:home/db-2_x", "tunnel:home/db-2_x", true),
            ("tunnel:home/8080x", "tunnel:home/8080x", true),
            ("tunnel:home/8080", "tunnel:home/127.0.0.1:8080", false),
            ("tunnel:home/localhost:22", "tunnel:home/localhost:22", false),
            ("tunnel:home/db.internal:5432", "tunnel:home/db.internal:5432", false),
            ("tunnel:home/10.0.0.5:5432", "tunnel:home/10.0.0.5:5432", false),
            ("tunnel:home/[fd00::1]:5432", "tunnel:home/[fd00::1]:5432", false),
            ("tunnel:home/unix:/run/pg", "tunnel:home/unix:/run/pg", false),
        ] {
            assert_eq!(dials(written).as_deref(), Ok(printed), "{written}");
            assert_eq!(dials(printed).as_deref(), Ok(printed), "{printed}");
            let run: Run<TargetAddress> = written.parse().unwrap();
            let there = run.first().there().unwrap();
            assert_eq!((&there.tunnel.to_string()[..], run.count()), ("home", 1));
            assert_eq!(matches!(there.to, There::Service(_)), is_service, "{written}");
        }
    }

    #[test]
    fn a_port_of_a_host_called_tunnel_stays_one() {
        assert_eq!(dials("tunnel:8080").as_deref(), Ok("tunnel:8080"));
        assert_eq!(dials("tunnel:80-90").as_deref(), Ok("tunnel:80-90"));
        assert!(listens("tunnel:8080").unwrap_err().starts_with("\"tunnel\" is a name"));
        assert!(listens("tunnel:80-90").unwrap_err().starts_with("\"tunnel\" is a name"));
    }

    #[test]
    fn what_is_no_address_there_is_answered_with_what_to_write() {
        let listening = |text: &str| listens(text).unwrap_err();
        let dialling = |text: &str| dials(text).unwrap_err();

        for (told, wanted) in [
            (
                dialling("tunnel:vps"),
                "\"tunnel:vps\" names no target; write \"tunnel:vps/NAME\", with the name of a route there",
            ),
            (dialling("tunnel:vps/"), "\"tunnel:vps\" names no target"),
            (
                dialling("tunnel:vps/80-90"),
                "a range of ports is no target in a tunnel; write one target for each port",
            ),
            (dialling("tunnel:vps/0"), "port 0 cannot be dialled"),
            (dialling("tunnel:vps/0.0.0.0:80"), "0.0.0.0 means every address when listening"),
            (dialling("tunnel:vps/10.0.0.5"), "\"10.0.0.5\" has no port; write \"10.0.0.5:PORT\""),
            (dialling("tunnel:vps/db.internal"), "\"db.internal\" has no port; write \"db.internal:PORT\""),
            (dialling("tunnel:vps/web/udp"), "\"web/udp\" has the protocol in it"),
            (
                dialling("tunnel:vps/tunnel:home/web"),
                "a tunnel within a tunnel is no address; have the other end listen",
            ),
            (dialling("tunnel:/web"), "\"\" cannot name a tunnel; write 1 to 64 letters"),
            (dialling("tunnel:"), "\"\" cannot name a tunnel"),
            (dialling("tunnel:a b/web"), "\"a b\" cannot name a tunnel"),
            (
                dialling("tunnel:80/web"),
                "the name of a tunnel has a letter in it, and \"80\" has none; write \"vps80\", say",
            ),
            (listening("tunnel:vps/"), "the address is empty"),
            (listening("tunnel:vps/web"), "\"web\" has no port"),
            (
                listening("tunnel:vps/db.internal:80"),
                "\"db.internal\" is a name, and listening needs an IP address",
            ),
            (listening("tunnel:vps/*:80"), "\"*\" is not an address"),
            (listening("tunnel:vps/0-10"), "the range \"0-10\" begins at port 0"),
            (listening("tunnel:vps/unix:x"), "\"unix:x\" is not a whole path"),
            (listening("tunnel:vps/tunnel:home"), "a tunnel within a tunnel is no address"),
            (listening("tunnel:8080/80"), "the name of a tunnel has a letter in it"),
        ] {
            assert!(told.starts_with(wanted), "{told}, and not: {wanted}");
        }
    }

    #[test]
    fn a_chain_of_tunnels_as_long_as_a_file_is_refused_and_not_followed() {
        let chain = "tunnel:a/".repeat(200_000);

        assert!(
            listens(&chain).unwrap_err().starts_with("a tunnel within")
                && dials(&chain).unwrap_err().starts_with("a tunnel within")
        );
    }

    #[test]
    fn a_tunnel_is_named_as_a_source_can_be() {
        for name in ["a", "home", "vps-2.example_b", "8a", "caf\u{e9}", &"a".repeat(64)] {
            assert_eq!(name.parse::<TunnelName>().unwrap().as_str(), name);
        }
        for name in ["", "8080", "80-90", "a/b", "a b", "a@b", "a\n", &"a".repeat(65), &"\u{e9}".repeat(33)] {
            let refused = name.parse::<TunnelName>().unwrap_err().to_string();
            assert!(!refused.contains(char::is_control), "{refused:?}");
        }
    }

    proptest! {
        #[test]
        fn what_listens_there_is_read_back(tunnel in "[a-z][a-z0-9._-]{0,20}", ip: std::net::IpAddr, port: u16, count in 1_u16..) {
            let at = Run::new(ListenAddress::from(std::net::SocketAddr::new(ip, port)), if port == 0 { 1 } else { count });
            let text = format!("tunnel:{tunnel}/{at}");

            let run: Run<ListenAddress> = text.parse().unwrap();
            prop_assert_eq!(run.to_string(), text);
            let ListenAddress::There(there) = run.first() else { panic!("it is in a tunnel") };
            prop_assert_eq!(there.at.as_deref(), Some(&at));
        }

        #[test]
        fn what_is_dialled_there_is_read_back(tunnel in "[a-z][a-z0-9._-]{0,20}", to in "[a-z][a-z0-9_-]{0,20}|[a-z]{1,9}:[1-9][0-9]{0,3}|[1-9][0-9]{0,3}") {
            let run: Run<TargetAddress> = format!("tunnel:{tunnel}/{to}").parse().unwrap();
            prop_assert_eq!(run.to_string().parse::<Run<TargetAddress>>(), Ok(run));
        }

        #[test]
        fn nothing_that_looks_like_a_tunnel_panics(text in r"tunnel:[a-z0-9/:.%*@ \[\]-]{0,24}") {
            let _ = (listens(&text), dials(&text));
        }

        #[test]
        fn no_text_panics(text in "tunnel:.*") {
            let _ = (listens(&text), dials(&text));
        }
    }
}
